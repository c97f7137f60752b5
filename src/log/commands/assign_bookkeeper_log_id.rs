//! `assign-bookkeeper-log-id`: a slot of a task begins a state log; it is played back after those
//! that the slot has already.

use super::state_slot::StateSlot;
use crate::ids::{JobId, LogPosition, SlotId, StateLogId, TaskName};
use crate::log::{Applied, LogCommand, Reason};
use crate::replica::{Replica, StateLogs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A slot begins a state log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AssignBookkeeperLogId {
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task_id: TaskName,
    /// The slot.
    pub slot_id: SlotId,
    /// The log.
    pub ledger_id: StateLogId,
}

impl AssignBookkeeperLogId {
    fn check(&self, replica: &Replica) -> Result<(), Reason> {
        let slot = StateSlot {
            job: self.job_id,
            task: &self.task_id,
            slot: self.slot_id,
        };
        let logs = slot.logs(replica)?;
        if logs.contains(&self.ledger_id) {
            return Err(Reason::NothingToDo);
        }
        if replica.state_logs.is_known(self.ledger_id) {
            return Err(Reason::LogInUse);
        }
        match logs.len() < StateLogs::OF_SLOT_MAX {
            true => Ok(()),
            false => Err(Reason::TooManyLogs),
        }
    }
}

impl LogCommand for AssignBookkeeperLogId {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        if let Err(reason) = self.check(replica) {
            return Applied::Ignored(reason);
        }
        let mut new = replica.clone();
        let logs = Arc::make_mut(&mut new.state_logs);
        logs.of_slot_mut(self.job_id, &self.task_id, self.slot_id)
            .push(self.ledger_id);
        Applied::Changed(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, assign, submit};
    use crate::log::commands::{Command, KillJob};
    use crate::replica::sample::job_id;

    #[test]
    fn logs_are_played_back_in_the_order_of_their_beginning() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(assign(0, "in", 0, 7));
        cluster.run(assign(0, "in", 0, 3));
        let logs = cluster
            .replica
            .state_logs
            .of_slot(job_id(0), &"in".into(), SlotId(0));
        assert_eq!(logs, [7, 3].map(StateLogId::Ledger));
    }

    #[test]
    fn a_log_has_one_slot_and_a_slot_has_one_task_of_a_live_job() {
        let mut cluster = Cluster::of("a b");
        let mut ignored = |command| cluster.run(command).ignored;
        assert_eq!(ignored(assign(0, "in", 0, 7)), Some(Reason::NotLive));
        ignored(submit(0, "in:i>out:1-1 out:o"));
        assert_eq!(ignored(assign(0, "no", 0, 7)), Some(Reason::UnknownTask));
        assert_eq!(ignored(assign(0, "in", 1, 7)), Some(Reason::Stale));
        assert_eq!(ignored(assign(0, "in", 0, 7)), None);
        assert_eq!(ignored(assign(0, "in", 0, 7)), Some(Reason::NothingToDo));
        assert_eq!(ignored(assign(0, "out", 0, 7)), Some(Reason::LogInUse));
        ignored(Command::KillJob(KillJob::new(job_id(0), None)));
        assert_eq!(ignored(assign(0, "in", 0, 8)), Some(Reason::NotLive));
        assert_eq!(
            cluster.replica.state_logs.marked,
            [StateLogId::Ledger(7)].into()
        );
    }

    #[test]
    fn a_slot_has_so_many_logs_and_no_more() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        for log in 0..StateLogs::OF_SLOT_MAX {
            assert_eq!(cluster.run(assign(0, "in", 0, log as u64)).ignored, None);
        }
        let more = cluster.run(assign(0, "in", 0, u64::MAX));
        assert_eq!(more.ignored, Some(Reason::TooManyLogs));
    }
}
