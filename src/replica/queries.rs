//! Questions that span sections: where a peer works, what state a job is in.

use super::{Allocation, JobRecord, Outcome, Replica, Slots};
use crate::ids::{JobId, PeerId, SlotId, TaskName};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a peer works.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
}

/// The state of a job that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It waits for peers.
    Waiting,
    /// It has its peers.
    Running,
    /// Every output was sealed.
    Completed,
    /// It was ended early.
    Killed,
}

impl Replica {
    /// What was submitted under an id.
    pub fn record(&self, job: JobId) -> Option<&Arc<JobRecord>> {
        self.jobs.records.get(&job)
    }

    /// The state of a job; none when it is not remembered.
    pub fn job_state(&self, job: JobId) -> Option<JobState> {
        if self.jobs.is_live(job) {
            let running = self.allocations.contains_key(&job);
            return Some(if running {
                JobState::Running
            } else {
                JobState::Waiting
            });
        }
        self.jobs.outcome_of(job).map(|outcome| match outcome {
            Outcome::Completed => JobState::Completed,
            Outcome::Killed => JobState::Killed,
        })
    }

    /// Where a peer works, if it has work.
    pub fn assignment_of(&self, peer: PeerId) -> Option<Place> {
        self.allocations.iter().find_map(|(job, allocation)| {
            let (task, slot) = allocation.place_of(peer)?;
            Some(Place {
                job: *job,
                task: task.clone(),
                slot,
            })
        })
    }

    /// Joined peers without work, in the order in which they joined.
    pub fn unassigned(&self) -> Vec<PeerId> {
        let busy: BTreeSet<PeerId> = self.allocations.values().flat_map(|a| a.peers()).collect();
        let idle = self
            .membership
            .peers
            .iter()
            .filter(|peer| !busy.contains(peer));
        idle.copied().collect()
    }

    /// How many peers work for a job.
    pub fn peer_count(&self, job: JobId) -> usize {
        self.allocations
            .get(&job)
            .map_or(0, |allocation| allocation.peers().count())
    }

    /// How many peers each task of a job has; empty while it waits.
    pub fn task_counts(&self, job: JobId) -> BTreeMap<TaskName, usize> {
        let Some(allocation) = self.allocations.get(&job) else {
            return BTreeMap::new();
        };
        let tasks = allocation.tasks.iter();
        tasks
            .map(|(task, slots)| (task.clone(), slots.len()))
            .collect()
    }
}

impl Allocation {
    /// Every peer of the job, by task and slot.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.tasks
            .values()
            .flat_map(|slots| slots.values().copied())
    }

    /// The task and slot of a peer.
    pub fn place_of(&self, peer: PeerId) -> Option<(&TaskName, SlotId)> {
        self.tasks.iter().find_map(|(task, slots)| {
            let (slot, _) = slots.iter().find(|(_, holder)| **holder == peer)?;
            Some((task, *slot))
        })
    }

    /// The peer of a slot.
    pub fn holder(&self, task: &TaskName, slot: SlotId) -> Option<PeerId> {
        self.tasks.get(task)?.get(&slot).copied()
    }

    /// Slots of a task whose peers can receive, in slot order.
    pub fn ready_slots(&self, task: &TaskName) -> Vec<(SlotId, PeerId)> {
        let slots = self.tasks.get(task).into_iter().flatten();
        let ready = slots.filter(|(_, peer)| self.ready.contains(peer));
        ready.map(|(slot, peer)| (*slot, *peer)).collect()
    }

    /// Whether every task has a peer that can receive.
    pub fn is_ready(&self) -> bool {
        let has_ready = |slots: &Slots| slots.values().any(|peer| self.ready.contains(peer));
        self.tasks.values().all(has_ready)
    }
}
