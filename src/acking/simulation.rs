//! A source, its ackers and some workers on a network that loses, repeats and reorders as it likes:
//! 200,000 random trees and more, none of which completes too early or never.

use super::ackers::scatter;
use super::*;
use crate::clock::Millis;
use crate::codec::{Encoded, EncodedBuilder};
use crate::ids::{IdSource, PeerId};
use crate::segment::Segment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Six of the worlds lose or repeat messages: 204,000 trees together.
const TREES_EACH: u64 = 34_000;
const WORKERS: u64 = 5;
/// Roots in a read, and reads under way.
const BATCH: u64 = 8;
const PENDING_MAX: usize = 64;

/// Of a thousand messages, so many are lost and so many arrive twice.
#[derive(Clone, Copy)]
struct Network {
    lost: u64,
    repeated: u64,
    ackers: usize,
    /// One worker does nothing for so long.
    pause_ms: u64,
}

/// What is on its way.
#[derive(Clone)]
enum Parcel {
    /// In the inbox of a worker.
    Segment {
        to: PeerId,
        root: u64,
        draw: u64,
        acker: PeerId,
        depth: u32,
    },
    Acks(PeerId, AckMessage),
    Completions(Completions),
    Inquiry(PeerId, Inquiry),
    Progress(Progress),
    Retries(Retries),
}

/// What is true of one try of a root.
#[derive(Default)]
struct Truth {
    unprocessed: usize,
    reach: Reach,
}

struct World {
    network: Network,
    draws: u64,
    now: Millis,
    bag: Vec<Parcel>,
    pending: Pending<u64>,
    ackers: Ackers,
    ledgers: BTreeMap<PeerId, Ledger>,
    workers: Vec<PeerId>,
    sequences: BTreeMap<(PeerId, PeerId), u64>,
    truth: BTreeMap<u64, Truth>,
    read: u64,
}

impl World {
    fn new(network: Network, seed: u64) -> Self {
        let mut ids = IdSource::from_seed(seed);
        let workers: Vec<PeerId> = (0..=WORKERS).map(|_| ids.peer()).collect();
        let named: Vec<PeerId> = (0..network.ackers).map(|_| ids.peer()).collect();
        let keepers = if named.is_empty() {
            &workers[..1]
        } else {
            &named
        };
        let rules = PendingRules {
            timeouts: Timeouts {
                pending: Duration::from_millis(4_000),
                tick: Duration::from_millis(500),
            },
            retries: RetryRule {
                retries_max: u32::MAX - 1,
                first_wait: Duration::from_millis(100),
                longest_wait: Duration::from_millis(1_000),
                seed,
            },
            pending_max: PENDING_MAX,
            bytes_max: usize::MAX,
            batch_size: BATCH as usize,
        };
        World {
            network,
            draws: seed << 40,
            now: Millis(0),
            bag: Vec::new(),
            pending: Pending::new(rules, Millis(0)),
            ackers: Ackers::of(workers[0], &named),
            ledgers: keepers
                .iter()
                .map(|peer| (*peer, Ledger::default()))
                .collect(),
            workers,
            sequences: BTreeMap::new(),
            truth: BTreeMap::new(),
            read: 0,
        }
    }

    fn draw(&mut self) -> u64 {
        self.draws += 1;
        scatter(self.draws)
    }

    /// Puts something on the network, which may lose it or deliver it twice. What transports never
    /// repeat, segments, is not repeated here either.
    fn post(&mut self, parcel: Parcel) {
        let fate = self.draw() % 1_000;
        let Network { lost, repeated, .. } = self.network;
        if fate < lost {
            return;
        }
        if fate < lost + repeated && !matches!(parcel, Parcel::Segment { .. }) {
            self.bag.push(parcel.clone());
        }
        self.bag.push(parcel);
    }

    fn ack(&mut self, sender: PeerId, acker: PeerId, ack: Ack, reach: Reach) {
        let sequence = self.sequences.entry((sender, acker)).or_default();
        *sequence += 1;
        let group = AckGroup {
            source: self.workers[0],
            epoch: 1,
            reach,
            acks: vec![ack],
        };
        let message = AckMessage {
            sender,
            epoch: 1,
            sequence: *sequence,
            groups: vec![group],
        };
        self.post(Parcel::Acks(acker, message));
    }

    /// Sends so many children of a root, and answers with their draws combined.
    fn children(&mut self, (root, acker): (u64, PeerId), count: u64, depth: u32) -> u64 {
        let mut combined = 0;
        for _ in 0..count {
            let draw = self.draw();
            combined ^= draw;
            // The truth of a try that was given up is not kept.
            if let Some(truth) = self.truth.get_mut(&root) {
                truth.unprocessed += 1;
            }
            let which = 1 + self.draw() % WORKERS;
            let to = self.workers[which as usize];
            self.post(Parcel::Segment {
                to,
                root,
                draw,
                acker,
                depth,
            });
        }
        combined
    }

    /// The source sends roots on their way.
    fn send(&mut self, first_root: u64, count: u64, acker: PeerId) {
        for root in first_root..first_root + count {
            self.truth.insert(root, Truth::default());
            let ways = 1 + self.draw() % 2;
            let value = self.children((root, acker), ways, 0);
            self.ack(self.workers[0], acker, Ack { root, value }, Reach::Inside);
        }
    }

    /// What a peer knows of the roots that it is asked about.
    fn look_for(&mut self, peer: PeerId, inquiry: &Inquiry) -> Progress {
        let ledger = self.ledgers.get_mut(&peer);
        let mut alive = ledger.map_or_else(Vec::new, |it| it.moving(inquiry, self.now));
        let asked = &inquiry.roots;
        alive.extend(self.bag.iter().filter_map(|parcel| match parcel {
            Parcel::Segment { to, root, .. } if *to == peer => Some(*root),
            _ => None,
        }));
        alive.retain(|root| asked.contains(root));
        Progress {
            source: inquiry.source,
            epoch: inquiry.epoch,
            number: inquiry.number,
            by: peer,
            alive,
        }
    }

    fn process(&mut self, worker: PeerId, (root, acker): (u64, PeerId), draw: u64, depth: u32) {
        if self.draw().is_multiple_of(500) {
            // It has a bad day.
            return self.post(Parcel::Retries(Retries {
                source: self.workers[0],
                epoch: 1,
                cause: Cause::Asked,
                reason: String::new(),
                roots: vec![root],
            }));
        }
        let count = match depth {
            0..=2 => [0, 1, 1, 2][(self.draw() % 4) as usize],
            _ => 0,
        };
        let is_written = count == 0 && self.draw().is_multiple_of(2);
        let reach = if is_written {
            Reach::Written
        } else {
            Reach::Inside
        };
        let value = draw ^ self.children((root, acker), count, depth + 1);
        if let Some(truth) = self.truth.get_mut(&root) {
            truth.unprocessed -= 1;
            truth.reach = truth.reach.max(reach);
        }
        self.ack(worker, acker, Ack { root, value }, reach);
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Segment { to, .. }
                if to == self.workers[1] && self.now.0 < self.network.pause_ms =>
            {
                self.bag.push(parcel);
            }
            Parcel::Segment {
                to,
                root,
                draw,
                acker,
                depth,
            } => self.process(to, (root, acker), draw, depth),
            Parcel::Acks(acker, message) => {
                let mut completed = Vec::new();
                let ledger = self.ledgers.get_mut(&acker).unwrap();
                ledger.apply(&message, self.now, &mut completed);
                completed
                    .into_iter()
                    .for_each(|it| self.post(Parcel::Completions(it)));
            }
            Parcel::Inquiry(acker, inquiry) => {
                let answer = self.look_for(acker, &inquiry);
                self.post(Parcel::Progress(answer));
            }
            Parcel::Completions(done) => {
                for root in done.roots {
                    if self.pending.complete(root, done.reach, self.now) {
                        let truth = self.truth.remove(&root).unwrap();
                        assert_eq!(truth.unprocessed, 0, "root {root} completed too early");
                        assert_eq!(truth.reach, done.reach, "root {root}");
                    }
                }
            }
            Parcel::Progress(it) => self.pending.answered(it.number, it.by, &it.alive, self.now),
            Parcel::Retries(it) => {
                for root in it.roots {
                    self.pending.give_back(root, it.cause, "", self.now);
                }
            }
        }
    }

    fn source(&mut self, batch: &Encoded) {
        self.pending.expire(self.now);
        let workers = self.workers.iter().copied().collect();
        for Question { number, of, roots } in self.pending.take_questions(&workers, self.now) {
            for peer in of {
                let inquiry = Inquiry {
                    source: self.workers[0],
                    epoch: 1,
                    number,
                    quiet_ms: 4_000,
                    roots: roots.clone(),
                };
                self.post(Parcel::Inquiry(peer, inquiry));
            }
        }
        let acker = self.ackers.keeper(self.pending.next_root());
        if let Some(replay) = self.pending.replay(BATCH as usize, acker, self.now) {
            for root in &replay.before {
                self.truth.remove(root);
            }
            return self.send(replay.first_root, replay.segments.len() as u64, acker);
        }
        if self.read < TREES_EACH && self.pending.room() >= BATCH as usize {
            self.read += BATCH;
            let first_root = self.pending.add(batch.clone(), self.read, acker, self.now);
            self.send(first_root, BATCH, acker);
        }
    }

    fn run(mut self) -> PendingCounters {
        let mut builder = EncodedBuilder::default();
        for n in 0..BATCH {
            let segment: Segment = [("n", n as i64)].into_iter().collect();
            builder.push(&segment).unwrap();
        }
        let batch = builder.finish();
        while self.read < TREES_EACH || !self.pending.is_empty() {
            // Nothing under way: it is the time-outs' turn.
            let pace = if self.bag.is_empty() { 100 } else { 1 };
            self.now = Millis(self.now.0 + pace);
            self.source(&batch);
            for _ in 0..50 {
                let Some(last) = self.bag.len().checked_sub(1) else {
                    break;
                };
                let at = (self.draw() % (last as u64 + 1)) as usize;
                let parcel = self.bag.swap_remove(at);
                self.deliver(parcel);
            }
        }
        assert_eq!(self.pending.completed_position(), Some(&self.read));
        let (settled, counters) = (self.pending.settled(), self.pending.counters());
        assert_eq!((settled.read, settled.ends), (counters.read, counters.ends));
        counters
    }
}

fn simulate(network: Network, seed: u64) -> PendingCounters {
    let counters = World::new(network, seed).run();
    assert_eq!(counters.read, TREES_EACH);
    assert_eq!(counters.ends.written + counters.ends.filtered, TREES_EACH);
    assert!(counters.ends.written > TREES_EACH / 4 && counters.ends.filtered > TREES_EACH / 100);
    counters
}

#[test]
fn without_faults_only_what_asks_for_it_is_played_again() {
    for (seed, ackers) in [(1, 0), (2, 3)] {
        let network = Network {
            lost: 0,
            repeated: 0,
            ackers,
            pause_ms: 0,
        };
        let counters = simulate(network, seed);
        assert_eq!(counters.timed_out, 0);
        assert!(counters.replayed > 0 && counters.replayed < TREES_EACH / 50);
    }
}

#[test]
fn trees_that_stand_before_a_worker_that_pauses_are_not_played_again() {
    for (seed, ackers) in [(9, 0), (10, 3)] {
        let network = Network {
            lost: 0,
            repeated: 0,
            ackers,
            // Ten time-outs.
            pause_ms: 40_000,
        };
        assert_eq!(simulate(network, seed).timed_out, 0);
    }
}

#[test]
fn trees_whose_acks_are_repeated_complete_in_time_and_not_before() {
    for (seed, ackers) in [(3, 0), (4, 3)] {
        let network = Network {
            lost: 0,
            repeated: 50,
            ackers,
            pause_ms: 0,
        };
        assert_eq!(simulate(network, seed).timed_out, 0);
    }
}

#[test]
fn trees_of_which_something_is_lost_or_repeated_complete_in_the_end_and_not_before() {
    for (seed, lost, repeated, ackers) in [
        (5, 10, 10, 0),
        (6, 10, 10, 3),
        (7, 50, 50, 0),
        (8, 50, 50, 3),
    ] {
        let network = Network {
            lost,
            repeated,
            ackers,
            pause_ms: 0,
        };
        assert!(simulate(network, seed).timed_out > 0);
    }
}
