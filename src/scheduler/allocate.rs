//! From placements to allocations: slots, versions, losses, ackers, and what marks survive.

use super::ackers::choose_ackers;
use super::jobs;
use super::placement::{Fate, Placed, place};
use super::reach::{Candidate, Crew, JobState, crews, live_jobs};
use super::roster::{Roster, RosterJob};
use crate::ids::{GroupId, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::job::FluxPolicy;
use crate::replica::{Allocation, JobRecord, Membership, Progress, Replica, Slots};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Tasks = BTreeMap<TaskName, Slots>;
type Allocations = BTreeMap<JobId, Arc<Allocation>>;

/// Shares the joined peers among the live jobs anew. Nothing moves that does not have to: when
/// neither peers nor jobs have changed, the answer is the replica itself.
pub fn reallocate(replica: &Replica, position: LogPosition) -> Replica {
    let crews = crews(replica);
    let mut offers = Offers::of(replica, &crews);
    let mut allocations = Allocations::new();
    for crew in &crews {
        let candidates = offers.to(crew);
        if !candidates.is_empty() {
            let roster = offers.roster(replica, crew, &candidates);
            allocate(replica, &roster, position, &mut allocations);
            let is_given = |waiting: &Candidate<'_>| allocations.contains_key(&waiting.id);
            offers.waiting.retain(|waiting| !is_given(waiting));
        }
    }
    let mut new = replica.clone();
    if allocations != *replica.allocations {
        forget_marks(&mut new, &allocations);
        new.allocations = Arc::new(allocations);
    }
    new
}

/// Which jobs the crews may be given.
struct Offers<'a> {
    /// Those that run and go on with the peers of their process.
    at_home: Vec<(Option<GroupId>, Candidate<'a>)>,
    /// Those that go to the first crew that can cover them.
    waiting: Vec<Candidate<'a>>,
    /// What was asked about each crew to see which of its jobs go on.
    asked: BTreeMap<Option<GroupId>, Roster<'a>>,
}

impl<'a> Offers<'a> {
    fn of(replica: &'a Replica, crews: &[Crew<'a>]) -> Self {
        let mut offers = Offers {
            at_home: Vec::new(),
            waiting: Vec::new(),
            asked: BTreeMap::new(),
        };
        for (home, job) in live_jobs(replica) {
            match job.state {
                JobState::Running => offers.at_home.push((home, job)),
                JobState::Waiting => offers.waiting.push(job),
            }
        }
        // With one crew and peers that may all be moved, a job that cannot go on cannot start either.
        let is_apart = crews.iter().any(|crew| crew.group.is_some());
        let keeps = |(_, job): &(_, Candidate<'_>)| keeps_peers(job.record);
        if is_apart || offers.at_home.iter().any(keeps) {
            offers.evict(replica, crews);
        }
        offers
    }

    /// Makes a running job a waiting one that its own process, or the peers that its tasks keep, do
    /// not let go on.
    fn evict(&mut self, replica: &'a Replica, crews: &[Crew<'a>]) {
        let mut staying = BTreeSet::new();
        for crew in crews {
            let jobs = self.running_in(crew);
            if !jobs.is_empty() {
                let roster = Roster::new(replica, crew, &jobs);
                staying.extend(jobs::kept(&roster).into_iter().map(|job| jobs[job].id));
                self.asked.insert(crew.group, roster);
            }
        }
        let (at_home, evicted): (Vec<_>, Vec<_>) = std::mem::take(&mut self.at_home)
            .into_iter()
            .partition(|(_, job)| staying.contains(&job.id));
        self.at_home = at_home;
        self.waiting
            .extend(evicted.into_iter().map(|(_, job)| Candidate {
                state: JobState::Waiting,
                ..job
            }));
        self.waiting.sort_by_key(|job| job.index);
    }

    fn running_in(&self, crew: &Crew<'_>) -> Vec<Candidate<'a>> {
        let jobs = self.at_home.iter();
        jobs.filter(|(home, _)| crew.group.is_none() || *home == crew.group)
            .map(|(_, job)| *job)
            .collect()
    }

    /// The question of a crew and these jobs, unless that is the one that was asked already: most
    /// often nobody waits, and everybody who runs goes on.
    fn roster(
        &mut self,
        replica: &'a Replica,
        crew: &Crew<'a>,
        candidates: &[Candidate<'a>],
    ) -> Roster<'a> {
        let asked = self.asked.remove(&crew.group);
        let anew = || Roster::new(replica, crew, candidates);
        let same = asked.filter(|roster| roster.is_about(candidates));
        debug_assert!(same.as_ref().is_none_or(|roster| *roster == anew()));
        same.unwrap_or_else(anew)
    }

    /// The jobs that a crew may be given, in the order of their submission.
    fn to(&self, crew: &Crew<'_>) -> Vec<Candidate<'a>> {
        let mut jobs = self.running_in(crew);
        let peers = crew.peers.len() as u64;
        let fitting = self.waiting.iter();
        jobs.extend(fitting.filter(|job| job.record.min_peers() <= peers));
        jobs.sort_by_key(|job| job.index);
        jobs
    }
}

/// Whether a task of the job keeps its peers while the job runs.
fn keeps_peers(record: &JobRecord) -> bool {
    let keeps = |policy| matches!(policy, FluxPolicy::Kill | FluxPolicy::Recover);
    let mut policies = record.tasks.iter().filter_map(|task| task.flux_policy);
    policies.any(keeps)
}

/// Adds the allocations of the jobs that a crew covers.
fn allocate(
    replica: &Replica,
    roster: &Roster<'_>,
    position: LogPosition,
    allocations: &mut Allocations,
) {
    let capacity = jobs::plan(roster);
    let placed = place(roster, &capacity);
    for (index, job) in roster.jobs.iter().enumerate() {
        if capacity.of_job(index) == 0 {
            continue;
        }
        let old = replica.allocations.get(&job.id);
        let allocation = match (old, placed.fates[index]) {
            (Some(old), Fate::Unchanged) => without_the_dead(&replica.membership, old, position),
            _ => allocation(replica, job, old, slots(roster, job, &placed), position),
        };
        allocations.insert(job.id, allocation);
    }
}

/// Those who stay keep their slots, the others take the smallest that are free.
fn slots(roster: &Roster<'_>, job: &RosterJob<'_>, placed: &Placed) -> Tasks {
    let mut tasks = BTreeMap::new();
    for task in &roster.tasks[job.tasks.clone()] {
        let posts = task.posts.clone();
        let staying = posts.clone().flat_map(|post| &placed.stay[post]);
        let peer = |index: &usize| &roster.peers[*index];
        let mut kept: Vec<(SlotId, PeerId)> = staying
            .map(peer)
            .filter_map(|peer| Some((peer.holds?.1, peer.id)))
            .collect();
        kept.sort_unstable();
        let coming = posts.flat_map(|post| &placed.come[post]);
        let mut coming: Vec<PeerId> = coming.map(|index| peer(index).id).collect();
        coming.sort_unstable();
        let is_free = |slot: &SlotId| kept.binary_search_by_key(slot, |(slot, _)| *slot).is_err();
        let free = (0..).map(SlotId).filter(is_free);
        let taken: Vec<(SlotId, PeerId)> = free.zip(coming).collect();
        kept.extend(taken);
        kept.sort_unstable();
        tasks.insert(task.record.name.clone(), kept.into_iter().collect());
    }
    tasks
}

fn allocation(
    replica: &Replica,
    job: &RosterJob<'_>,
    old: Option<&Arc<Allocation>>,
    tasks: Tasks,
    at: LogPosition,
) -> Arc<Allocation> {
    let membership = &replica.membership;
    let ackers = choose_ackers(membership, job.record, &tasks);
    let Some(old) = old else {
        return Arc::new(Allocation {
            version: at,
            tasks,
            ackers,
            ..Allocation::default()
        });
    };
    let mut ready = Vec::with_capacity(old.ready.len());
    let mut moved = Vec::new();
    for (task, slots) in &old.tasks {
        let now = tasks.get(task);
        for (slot, peer) in slots {
            if now.and_then(|now| now.get(slot)) != Some(peer) {
                moved.push(*peer);
            } else if old.ready.contains(peer) {
                ready.push(*peer);
            }
        }
    }
    let moved = moved.iter().chain(&old.leaving).copied();
    let (leaving, dead): (BTreeSet<PeerId>, BTreeSet<PeerId>) =
        moved.partition(|peer| membership.members.contains_key(peer));
    Arc::new(Allocation {
        version: at,
        last_loss: match dead.is_empty() {
            true => old.last_loss,
            false => Some(at),
        },
        tasks,
        ready: ready.into_iter().collect(),
        ackers,
        leaving,
    })
}

/// The same slots. A peer that was moved away and has died may have had something left to finish.
fn without_the_dead(
    membership: &Membership,
    old: &Arc<Allocation>,
    at: LogPosition,
) -> Arc<Allocation> {
    let is_alive = |peer: &PeerId| membership.members.contains_key(peer);
    if old.leaving.iter().all(is_alive) {
        return Arc::clone(old);
    }
    let mut allocation = Allocation::clone(old);
    allocation.leaving.retain(is_alive);
    allocation.last_loss = Some(at);
    Arc::new(allocation)
}

/// A mark of a slot says something about the part that slot k of n had; when the slots of a task
/// change, what was said no longer holds, and is said again.
fn forget_marks(replica: &mut Replica, allocations: &BTreeMap<JobId, Arc<Allocation>>) {
    let slot_ids = |allocation: Option<&Arc<Allocation>>, task: &TaskName| {
        let slots = allocation.and_then(|allocation| allocation.tasks.get(task));
        slots
            .into_iter()
            .flatten()
            .map(|(slot, _)| *slot)
            .collect::<Vec<_>>()
    };
    let mut changed: Vec<(JobId, Progress)> = Vec::new();
    for (job, progress) in replica.progress.iter() {
        let (old, new) = (replica.allocations.get(job), allocations.get(job));
        if old.is_some_and(|old| new.is_some_and(|new| Arc::ptr_eq(old, new))) {
            continue;
        }
        let marks = progress.exhausted.iter().chain(&progress.sealed);
        let tasks: BTreeSet<&TaskName> = marks.map(|(task, _)| task).collect();
        let moved = |task: &&TaskName| slot_ids(old, task) != slot_ids(new, task);
        let moved: Vec<&TaskName> = tasks.into_iter().filter(moved).collect();
        if !moved.is_empty() {
            let mut progress = Progress::clone(progress);
            moved
                .into_iter()
                .for_each(|task| progress.forget_slots(task));
            changed.push((*job, progress));
        }
    }
    if !changed.is_empty() {
        let changed = changed
            .into_iter()
            .map(|(job, progress)| (job, Arc::new(progress)));
        Arc::make_mut(&mut replica.progress).extend(changed);
    }
}
