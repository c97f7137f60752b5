//! What the commands about state logs have in common: they speak of a slot of a task of a live job.

use crate::ids::{JobId, SlotId, StateLogId, TaskName};
use crate::log::Reason;
use crate::replica::Replica;

/// A slot that has state logs.
pub(super) struct StateSlot<'a> {
    pub(super) job: JobId,
    pub(super) task: &'a TaskName,
    pub(super) slot: SlotId,
}

impl StateSlot<'_> {
    /// Its logs, if there can be such a slot.
    pub(super) fn logs<'r>(&self, replica: &'r Replica) -> Result<&'r [StateLogId], Reason> {
        if !replica.jobs.is_live(self.job) {
            return Err(Reason::NotLive);
        }
        let record = replica.record(self.job).ok_or(Reason::NotLive)?;
        let task = record.task(self.task).ok_or(Reason::UnknownTask)?;
        if task.max_peers.is_some_and(|max| self.slot.0 >= max) {
            return Err(Reason::Stale);
        }
        Ok(replica.state_logs.of_slot(self.job, self.task, self.slot))
    }
}
