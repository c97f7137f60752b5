//! One life of a cluster: random things happen until its time is over, then it comes to rest.

use crate::cluster::{Cluster, Event, tasks};
use crate::rest;
use onyx::ids::{GroupId, IdSource, JobId, LogPosition, PeerId, WriterId};
use onyx::log::commands::{
    AbortJoinCluster, AcceptJoinCluster, Command, KillJob, LeaveCluster, NotifyJoinCluster,
    SubmitJob, SubmittedJob,
};
use onyx::log::wants::AfterJump;
use onyx::log::{Effect, Step, Unreadable};
use onyx::replica::invariants::violations;
use onyx::replica::{Member, Site};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries after which nothing new is begun.
const ENTRIES: usize = 160;
/// Actions after which nothing new is begun either: some do nothing.
const ACTIONS: usize = 4_000;
/// Rounds in which a cluster that is left alone has to come to rest.
const ROUNDS: usize = 400;

const JOBS: [&str; 8] = [
    "in:i>out out:o",
    "in:i>f:1-1 f:f>out:2- out:o:1-1",
    "in:i>out:1-3 out:o:1-2",
    "one:i>f two:i>f f:f>out,log out:o log:o",
    "in:i>out!fn:x out:o!fn:y",
    "in:i>f!fn:x f:f>out:2-!fn:y out:o",
    "in:i>out:1-4 out:o:1-1",
    "in:i>out:9- out:o:9-",
];
/// Of a thousand actions: from lives in which nothing goes wrong to those in which all does.
const TROUBLE: [u32; 4] = [0, 5, 20, 80];
const WORDS: [&str; 4] = ["fn:x fn:y", "fn:x fn:y", "fn:x", ""];

pub(crate) struct Life<'a> {
    pub(crate) cluster: Cluster,
    random: StdRng,
    ids: IdSource,
    /// What each group's peers say of themselves.
    groups: Vec<Member>,
    /// Peers that a group starts again, sooner or later.
    to_start: Vec<usize>,
    group_of: BTreeMap<PeerId, usize>,
    jobs: usize,
    /// How many of a thousand actions are trouble.
    trouble: u32,
    submitted: Vec<JobId>,
    client: WriterId,
    /// Where every line of the trace goes, if anybody reads it.
    trace: Option<&'a mut dyn FnMut(String)>,
}

impl<'a> Life<'a> {
    pub(crate) fn new(seed: u64, trace: Option<&'a mut dyn FnMut(String)>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut ids = IdSource::from_seed(seed);
        let mut groups = Vec::new();
        let mut to_start = Vec::new();
        for group in 0..random.random_range(1..=4) {
            let words = WORDS[random.random_range(0..WORDS.len())];
            groups.push(Member {
                group: GroupId(ids.uuid()),
                site: Site(format!("site-{group}")),
                words: Arc::new(words.split_whitespace().map(String::from).collect()),
                tags: Arc::default(),
            });
            to_start.extend(vec![group; random.random_range(1..=5)]);
        }
        let jobs = random.random_range(0..=5);
        let trouble = TROUBLE[random.random_range(0..TROUBLE.len())];
        let client = WriterId(ids.uuid());
        Life {
            cluster: Cluster::default(),
            random,
            ids,
            groups,
            to_start,
            group_of: BTreeMap::new(),
            jobs,
            trouble,
            submitted: Vec::new(),
            client,
            trace,
        }
    }

    pub(crate) fn run(&mut self) {
        let mut actions = 0;
        while self.cluster.steps.len() < ENTRIES && actions < ACTIONS {
            actions += 1;
            self.act();
        }
        self.settle();
        rest::check(&self.cluster);
    }

    fn act(&mut self) {
        if self.random.random_range(0..1000) < self.trouble {
            return self.make_trouble();
        }
        match self.random.random_range(0..200) {
            0..=1 => self.start_one(),
            2..=5 => self.lose_a_pulse(),
            6 => self.submit(),
            7 => self.rejoin_one(),
            8..=17 => self.notice_one(),
            18..=39 => self.work_one(),
            40..=79 => self.write_one(),
            _ => self.read_one(),
        }
    }

    fn make_trouble(&mut self) {
        match self.random.random_range(0..16) {
            0..=4 => self.crash_one(),
            5 => self.crash_group(),
            6 => self.leave_group(),
            7 => self.kill_job(),
            8 => self.accuse(),
            9..=11 => self.say_something_stray(),
            _ => self.jump_one(),
        }
    }

    /// Nothing new happens; everybody does what there is to do, in rounds.
    fn settle(&mut self) {
        while self.jobs > 0 {
            self.submit();
        }
        while !self.to_start.is_empty() {
            self.start_one();
        }
        for _ in 0..ROUNDS {
            let before = self.cluster.steps.len();
            self.cluster
                .lingering()
                .iter()
                .for_each(|pulse| self.expire(*pulse));
            let mut idle = true;
            for peer in self.living() {
                while self.read(peer) {}
                self.cluster.notice(peer);
                self.cluster.rejoin(peer);
                while self.cluster.work(peer).is_some() {
                    idle = false;
                }
            }
            // Not everybody writes in every round, or joiners would meet for ever.
            for peer in self.living() {
                while self.random.random_bool(0.7) && self.write(peer) {}
            }
            while !self.to_start.is_empty() {
                self.start_one();
            }
            let waiting =
                self.cluster.peers.values().any(|peer| {
                    !peer.outbox.is_empty() || peer.rejoin_is_due || peer.next < before
                });
            if idle && !waiting && self.cluster.steps.len() == before {
                return;
            }
        }
        panic!(
            "no rest after {ROUNDS} rounds: {:?}",
            self.cluster.replica().membership
        );
    }

    fn living(&self) -> Vec<PeerId> {
        self.cluster.peers.keys().copied().collect()
    }

    fn any(&mut self) -> Option<PeerId> {
        let index = self.random.random_range(0..self.cluster.peers.len().max(1));
        self.cluster.peers.keys().nth(index).copied()
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace(what());
        }
    }

    fn start_one(&mut self) {
        if self.to_start.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.to_start.len());
        let group = self.to_start.swap_remove(index);
        let peer = self.ids.peer();
        self.group_of.insert(peer, group);
        self.cluster.start(peer, self.groups[group].clone());
        self.say(|| format!("{peer} starts in group {group}"));
    }

    /// Ends an incarnation; sooner or later its group starts another.
    fn end(&mut self, peer: PeerId) {
        self.cluster.crash(peer);
        self.to_start.extend(self.group_of.get(&peer));
    }

    fn crash_one(&mut self) {
        if let Some(peer) = self.any() {
            self.say(|| format!("{peer} crashes"));
            self.end(peer);
        }
    }

    fn peers_of(&mut self) -> (usize, Vec<PeerId>) {
        let group = self.random.random_range(0..self.groups.len());
        let living = self.living();
        let peers = living
            .into_iter()
            .filter(|peer| self.group_of[peer] == group)
            .collect();
        (group, peers)
    }

    fn crash_group(&mut self) {
        let (group, peers) = self.peers_of();
        self.say(|| format!("group {group} crashes"));
        peers.into_iter().for_each(|peer| self.end(peer));
    }

    /// A group ends in good order: one entry for all its peers.
    fn leave_group(&mut self) {
        let (group, peers) = self.peers_of();
        let Some((id, also)) = peers.split_first() else {
            return;
        };
        self.say(|| format!("group {group} leaves"));
        peers.iter().for_each(|peer| self.end(*peer));
        let leave = LeaveCluster {
            id: *id,
            also: also.to_vec(),
        };
        let writer = self.groups[group].group.into();
        let step = self.cluster.append(writer, Command::LeaveCluster(leave));
        self.check(&step);
    }

    fn expire(&mut self, pulse: PeerId) {
        self.cluster.pulses.remove(&pulse);
        self.say(|| format!("the pulse of {pulse} is gone"));
    }

    fn lose_a_pulse(&mut self) {
        if let Some(pulse) = self.cluster.lingering().first() {
            self.expire(*pulse);
        }
    }

    fn submit(&mut self) {
        if self.jobs == 0 {
            return;
        }
        self.jobs -= 1;
        let id = self.ids.job();
        let tasks = tasks(JOBS[self.random.random_range(0..JOBS.len())]);
        self.submitted.push(id);
        let job = SubmittedJob::new(format!("job-{}", self.submitted.len()), tasks);
        self.write_as_client(Command::SubmitJob(SubmitJob { id, job }));
    }

    fn kill_job(&mut self) {
        let index = self.random.random_range(0..self.submitted.len().max(1));
        if let Some(job) = self.submitted.get(index) {
            self.write_as_client(Command::KillJob(KillJob::new(*job, Some("enough".into()))));
        }
    }

    fn write_as_client(&mut self, command: Command) {
        let step = self.cluster.append(self.client, command);
        self.check(&step);
    }

    /// A living peer is said to be gone.
    fn accuse(&mut self) {
        if let Some(peer) = self.any() {
            self.write_as_client(Command::LeaveCluster(LeaveCluster::of(peer)));
        }
    }

    /// Entries that nobody should have written.
    fn say_something_stray(&mut self) {
        let (Some(one), Some(other)) = (self.any(), self.any()) else {
            return;
        };
        let (accepted_observer, accepted_joiner) = (one, other);
        let accept = AcceptJoinCluster {
            observer: one,
            subject: other,
            accepted_observer,
            accepted_joiner,
        };
        match self.random.random_range(0..4) {
            0 => self.write_as_client(Command::AbortJoinCluster(AbortJoinCluster { id: one })),
            1 => {
                let notify = NotifyJoinCluster { observer: one };
                self.write_as_client(Command::NotifyJoinCluster(notify));
            }
            2 => self.write_as_client(Command::AcceptJoinCluster(accept)),
            _ => {
                let step = self.cluster.append_payload(Err(Unreadable("noise".into())));
                self.check(&step);
            }
        }
    }

    fn write_one(&mut self) {
        if let Some(peer) = self.any() {
            self.write(peer);
        }
    }

    fn write(&mut self, peer: PeerId) -> bool {
        let Some(step) = self.cluster.write(peer) else {
            return false;
        };
        self.check(&step);
        // The outcome of a write may be unknown; then it is written again.
        if self.random.random_bool(0.1) {
            let entry = step.entry.clone();
            let again = self
                .cluster
                .append_payload(entry.ok_or(Unreadable(String::new())));
            assert_eq!(again.old, again.new);
            self.check(&again);
        }
        true
    }

    fn check(&mut self, step: &Step) {
        self.say(|| {
            let Step {
                position,
                entry,
                ignored,
                ..
            } = step;
            let outcome = ignored.map_or("changed".into(), |reason| format!("ignored: {reason:?}"));
            match entry {
                Some(entry) => {
                    let writer = entry.source.map(|source| source.writer);
                    format!("{position} {writer:?} {:?}: {outcome}", entry.command)
                }
                None => format!("{position} unreadable: {outcome}"),
            }
        });
        let found = violations(&step.new, step.position);
        assert!(found.is_empty(), "after entry {}: {found:?}", step.position);
    }

    fn read_one(&mut self) {
        if let Some(peer) = self.any() {
            self.read(peer);
        }
    }

    fn read(&mut self, peer: PeerId) -> bool {
        let Some(events) = self.cluster.read(peer) else {
            return false;
        };
        if events.contains(&Event::Effect(Effect::Restart)) {
            self.say(|| format!("{peer} restarts"));
            self.end(peer);
        }
        true
    }

    fn jump_one(&mut self) {
        let Some(peer) = self.any() else { return };
        let position = LogPosition(self.cluster.steps.len() as u64);
        self.say(|| format!("{peer} jumps to {position}"));
        if self.cluster.jump(peer) == Some(AfterJump::Restart) {
            self.end(peer);
        }
    }

    fn notice_one(&mut self) {
        let Some(peer) = self.any() else { return };
        for gone in self.cluster.notice(peer) {
            self.say(|| format!("{peer} notices that {gone} is gone"));
        }
    }

    fn rejoin_one(&mut self) {
        if let Some(peer) = self.any() {
            self.cluster.rejoin(peer);
        }
    }

    fn work_one(&mut self) {
        let Some(peer) = self.any() else { return };
        if let Some(phase) = self.cluster.work(peer) {
            self.say(|| format!("the task of {peer} is {phase:?}"));
        }
    }
}
