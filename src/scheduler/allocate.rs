//! From placements to allocations: slots, versions, losses, and what marks survive.

use super::jobs;
use super::placement::place;
use super::roster::{Roster, RosterJob};
use crate::ids::{JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::replica::{Allocation, Progress, Replica};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Slots = BTreeMap<TaskName, BTreeMap<SlotId, PeerId>>;

/// Shares the joined peers among the live jobs anew. Nothing moves that does not have to: when
/// neither peers nor jobs have changed, the answer is the replica itself.
pub fn reallocate(replica: &Replica, position: LogPosition) -> Replica {
    let roster = Roster::new(replica);
    let counts = jobs::balanced::plan(&roster);
    let placed = place(&roster, &counts);
    let mut allocations = BTreeMap::new();
    for job in &roster.jobs {
        let covered = job.tasks.clone().any(|task| counts[task] > 0);
        if covered {
            let old = replica.allocations.get(&job.id);
            let allocation = allocation(old, slots(&roster, job, &placed), position);
            allocations.insert(job.id, allocation);
        }
    }
    let mut new = replica.clone();
    if allocations != *replica.allocations {
        forget_marks(&mut new, &allocations);
        new.allocations = Arc::new(allocations);
    }
    new
}

/// Those who stay keep their slots, the others take the smallest that are free.
fn slots(roster: &Roster<'_>, job: &RosterJob, placed: &[Vec<usize>]) -> Slots {
    let mut tasks = BTreeMap::new();
    for task in job.tasks.clone() {
        let mut slots = BTreeMap::new();
        let mut newcomers = BTreeSet::new();
        for peer in placed[task].iter().map(|index| &roster.peers[*index]) {
            match peer.holds {
                Some((held, slot)) if held == task => {
                    slots.insert(slot, peer.id);
                }
                _ => {
                    newcomers.insert(peer.id);
                }
            }
        }
        let free = (0..).map(SlotId).filter(|slot| !slots.contains_key(slot));
        let taken: Vec<(SlotId, PeerId)> = free.zip(newcomers).collect();
        slots.extend(taken);
        tasks.insert(roster.tasks[task].record.name.clone(), slots);
    }
    tasks
}

fn allocation(old: Option<&Arc<Allocation>>, tasks: Slots, at: LogPosition) -> Arc<Allocation> {
    let Some(old) = old else {
        return Arc::new(Allocation {
            version: at,
            tasks,
            ..Allocation::default()
        });
    };
    if old.tasks == tasks {
        return Arc::clone(old);
    }
    let stayed = |task: &TaskName, slot: &SlotId, peer: &PeerId| {
        tasks.get(task).and_then(|slots| slots.get(slot)) == Some(peer)
    };
    let mut ready = BTreeSet::new();
    let mut last_loss = old.last_loss;
    for (task, slots) in &old.tasks {
        for (slot, peer) in slots {
            if !stayed(task, slot, peer) {
                last_loss = Some(at);
            } else if old.ready.contains(peer) {
                ready.insert(*peer);
            }
        }
    }
    Arc::new(Allocation {
        version: at,
        last_loss,
        tasks,
        ready,
        ackers: Vec::new(),
    })
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
