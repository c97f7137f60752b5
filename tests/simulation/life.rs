//! One life of a cluster: random things happen until its time is over, then it comes to rest.

use crate::cluster::{Cluster, Event};
use crate::coverage;
use crate::draw::{self, Group};
use crate::followers::Followers;
use crate::rest;
use crate::rumours::Rumours;
use onyx::ids::{IdSource, JobId, PeerId, WriterId};
use onyx::log::admission::admitted;
use onyx::log::commands::{Command, LeaveCluster, SubmitJob, SubmittedJob};
use onyx::log::{Effect, Step};
use onyx::replica::invariants::violations;
use onyx::replica::{Membership, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Actions for each entry after which nothing new is begun either: some do nothing.
const ACTIONS_PER_ENTRY: usize = 25;
/// Rounds in which a cluster that is left alone has to come to rest.
const ROUNDS: usize = 600;

/// How far tasks run.
#[derive(Clone, Copy)]
enum Tasks {
    GetReady,
    RunToTheirEnds,
}

impl Tasks {
    fn may_go_on(self, cluster: &Cluster, peer: PeerId) -> bool {
        match self {
            Tasks::GetReady => cluster.is_starting(peer),
            Tasks::RunToTheirEnds => true,
        }
    }
}

/// Of a thousand actions: from lives in which nothing goes wrong to those in which all does.
const TROUBLE: [u32; 4] = [0, 5, 20, 80];

pub(crate) struct Life<'a> {
    pub(crate) cluster: Cluster,
    followers: Followers,
    pub(crate) random: StdRng,
    pub(crate) ids: IdSource,
    pub(crate) groups: Vec<Group>,
    /// Peers that a group starts again, sooner or later.
    to_start: Vec<usize>,
    pub(crate) group_of: BTreeMap<PeerId, usize>,
    jobs: usize,
    /// How many of a thousand actions are trouble.
    trouble: u32,
    pub(crate) submitted: Vec<(JobId, SubmittedJob)>,
    /// Ended incarnations of groups that go on, whose leave the group has still to write.
    pub(crate) burials: Vec<PeerId>,
    /// Entries whose collectors have not stored an origin yet.
    pub(crate) collections: Vec<usize>,
    rumours: Option<Rumours>,
    /// After so many entries nothing new is begun.
    entries: usize,
    client: WriterId,
    /// Where every line of the trace goes, if anybody reads it.
    trace: Option<&'a mut dyn FnMut(String)>,
}

impl<'a> Life<'a> {
    pub(crate) fn new(seed: u64, trace: Option<&'a mut dyn FnMut(String)>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut ids = IdSource::from_seed(seed);
        let groups = draw::groups(&mut random, &mut ids);
        let peers = |(index, group): (usize, &Group)| vec![index; group.peers as usize];
        let to_start = groups.iter().enumerate().flat_map(peers).collect();
        let mut cluster = Cluster::default();
        cluster.first = Arc::new(draw::first_replica(&mut random));
        let entries = draw::entries(&mut random);
        let jobs = random.random_range(0..=5);
        let trouble = TROUBLE[random.random_range(0..TROUBLE.len())];
        let client = WriterId(ids.uuid());
        Life {
            followers: Followers::of(&cluster.first),
            cluster,
            random,
            ids,
            groups,
            to_start,
            group_of: BTreeMap::new(),
            jobs,
            trouble,
            submitted: Vec::new(),
            burials: Vec::new(),
            collections: Vec::new(),
            rumours: Rumours::of(seed),
            entries,
            client,
            trace,
        }
    }

    pub(crate) fn run(&mut self) {
        let mut actions = 0;
        let actions_max = self.entries * ACTIONS_PER_ENTRY;
        while self.cluster.steps.len() < self.entries && actions < actions_max {
            actions += 1;
            self.act();
            if let Some(rumours) = &mut self.rumours {
                rumours.spread(&mut self.cluster);
            }
        }
        if let Some(rumours) = &mut self.rumours {
            rumours.say_all(&mut self.cluster);
        }
        self.settle();
        assert_eq!(self.followers.read(), self.cluster.steps.len());
        rest::check(&self.cluster);
    }

    fn act(&mut self) {
        if self.random.random_range(0..1000) < self.trouble {
            return self.make_trouble();
        }
        match self.random.random_range(0..200) {
            0..=1 => self.start_one(),
            2..=4 => self.lose_a_pulse(),
            5 => self.bury(),
            6 => self.submit(),
            7 => self.rejoin_one(),
            8..=17 => self.notice_one(),
            18..=39 => self.work_one(),
            40..=79 => self.write_one(),
            _ => self.read_one(),
        }
    }

    /// Nothing new happens; everybody does what there is to do, in rounds: first until all jobs that
    /// have peers could begin, then to their ends.
    fn settle(&mut self) {
        while self.jobs > 0 {
            self.submit();
        }
        self.come_to_rest(Tasks::GetReady);
        rest::check_shares(&self.cluster);
        self.come_to_rest(Tasks::RunToTheirEnds);
    }

    fn come_to_rest(&mut self, tasks: Tasks) {
        for _ in 0..ROUNDS {
            let before = self.cluster.steps.len();
            self.cluster
                .lingering()
                .iter()
                .for_each(|pulse| self.expire(*pulse));
            while !self.burials.is_empty() {
                self.bury();
            }
            self.start_admitted();
            let mut idle = true;
            for peer in self.living() {
                while self.read(peer) {}
                self.cluster.speak_up(peer);
                self.cluster.rejoin(peer);
                while tasks.may_go_on(&self.cluster, peer) && self.cluster.work(peer).is_some() {
                    idle = false;
                }
            }
            // Not everybody writes in every round, or joiners would meet for ever.
            for peer in self.living() {
                while self.random.random_bool(0.7) && self.write(peer) {}
            }
            let waiting =
                self.cluster.peers.values().any(|peer| {
                    !peer.outbox.is_empty() || peer.rejoin_is_due || peer.next < before
                });
            let all_started = self.to_start.is_empty();
            if idle && all_started && !waiting && self.cluster.steps.len() == before {
                return;
            }
        }
        panic!(
            "no rest after {ROUNDS} rounds: {:?}",
            self.cluster.replica().membership
        );
    }

    /// Every group starts as many of its peers as it may.
    fn start_admitted(&mut self) {
        let replica = self.cluster.replica();
        let mut waiting = std::mem::take(&mut self.to_start);
        waiting.sort_unstable();
        for group in waiting {
            match self.is_admitted(group, &replica.membership) {
                true => self.start(group),
                false => self.to_start.push(group),
            }
        }
    }

    fn is_admitted(&self, group: usize, membership: &Membership) -> bool {
        let living = self.cluster.peers.keys().copied();
        let of_group = living.filter(|peer| self.group_of[peer] == group);
        let of_group: Vec<PeerId> = of_group.collect();
        admitted(membership, self.groups[group].member.group, &of_group) > 0
    }

    /// How many jobs completed, remembered or collected.
    pub(crate) fn completed(&self) -> usize {
        let replica = self.cluster.replica();
        let completed = |(job, _): &&(JobId, SubmittedJob)| {
            replica.jobs.outcome_of(*job) == Some(Outcome::Completed)
        };
        self.submitted.iter().filter(completed).count()
    }

    pub(crate) fn living(&self) -> Vec<PeerId> {
        self.cluster.peers.keys().copied().collect()
    }

    pub(crate) fn any(&mut self) -> Option<PeerId> {
        let index = self.random.random_range(0..self.cluster.peers.len().max(1));
        self.cluster.peers.keys().nth(index).copied()
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace(shorten(&what()));
        }
    }

    /// Groups start peers when there is room for them; but what they know of it may be old.
    fn start_one(&mut self) {
        if self.to_start.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.to_start.len());
        let replica = self.cluster.replica();
        let has_room = self.is_admitted(self.to_start[index], &replica.membership);
        if has_room || self.random.random_bool(0.2) {
            let group = self.to_start.swap_remove(index);
            self.start(group);
        }
    }

    fn start(&mut self, group: usize) {
        let peer = self.ids.peer();
        self.group_of.insert(peer, group);
        self.cluster.start(peer, self.groups[group].member.clone());
        self.say(|| format!("{peer} starts in group {group}"));
    }

    /// Ends an incarnation; sooner or later its group says so and starts another.
    pub(crate) fn end(&mut self, peer: PeerId) {
        self.cluster.crash(peer);
        self.to_start.extend(self.group_of.get(&peer));
        self.burials.push(peer);
    }

    /// A group deletes the pulse of a peer that ended, and writes its leave.
    fn bury(&mut self) {
        if self.burials.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.burials.len());
        let peer = self.burials.swap_remove(index);
        self.cluster.pulses.remove(&peer);
        self.write_leave(self.group_of[&peer], [peer]);
    }

    /// As the group.
    pub(crate) fn write_leave(&mut self, group: usize, peers: impl IntoIterator<Item = PeerId>) {
        let writer = self.groups[group].member.group.into();
        if let Some(leave) = LeaveCluster::of_all(peers) {
            let step = self.cluster.append(writer, Command::LeaveCluster(leave));
            self.check(&step);
        }
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
        let job = draw::job(&mut self.random, format!("job-{}", self.submitted.len()));
        self.submitted.push((id, job.clone()));
        self.write_as_client(Command::SubmitJob(SubmitJob { id, job }));
    }

    pub(crate) fn write_as_client(&mut self, command: Command) {
        let step = self.cluster.append(self.client, command);
        self.check(&step);
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
            let payload = self.cluster.payload(step.position.0 as usize);
            let again = self.cluster.append_payload(payload);
            assert_eq!(again.old, again.new);
            self.check(&again);
        }
        true
    }

    pub(crate) fn check(&mut self, step: &Step) {
        self.say(|| {
            let Step {
                position,
                entry,
                ignored,
                ..
            } = step;
            let outcome = ignored.map_or("changed".into(), |reason| format!("ignored: {reason:?}"));
            match entry {
                Ok(entry) => {
                    let writer = entry.source.map(|source| source.writer);
                    format!("{position} {writer:?} {:?}: {outcome}", entry.command)
                }
                Err(_) => format!("{position} unreadable: {outcome}"),
            }
        });
        // A debug build has looked already, when it applied the entry.
        if cfg!(not(debug_assertions)) {
            let found = violations(&step.new, step.position);
            assert!(found.is_empty(), "after entry {}: {found:?}", step.position);
        }
        self.followers.read_next(step);
        if !Arc::ptr_eq(&step.old.allocations, &step.new.allocations) {
            coverage::check(&step.new);
        }
        rest::check_completed(&self.cluster, step);
    }

    /// A collector stores its origin, unless there is a newer one; whoever starts now begins there.
    pub(crate) fn store_origin(&mut self, at: usize) {
        self.cluster.store_origin(at);
        if let Some((stored, origin)) = &self.cluster.origin
            && *stored == at
        {
            self.followers.begin(at, origin, &self.cluster.steps);
        }
        self.say(|| format!("an origin is stored at {at}"));
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

    fn notice_one(&mut self) {
        let Some(peer) = self.any() else { return };
        // Others may have been quicker, or never be.
        let gone = match self.random.random_bool(0.8) {
            true => self.cluster.notice(peer),
            false => self.cluster.speak_up(peer),
        };
        for gone in gone {
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

/// The text with the first digits of each id in place of the id.
fn shorten(text: &str) -> String {
    const ID: usize = 36;
    const SHOWN: usize = 4;
    let mut short = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..ID).filter(|id| id.parse::<Uuid>().is_ok()) {
            Some(id) => {
                short.push_str(&id[..SHOWN]);
                rest = &rest[ID..];
            }
            None => {
                short.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    short
}
