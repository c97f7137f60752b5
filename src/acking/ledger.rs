//! The ledger of one acking daemon: the XOR of every root it answers for.
//!
//! Loss and reordering only cost a replay. An ack that is applied twice could complete a root too
//! early, which would be loss of data; so each message is applied once. Callers keep three
//! promises: epochs of one peer grow, links keep the order of messages but for the few around a
//! reconnect, and a source has fewer roots in flight than the ring covers.

use super::acks::{AckGroup, AckMessage, Completions};
use super::ring::{Ring, RingAck, Tick};
use super::sequence_window::SequenceWindow;
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Which trees are complete.
#[derive(Debug, Default)]
pub struct Ledger {
    sources: BTreeMap<PeerId, Source>,
    senders: BTreeMap<PeerId, Sender>,
    counters: LedgerCounters,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was new.
    Once,
    /// It had been applied before, or came so late that this cannot be excluded. Nothing changed.
    Refused,
}

/// What a ledger has seen since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounters {
    /// Messages applied.
    pub messages: u64,
    /// Messages refused, as applied before or of an older epoch of their sender.
    pub refused: u64,
    /// Acks in the messages applied.
    pub acks: u64,
    /// Acks of those for roots that were complete or given up already.
    pub late: u64,
    /// Acks of those for an older epoch of their source, whose pending set is gone.
    pub stale: u64,
    /// Roots completed.
    pub completed: u64,
    /// Roots given up because they were incomplete for too long.
    pub swept: u64,
    /// Roots given up for want of room.
    pub evicted: u64,
}

#[derive(Debug)]
struct Source {
    epoch: u64,
    ring: Ring,
    last_ack: Millis,
}

#[derive(Debug)]
struct Sender {
    epoch: u64,
    window: SequenceWindow,
    last_message: Millis,
}

impl Ledger {
    /// Applies a message, unless it was applied before. Roots that became complete are appended to
    /// `completed`, to the entry of their source if there is one.
    pub fn apply(
        &mut self,
        message: &AckMessage,
        now: Millis,
        completed: &mut Vec<Completions>,
    ) -> Applied {
        if !self.first_sight(message, now) {
            self.counters.refused += 1;
            return Applied::Refused;
        }
        self.counters.messages += 1;
        for group in &message.groups {
            self.counters.acks += group.acks.len() as u64;
            self.apply_group(group, now, completed);
        }
        Applied::Once
    }

    /// Gives up roots whose first ack is older than this, and forgets peers that have been silent for
    /// as long. Must be longer than a source waits before it replays. Returns how many roots.
    pub fn sweep(&mut self, now: Millis, older_than: Duration) -> usize {
        let Some(limit) = now.0.checked_sub(Millis(0).plus(older_than).0).map(Millis) else {
            return 0;
        };
        let mut swept = 0;
        self.sources.retain(|_, source| {
            swept += source.ring.sweep(tick(limit));
            source.last_ack >= limit || source.ring.open() > 0
        });
        // A repetition of anything older finds its roots complete, swept or without a source.
        self.senders
            .retain(|_, sender| sender.last_message >= limit);
        self.counters.swept += swept as u64;
        swept
    }

    /// A peer is gone: nobody waits for its roots, and it sends no more.
    pub fn forget(&mut self, peer: PeerId) {
        self.sources.remove(&peer);
        self.senders.remove(&peer);
    }

    /// How many roots have some of their acks.
    pub fn open(&self) -> usize {
        self.sources.values().map(|source| source.ring.open()).sum()
    }

    /// What was seen so far.
    pub fn counters(&self) -> LedgerCounters {
        self.counters
    }

    fn first_sight(&mut self, message: &AckMessage, now: Millis) -> bool {
        let new = || Sender {
            epoch: message.epoch,
            window: SequenceWindow::new(),
            last_message: now,
        };
        let sender = self.senders.entry(message.sender).or_insert_with(new);
        if message.epoch < sender.epoch {
            return false;
        }
        if message.epoch > sender.epoch {
            *sender = new();
        }
        sender.last_message = now;
        sender.window.first_sight(message.sequence)
    }

    fn apply_group(&mut self, group: &AckGroup, now: Millis, completed: &mut Vec<Completions>) {
        let new = || Source {
            epoch: group.epoch,
            ring: Ring::new(),
            last_ack: now,
        };
        let source = self.sources.entry(group.source).or_insert_with(new);
        if group.epoch < source.epoch {
            self.counters.stale += group.acks.len() as u64;
            return;
        }
        if group.epoch > source.epoch {
            *source = new();
        }
        source.last_ack = now;
        let now = tick(now);
        let mut roots = Vec::new();
        for ack in &group.acks {
            match source.ring.ack(ack.root, ack.value, now) {
                RingAck::Open => {}
                RingAck::Complete => roots.push(ack.root),
                RingAck::Late => self.counters.late += 1,
            }
        }
        self.counters.evicted += source.ring.take_evicted();
        self.counters.completed += roots.len() as u64;
        if roots.is_empty() {
            return;
        }
        let known =
            |known: &&mut Completions| known.source == group.source && known.epoch == group.epoch;
        match completed.iter_mut().find(known) {
            Some(known) => known.roots.append(&mut roots),
            None => completed.push(Completions {
                source: group.source,
                epoch: group.epoch,
                roots,
            }),
        }
    }
}

fn tick(time: Millis) -> Tick {
    (time.0 >> 10) as Tick
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::Ack;
    use crate::ids::IdSource;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SWEEP: Duration = Duration::from_secs(480);

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn message(sender: u64, sequence: u64, acks: &[(u64, u64)]) -> AckMessage {
        AckMessage {
            sender: peer(sender),
            epoch: 1,
            sequence,
            groups: vec![AckGroup {
                source: peer(100),
                epoch: 1,
                acks: acks
                    .iter()
                    .map(|&(root, value)| Ack { root, value })
                    .collect(),
            }],
        }
    }

    fn roots(completed: &[Completions]) -> Vec<u64> {
        completed
            .iter()
            .flat_map(|some| some.roots.clone())
            .collect()
    }

    /// The acks of one random tree: each of its tasks draws values for its children and acks.
    fn tree(root: u64, fan_outs: &[usize], ids: &mut IdSource) -> Vec<(u64, u64)> {
        let mut acks = Vec::new();
        let mut unacked = vec![0_u64];
        for &fan_out in fan_outs {
            let Some(received) = unacked.pop() else { break };
            let children: Vec<u64> = (0..fan_out).map(|_| ids.bits()).collect();
            acks.push((
                root,
                children.iter().fold(received, |xor, child| xor ^ child),
            ));
            unacked.extend(children);
        }
        acks.extend(unacked.into_iter().map(|received| (root, received)));
        acks
    }

    /// All acks of some trees, each in a message of its own, in a random order.
    fn shuffled(trees: &[Vec<usize>], seed: u64) -> Vec<AckMessage> {
        let mut ids = IdSource::from_seed(seed);
        let mut acks: Vec<(u64, u64)> = Vec::new();
        for (index, fan_outs) in trees.iter().enumerate() {
            acks.extend(tree(index as u64 + 1, fan_outs, &mut ids));
        }
        for at in (1..acks.len()).rev() {
            acks.swap(at, (ids.bits() % (at as u64 + 1)) as usize);
        }
        let sequenced = acks.iter().zip(1..);
        sequenced
            .map(|(ack, sequence)| message(7, sequence, &[*ack]))
            .collect()
    }

    fn any_trees() -> impl Strategy<Value = Vec<Vec<usize>>> {
        vec(vec(0..4_usize, 1..8), 1..20)
    }

    fn root_of(message: &AckMessage) -> u64 {
        message.groups[0].acks[0].root
    }

    proptest! {
        #[test]
        fn each_root_completes_once_and_only_with_its_last_ack(
            trees in any_trees(),
            seed: u64,
            repeated in vec(any::<prop::sample::Index>(), 0..30),
        ) {
            let messages = shuffled(&trees, seed);
            let mut ledger = Ledger::default();
            for (at, message) in messages.iter().enumerate() {
                let mut completed = Vec::new();
                prop_assert_eq!(ledger.apply(message, Millis(0), &mut completed), Applied::Once);
                let later = &messages[at + 1..];
                let is_last = later.iter().all(|later| root_of(later) != root_of(message));
                let expected = if is_last { vec![root_of(message)] } else { vec![] };
                prop_assert_eq!(roots(&completed), expected);
                for repeated in &repeated {
                    let again = &messages[repeated.index(at + 1)];
                    let mut completed = Vec::new();
                    let refused = ledger.apply(again, Millis(0), &mut completed);
                    prop_assert_eq!((refused, completed), (Applied::Refused, vec![]));
                }
            }
            prop_assert_eq!(ledger.open(), 0);
        }

        #[test]
        fn a_root_that_lost_an_ack_never_completes(
            trees in any_trees(),
            seed: u64,
            lost in any::<prop::sample::Index>(),
        ) {
            let mut messages = shuffled(&trees, seed);
            let lost = messages.remove(lost.index(messages.len()));
            let mut ledger = Ledger::default();
            let mut completed = Vec::new();
            for message in &messages {
                ledger.apply(message, Millis(0), &mut completed);
            }
            prop_assert!(!roots(&completed).contains(&root_of(&lost)));
            prop_assert_eq!(roots(&completed).len(), trees.len() - 1);
        }
    }

    #[test]
    fn a_source_without_children_completes_at_once() {
        let mut completed = Vec::new();
        Ledger::default().apply(&message(7, 1, &[(1, 0)]), Millis(0), &mut completed);
        assert_eq!(roots(&completed), [1]);
    }

    #[test]
    fn late_acks_neither_recreate_nor_complete() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut completed);
        ledger.apply(
            &message(8, 1, &[(1, 5), (1, 5), (1, 0)]),
            Millis(0),
            &mut completed,
        );
        assert_eq!(roots(&completed), [1]);
        assert_eq!((ledger.counters().late, ledger.open()), (2, 0));
    }

    #[test]
    fn an_older_epoch_of_sender_or_source_changes_nothing() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        let mut newer = message(7, 1, &[(1, 5)]);
        newer.epoch = 2;
        newer.groups[0].epoch = 2;
        ledger.apply(&newer, Millis(0), &mut completed);
        let older = message(7, 2, &[(1, 5)]);
        assert_eq!(
            ledger.apply(&older, Millis(0), &mut completed),
            Applied::Refused
        );
        let older = message(8, 1, &[(1, 5)]);
        assert_eq!(
            ledger.apply(&older, Millis(0), &mut completed),
            Applied::Once
        );
        assert_eq!((ledger.counters().stale, completed.len()), (1, 0));
    }

    #[test]
    fn what_is_open_for_too_long_is_swept_and_silent_peers_are_forgotten() {
        let mut ledger = Ledger::default();
        let mut completed = Vec::new();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut completed);
        let later = Millis(0).plus(SWEEP / 2);
        ledger.apply(&message(7, 2, &[(2, 5)]), later, &mut completed);
        assert_eq!(ledger.sweep(later, SWEEP), 0);
        assert_eq!(ledger.sweep(later.plus(SWEEP * 3 / 4), SWEEP), 1);
        ledger.apply(&message(7, 3, &[(1, 5)]), later.plus(SWEEP), &mut completed);
        assert_eq!((completed.len(), ledger.counters().late), (0, 1));
        assert_eq!(ledger.sweep(later.plus(SWEEP * 3), SWEEP), 1);
        assert!(ledger.sources.is_empty() && ledger.senders.is_empty());
    }

    #[test]
    fn a_peer_that_is_gone_leaves_nothing() {
        let mut ledger = Ledger::default();
        ledger.apply(&message(7, 1, &[(1, 5)]), Millis(0), &mut Vec::new());
        ledger.forget(peer(100));
        ledger.forget(peer(7));
        assert!(ledger.sources.is_empty() && ledger.senders.is_empty());
    }
}
