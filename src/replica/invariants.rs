//! What must hold of every replica, named and numbered, so that a failing one can be looked up.
//!
//! Checked by tests, by the simulation and the model checker after every step, by debug builds after
//! every entry, and by release builds after a sample of them. They are never the reason for a crash
//! of a running node.

use super::{Allocation, JobRecord, Jobs, Membership, Replica, Site, Slots, TaskRecord};
use crate::config::Transport;
use crate::ids::{GroupId, JobId, LogPosition, PeerId};
use crate::job::TaskScheduler;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Allocated peers are joined.
    AllocatedPeersAreJoined,
    /// A peer holds at most one slot of all jobs and tasks.
    OneSlotPerPeer,
    /// Slots are small: below the maximum of their task.
    SlotsAreSmall,
    /// Every task of an allocated job has between its minimum and its maximum of peers.
    CountsWithinBounds,
    /// Every job is in exactly one list and has a record, or has a tombstone and neither.
    OneListPerJob,
    /// Allocations and progress are of live jobs, and of tasks they have.
    OnlyLiveJobsRun,
    /// The ring is one cycle over all joined peers; empty when there are fewer than two.
    OneRing,
    /// Observers are joined and help one joiner; joiners are not joined and have one observer.
    JoinsAreDistinct,
    /// Members are the joined and the joining peers.
    MembersAreKnown,
    /// An allocated peer knows the words of its task and has its tags.
    WordsAreCovered,
    /// Versions and losses are not after the entry that was applied last.
    VersionsArePast,
    /// Ready peers are peers of the job.
    ReadyPeersAreAllocated,
    /// State logs are of live jobs, and of tasks they have.
    StateLogsAreOfLiveJobs,
    /// A state log is in use by one slot, or is to be deleted.
    OneOwnerPerStateLog,
    /// Ackers are peers of the job, sorted, of no exempt task, and as many as the job says.
    AckersAreChosen,
    /// Where segments do not leave their process, neither does a job.
    OneProcessPerJob,
    /// A colocated job has as many peers for each task at every site where it is.
    CopiesAreWhole,
}

impl Invariant {
    /// Its number and name, for people.
    pub fn code(self) -> &'static str {
        match self {
            Invariant::AllocatedPeersAreJoined => "RI-1 allocated-peers-are-joined",
            Invariant::OneSlotPerPeer => "RI-2 one-slot-per-peer",
            Invariant::SlotsAreSmall => "RI-3 slots-are-small",
            Invariant::CountsWithinBounds => "RI-4 counts-within-bounds",
            Invariant::OneListPerJob => "RI-5 one-list-per-job",
            Invariant::OnlyLiveJobsRun => "RI-6 only-live-jobs-run",
            Invariant::OneRing => "RI-7 one-ring",
            Invariant::JoinsAreDistinct => "RI-8 joins-are-distinct",
            Invariant::MembersAreKnown => "RI-9 members-are-known",
            Invariant::WordsAreCovered => "RI-10 words-are-covered",
            Invariant::VersionsArePast => "RI-11 versions-are-past",
            Invariant::ReadyPeersAreAllocated => "RI-12 ready-peers-are-allocated",
            Invariant::StateLogsAreOfLiveJobs => "RI-13 state-logs-are-of-live-jobs",
            Invariant::OneOwnerPerStateLog => "RI-14 one-owner-per-state-log",
            Invariant::AckersAreChosen => "RI-15 ackers-are-chosen",
            Invariant::OneProcessPerJob => "RI-16 one-process-per-job",
            Invariant::CopiesAreWhole => "RI-17 copies-are-whole",
        }
    }
}

/// An invariant that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Of whom or what.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.code(), self.detail)
    }
}

/// Running nodes look at the replica after every so many entries, all after the same ones.
const SAMPLED_EVERY: u64 = 256;

/// What [`violations`] finds, of a sample of the positions: what a node can afford.
pub fn sampled(replica: &Replica, position: LogPosition) -> Vec<Violation> {
    match position.0.is_multiple_of(SAMPLED_EVERY) {
        true => violations(replica, position),
        false => Vec::new(),
    }
}

/// Everything that does not hold of the replica after the entry at `position`.
pub fn violations(replica: &Replica, position: LogPosition) -> Vec<Violation> {
    let mut found = Findings::default();
    let joined: BTreeSet<PeerId> = replica.membership.peers.iter().copied().collect();
    check_ring(&replica.membership, &joined, &mut found);
    check_joins(&replica.membership, &joined, &mut found);
    check_jobs(replica, &mut found);
    check_slots(replica, &joined, &mut found);
    check_state_logs(replica, &mut found);
    for (job, allocation) in replica.allocations.iter() {
        let Some(record) = replica.record(*job) else {
            found.add(Invariant::OnlyLiveJobsRun, format!("{job} has no record"));
            continue;
        };
        check_allocation(replica, *job, record, allocation, &mut found);
        check_ackers(*job, record, allocation, &mut found);
        check_sites(replica, *job, record, allocation, &mut found);
        let latest = allocation
            .last_loss
            .unwrap_or_default()
            .max(allocation.version);
        found.require(latest <= position, Invariant::VersionsArePast, || {
            format!("{job} speaks of {latest} at {position}")
        });
    }
    found.0
}

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, invariant: Invariant, detail: String) {
        self.0.push(Violation { invariant, detail });
    }

    fn require(&mut self, holds: bool, invariant: Invariant, detail: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, detail());
        }
    }
}

fn check_ring(membership: &Membership, joined: &BTreeSet<PeerId>, found: &mut Findings) {
    let count = membership.peers.len();
    found.require(joined.len() == count, Invariant::OneRing, || {
        "a peer joined twice".into()
    });
    if count < 2 {
        found.require(membership.pairs.is_empty(), Invariant::OneRing, || {
            format!("{count} joined, but somebody watches")
        });
        return;
    }
    let all_watch = membership.pairs.keys().eq(joined);
    found.require(all_watch, Invariant::OneRing, || {
        let watchers = membership.pairs.len();
        format!("{watchers} watch of {count} that are joined, or others do")
    });
    let length = cycle_length(membership, membership.peers[0], count);
    found.require(length == Some(count), Invariant::OneRing, || {
        format!("the cycle of the first peer is not one of all {count}: {length:?}")
    });
}

/// How many steps lead back to where they began, if that many do.
fn cycle_length(membership: &Membership, start: PeerId, at_most: usize) -> Option<usize> {
    let mut at = start;
    for length in 1..=at_most {
        at = *membership.pairs.get(&at)?;
        if at == start {
            return Some(length);
        }
    }
    None
}

fn check_joins(membership: &Membership, joined: &BTreeSet<PeerId>, found: &mut Findings) {
    let mut observers = BTreeSet::new();
    let mut joiners = BTreeSet::new();
    for (observer, joiner) in membership.prepared.iter().chain(&membership.accepted) {
        let new =
            observers.insert(*observer) && !joined.contains(joiner) && joiners.insert(*joiner);
        found.require(new, Invariant::JoinsAreDistinct, || {
            format!("{observer} helps {joiner}, one of whom is busy or joined")
        });
        found.require(
            joined.contains(observer),
            Invariant::JoinsAreDistinct,
            || format!("the observer {observer} is not joined"),
        );
    }
    let members = &membership.members;
    let strangers = joined
        .iter()
        .chain(&joiners)
        .filter(|it| !members.contains_key(it));
    let ghosts = members
        .keys()
        .filter(|it| !joined.contains(it) && !joiners.contains(it));
    for peer in strangers.chain(ghosts) {
        found.add(
            Invariant::MembersAreKnown,
            format!("{peer} is a member in one list only"),
        );
    }
}

fn check_jobs(replica: &Replica, found: &mut Findings) {
    let jobs = &replica.jobs;
    let lists = [&jobs.live, &jobs.completed, &jobs.killed];
    let mut listed: Vec<JobId> = lists.into_iter().flatten().copied().collect();
    listed.sort_unstable();
    if !jobs.records.keys().eq(&listed) {
        check_lists(jobs, &listed, found);
    }
    for job in &listed {
        let buried = jobs.tombstones.contains_key(job);
        found.require(!buried, Invariant::OneListPerJob, || {
            format!("{job} has a tombstone and is listed")
        });
    }
    for job in replica.allocations.keys().chain(replica.progress.keys()) {
        found.require(jobs.is_live(*job), Invariant::OnlyLiveJobsRun, || {
            format!("{job} is not live")
        });
    }
    for (job, progress) in replica.progress.iter() {
        let marks = progress
            .exhausted
            .iter()
            .chain(&progress.sealed)
            .map(|(task, _)| task);
        for task in marks.chain(&progress.exhausted_tasks) {
            let has_task = replica
                .record(*job)
                .is_some_and(|record| record.task(task).is_some());
            found.require(has_task, Invariant::OnlyLiveJobsRun, || {
                format!("{job} has marks of {task}, which it has not")
            });
        }
    }
}

/// Says which jobs are not listed once, or have only one of list and record.
fn check_lists(jobs: &Jobs, listed: &[JobId], found: &mut Findings) {
    for twice in listed.windows(2).filter(|pair| pair[0] == pair[1]) {
        found.add(
            Invariant::OneListPerJob,
            format!("{} is listed twice", twice[0]),
        );
    }
    let listed: BTreeSet<JobId> = listed.iter().copied().collect();
    let recorded: BTreeSet<JobId> = jobs.records.keys().copied().collect();
    for job in recorded.symmetric_difference(&listed) {
        found.add(
            Invariant::OneListPerJob,
            format!("{job} has only one of list and record"),
        );
    }
}

fn check_slots(replica: &Replica, joined: &BTreeSet<PeerId>, found: &mut Findings) {
    let mut holders = BTreeMap::new();
    for (job, allocation) in replica.allocations.iter() {
        for peer in allocation.leaving.difference(joined) {
            found.add(
                Invariant::AllocatedPeersAreJoined,
                format!("{peer} leaves {job}"),
            );
        }
        for (task, slots) in &allocation.tasks {
            for (slot, peer) in slots {
                found.require(
                    joined.contains(peer),
                    Invariant::AllocatedPeersAreJoined,
                    || format!("{peer} has slot {slot} of {task} of {job}"),
                );
                let other = holders.insert(*peer, (job, task, slot));
                found.require(other.is_none(), Invariant::OneSlotPerPeer, || {
                    format!("{peer} has slot {slot} of {task} of {job}, and another")
                });
            }
        }
    }
}

fn check_state_logs(replica: &Replica, found: &mut Findings) {
    for (job, tasks) in &replica.state_logs.logs {
        let record = replica.record(*job).filter(|_| replica.jobs.is_live(*job));
        for task in tasks.keys() {
            let has_task = record.is_some_and(|record| record.task(task).is_some());
            found.require(has_task, Invariant::StateLogsAreOfLiveJobs, || {
                format!("{job} is not live with a task {task}, which has logs")
            });
        }
    }
    let mut owned = replica.state_logs.marked.clone();
    for (job, log) in replica.state_logs.in_use() {
        found.require(owned.insert(log), Invariant::OneOwnerPerStateLog, || {
            format!("log {log} of {job} belongs elsewhere too")
        });
    }
}

fn check_allocation(
    replica: &Replica,
    job: JobId,
    record: &JobRecord,
    allocation: &Allocation,
    found: &mut Findings,
) {
    let unknown = allocation
        .tasks
        .keys()
        .filter(|task| record.task(task).is_none());
    for task in unknown {
        found.add(
            Invariant::OnlyLiveJobsRun,
            format!("{job} has no task {task}"),
        );
    }
    for task in &record.tasks {
        let slots = allocation.tasks.get(&task.name);
        let count = slots.map_or(0, Slots::len) as u64;
        let most = task.max_peers.map_or(u64::MAX, u64::from);
        let within = (u64::from(task.min_peers).max(1)..=most).contains(&count);
        found.require(within, Invariant::CountsWithinBounds, || {
            format!("{} of {job} has {count} peers", task.name)
        });
        for (slot, peer) in slots.into_iter().flatten() {
            found.require(u64::from(slot.0) < most, Invariant::SlotsAreSmall, || {
                format!(
                    "slot {slot} of {} of {job}, which has at most {most}",
                    task.name
                )
            });
            let member = replica.membership.members.get(peer);
            let is_able = member.is_some_and(|member| {
                task.words.is_subset(&member.words) && task.required_tags.is_subset(&member.tags)
            });
            found.require(is_able, Invariant::WordsAreCovered, || {
                format!("{peer} lacks words or tags of {} of {job}", task.name)
            });
        }
    }
    for peer in &allocation.ready {
        found.require(
            allocation.place_of(*peer).is_some(),
            Invariant::ReadyPeersAreAllocated,
            || format!("{peer} is ready for {job} without a slot"),
        );
    }
}

fn check_ackers(job: JobId, record: &JobRecord, allocation: &Allocation, found: &mut Findings) {
    let exempt = |task: &&TaskRecord| record.ackers.spares(task);
    let spared: BTreeSet<PeerId> = record
        .tasks
        .iter()
        .filter(exempt)
        .flat_map(|task| allocation.tasks.get(&task.name))
        .flat_map(|slots| slots.values().copied())
        .collect();
    let peers: BTreeSet<PeerId> = allocation.peers().collect();
    let eligible: BTreeSet<PeerId> = peers.difference(&spared).copied().collect();
    let ackers = &allocation.ackers;
    let sorted = ackers.is_sorted_by(|one, next| one < next);
    let allowed = ackers.iter().all(|acker| eligible.contains(acker));
    let percentage = record.ackers.percentage;
    let wanted = percentage.map_or(0, |percentage| percentage.of_rounded_up(peers.len()));
    let as_many = ackers.len() == wanted.min(eligible.len());
    found.require(
        sorted && allowed && as_many,
        Invariant::AckersAreChosen,
        || {
            format!(
                "{job} has {} ackers of {} eligible peers",
                ackers.len(),
                eligible.len()
            )
        },
    );
}

fn check_sites(
    replica: &Replica,
    job: JobId,
    record: &JobRecord,
    allocation: &Allocation,
    found: &mut Findings,
) {
    let member = |peer: &PeerId| replica.membership.members.get(peer);
    if replica.agreed.messaging == Transport::Local {
        let peers: Vec<PeerId> = allocation.peers().collect();
        let groups = peers.iter().filter_map(member).map(|member| member.group);
        let groups: BTreeSet<GroupId> = groups.collect();
        found.require(groups.len() <= 1, Invariant::OneProcessPerJob, || {
            format!("{job} is in {} processes", groups.len())
        });
    }
    if record.task_scheduler == TaskScheduler::Colocated {
        let at_sites = |slots: &Slots| {
            let mut sites: BTreeMap<&Site, usize> = BTreeMap::new();
            for member in slots.values().filter_map(member) {
                *sites.entry(&member.site).or_default() += 1;
            }
            sites
        };
        let distinct: Vec<_> = allocation.tasks.values().map(at_sites).collect();
        let whole = distinct.windows(2).all(|tasks| tasks[0] == tasks[1]);
        found.require(whole, Invariant::CopiesAreWhole, || {
            format!("{job} has a part of a copy at some site")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SlotId, StateLogId};
    use crate::replica::SharedMap;
    use crate::replica::sample::{job_id, joined, member, peer, record};
    use std::sync::Arc;

    /// Two peers that run one job.
    fn sound() -> Replica {
        let mut replica = Replica {
            membership: Arc::new(joined("a b")),
            ..Replica::default()
        };
        Arc::make_mut(&mut replica.jobs).submit(job_id(0), record("in:i>out:1-1 out:o"));
        let slot = |name| Slots::from([(SlotId(0), peer(name))]);
        let allocation = Allocation {
            tasks: [("in".into(), slot("a")), ("out".into(), slot("b"))].into(),
            ..Allocation::default()
        };
        Arc::make_mut(&mut replica.allocations).insert(job_id(0), Arc::new(allocation));
        replica
    }

    fn broken(spoil: impl FnOnce(&mut Replica)) -> Vec<Invariant> {
        let mut replica = sound();
        spoil(&mut replica);
        let found = violations(&replica, LogPosition(9));
        found
            .into_iter()
            .map(|violation| violation.invariant)
            .collect()
    }

    fn spoil_allocation(spoil: impl FnOnce(&mut Allocation)) -> Vec<Invariant> {
        broken(|replica| {
            let allocations = Arc::make_mut(&mut replica.allocations);
            spoil(Arc::make_mut(allocations.get_mut(&job_id(0)).unwrap()));
        })
    }

    #[test]
    fn running_nodes_look_at_a_sample() {
        let ghost = Replica {
            membership: Arc::new(Membership {
                peers: vec![peer("a")],
                ..Membership::default()
            }),
            ..Replica::default()
        };
        let found = |position| sampled(&ghost, LogPosition(position)).len();
        assert_eq!([0, 1, 64, 255, 256].map(found), [1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_sound_replica_has_no_violations() {
        assert_eq!(broken(|_| {}), []);
    }

    #[test]
    fn spoiled_allocations_are_found() {
        let slot = |slot, name| Slots::from([(SlotId(slot), peer(name))]);
        let with = |task: &str, slots| {
            spoil_allocation(|allocation| {
                allocation.tasks.insert(task.into(), slots);
            })
        };
        assert!(with("in", slot(0, "z")).contains(&Invariant::AllocatedPeersAreJoined));
        assert_eq!(with("in", slot(0, "b")), [Invariant::OneSlotPerPeer]);
        assert_eq!(with("in", slot(1, "a")), [Invariant::SlotsAreSmall]);
        assert_eq!(
            with("in", Slots::default()),
            [Invariant::CountsWithinBounds]
        );
        assert!(with("other", Slots::default()).contains(&Invariant::OnlyLiveJobsRun));
        let ready = spoil_allocation(|allocation| {
            allocation.ready.insert(peer("z"));
        });
        assert_eq!(ready, [Invariant::ReadyPeersAreAllocated]);
        let version = spoil_allocation(|allocation| allocation.version = LogPosition(10));
        assert_eq!(version, [Invariant::VersionsArePast]);
    }

    #[test]
    fn spoiled_membership_is_found() {
        let with = |spoil: fn(&mut Membership)| {
            broken(|replica| spoil(Arc::make_mut(&mut replica.membership)))
        };
        assert_eq!(
            with(|m| m.pairs = SharedMap::default()),
            [Invariant::OneRing, Invariant::OneRing]
        );
        assert_eq!(
            with(|m| m.prepare(peer("z"), peer("c"), member())),
            [Invariant::JoinsAreDistinct]
        );
        assert_eq!(
            with(|m| m.prepare(peer("a"), peer("b"), member())),
            [Invariant::JoinsAreDistinct]
        );
        let ghost = with(|m| {
            m.members.insert(peer("z"), member());
        });
        assert_eq!(ghost, [Invariant::MembersAreKnown]);
    }

    #[test]
    fn spoiled_state_logs_are_found() {
        let with = |job, task: &str, marked: &[StateLogId]| {
            broken(|replica| {
                let logs = Arc::make_mut(&mut replica.state_logs);
                let slot = logs.of_slot_mut(job_id(job), &task.into(), SlotId(0));
                slot.push(StateLogId::Ledger(1));
                logs.marked.extend(marked);
            })
        };
        assert_eq!(with(0, "in", &[StateLogId::Ledger(2)]), []);
        assert_eq!(with(0, "no", &[]), [Invariant::StateLogsAreOfLiveJobs]);
        assert_eq!(with(7, "in", &[]), [Invariant::StateLogsAreOfLiveJobs]);
        let twice = with(0, "in", &[StateLogId::Ledger(1)]);
        assert_eq!(twice, [Invariant::OneOwnerPerStateLog]);
    }

    #[test]
    fn spoiled_ackers_and_places_are_found() {
        let leaving = spoil_allocation(|allocation| allocation.leaving = [peer("z")].into());
        assert_eq!(leaving, [Invariant::AllocatedPeersAreJoined]);
        let ackers = spoil_allocation(|allocation| allocation.ackers = vec![peer("a")]);
        assert_eq!(ackers, [Invariant::AckersAreChosen]);
        let apart = broken(|replica| {
            let members = &mut Arc::make_mut(&mut replica.membership).members;
            members.get_mut(&peer("b")).unwrap().group = GroupId(uuid::Uuid::from_u128(2));
            replica.agreed.messaging = Transport::Local;
        });
        assert_eq!(apart, [Invariant::OneProcessPerJob]);
        let torn = broken(|replica| {
            let members = &mut Arc::make_mut(&mut replica.membership).members;
            members.get_mut(&peer("b")).unwrap().site = Site("elsewhere".into());
            let mut record = record("in:i>out:1-1 out:o");
            record.task_scheduler = TaskScheduler::Colocated;
            Arc::make_mut(&mut replica.jobs)
                .records
                .insert(job_id(0), Arc::new(record));
        });
        assert_eq!(torn, [Invariant::CopiesAreWhole]);
        let untagged = broken(|replica| {
            let records = &mut Arc::make_mut(&mut replica.jobs).records;
            records.insert(job_id(0), Arc::new(record("in:i>out:1-1!#gpu out:o")));
        });
        assert_eq!(untagged, [Invariant::WordsAreCovered]);
    }

    #[test]
    fn spoiled_jobs_are_found() {
        let twice = broken(|replica| Arc::make_mut(&mut replica.jobs).killed.push(job_id(0)));
        assert_eq!(twice, [Invariant::OneListPerJob]);
        let stale = broken(|replica| {
            Arc::make_mut(&mut replica.progress).insert(job_id(7), Arc::default());
        });
        assert_eq!(stale, [Invariant::OnlyLiveJobsRun]);
        let wordless = broken(|replica| {
            let records = &mut Arc::make_mut(&mut replica.jobs).records;
            records.insert(job_id(0), Arc::new(record("in:i>out:1-1!fn:x out:o")));
        });
        assert_eq!(wordless, [Invariant::WordsAreCovered]);
    }
}
