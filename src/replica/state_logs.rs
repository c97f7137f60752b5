//! Changes and questions of state logs: which logs of changes each slot of a task has, and which are
//! to be deleted.

use super::StateLogs;
use crate::ids::{JobId, SlotId, StateLogId, TaskName};

impl StateLogs {
    /// How many logs a slot may have before they have to be compacted.
    pub const OF_SLOT_MAX: usize = 1_000;

    /// The logs of a slot in the order in which they are played back.
    pub fn of_slot(&self, job: JobId, task: &TaskName, slot: SlotId) -> &[StateLogId] {
        let slots = self.logs.get(&job).and_then(|tasks| tasks.get(task));
        let logs = slots.and_then(|slots| slots.get(&slot));
        logs.map_or(&[], Vec::as_slice)
    }

    /// Whether a log is in use by any slot, or is to be deleted.
    pub fn is_known(&self, log: StateLogId) -> bool {
        self.marked.contains(&log) || self.in_use().any(|(_, used)| used == log)
    }

    /// Every log in use, with its job.
    pub fn in_use(&self) -> impl Iterator<Item = (JobId, StateLogId)> {
        self.logs.iter().flat_map(|(job, tasks)| {
            let logs = tasks.values().flat_map(|slots| slots.values()).flatten();
            logs.map(|log| (*job, *log))
        })
    }

    /// The list of a slot, to be changed.
    pub(crate) fn of_slot_mut(
        &mut self,
        job: JobId,
        task: &TaskName,
        slot: SlotId,
    ) -> &mut Vec<StateLogId> {
        let tasks = self.logs.entry(job).or_default();
        let slots = tasks.entry(task.clone()).or_default();
        slots.entry(slot).or_default()
    }

    /// Marks every log of a job that has ended.
    pub(crate) fn release(&mut self, job: JobId) {
        let tasks = self.logs.remove(&job).unwrap_or_default();
        let slots = tasks.into_values().flat_map(|slots| slots.into_values());
        self.marked.extend(slots.flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::job_id;

    #[test]
    fn the_logs_of_a_job_that_ended_are_to_be_deleted() {
        let [one, two] = [1, 2].map(StateLogId::Ledger);
        let mut logs = StateLogs::default();
        for (job, log) in [(0, one), (1, two)] {
            let slot = logs.of_slot_mut(job_id(job), &"count".into(), SlotId(0));
            slot.push(log);
        }
        logs.release(job_id(0));
        assert_eq!(logs.marked, [one].into());
        assert!(logs.is_known(one) && logs.is_known(two));
        let left = logs.of_slot(job_id(1), &"count".into(), SlotId(0));
        assert_eq!(left, [two]);
        assert!(
            logs.of_slot(job_id(0), &"count".into(), SlotId(0))
                .is_empty()
        );
    }
}
