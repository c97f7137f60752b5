//! What `signal-ready`, `exhaust-input` and `seal-task` say: each is the word of one peer about the
//! slot it holds, and means nothing once the allocation has another version.

use crate::ids::{AllocationVersion, JobId, PeerId, SlotId, TaskName};
use crate::log::{Reason, ReplicaDiff};
use crate::replica::{Allocation, JobRecord, Progress, Replica};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A slot as its holder names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotWord {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The version of the allocation that it speaks of.
    pub version: AllocationVersion,
    /// The peer; when it is not said, whoever holds the slot in that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PeerId>,
}

impl SlotWord {
    /// The job, its allocation and the holder, if what was said is about the present ones.
    pub(super) fn look_up<'r>(
        &self,
        replica: &'r Replica,
    ) -> Result<(&'r JobRecord, &'r Allocation, PeerId), Reason> {
        if !replica.jobs.is_live(self.job) {
            return Err(Reason::NotLive);
        }
        let record = replica.record(self.job).ok_or(Reason::NotLive)?;
        let allocation = replica.allocations.get(&self.job).ok_or(Reason::Stale)?;
        let holder = allocation.holder(&self.task, self.slot);
        let holder = holder.ok_or(Reason::Stale)?;
        if allocation.version != self.version || self.id.is_some_and(|id| id != holder) {
            return Err(Reason::Stale);
        }
        Ok((record, allocation, holder))
    }

    /// Changes the progress of the job.
    pub(super) fn update_progress(
        &self,
        replica: &mut Replica,
        change: impl FnOnce(&mut Progress),
    ) {
        let progress = Arc::make_mut(&mut replica.progress)
            .entry(self.job)
            .or_default();
        change(Arc::make_mut(progress));
    }

    /// What changed, told with the slot that it is about.
    pub(super) fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new)
            .about("job", self.job)
            .about("task", &self.task)
            .about("slot", self.slot)
    }
}
