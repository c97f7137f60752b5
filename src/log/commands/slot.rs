//! What `signal-ready`, `exhaust-input` and `seal-task` have in common: each is the word of one peer
//! about the slot it holds, and means nothing once the allocation has another version.

use crate::ids::{AllocationVersion, JobId, PeerId, SlotId, TaskName};
use crate::log::Reason;
use crate::replica::{Allocation, JobRecord, Progress, Replica};
use std::sync::Arc;

/// A slot as its holder names it.
pub(super) struct Held<'a> {
    pub(super) id: Option<PeerId>,
    pub(super) job: JobId,
    pub(super) task: &'a TaskName,
    pub(super) slot: SlotId,
    pub(super) version: AllocationVersion,
}

impl Held<'_> {
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
        let holder = allocation.holder(self.task, self.slot);
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
}
