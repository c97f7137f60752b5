//! `compact-bookkeeper-log-ids`: the first state logs of a slot have been written together into new
//! ones. Whichever of the two are not needed any more are to be deleted.

use super::state_slot::StateSlot;
use crate::ids::{JobId, LogPosition, PeerId, SlotId, StateLogId, TaskName};
use crate::log::{Applied, LogCommand, Reason};
use crate::replica::{Replica, StateLogs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// State logs of a slot are replaced by shorter ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CompactBookkeeperLogIds {
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task_id: TaskName,
    /// The slot.
    pub slot_id: SlotId,
    /// Who has compacted. For people: the logs decide.
    #[serde(default)]
    pub peer_id: Option<PeerId>,
    /// The logs that were read, the first ones of the slot.
    pub prev_ledger_ids: Vec<StateLogId>,
    /// The logs that say the same.
    pub new_ledger_ids: Vec<StateLogId>,
}

/// What becomes of the two.
enum Outcome {
    /// The new ones take the place of the old ones.
    Replaced,
    /// Somebody else was first: the new ones are of no use.
    TooLate,
}

impl CompactBookkeeperLogIds {
    fn check(&self, replica: &Replica) -> Result<Outcome, Reason> {
        let slot = StateSlot {
            job: self.job_id,
            task: &self.task_id,
            slot: self.slot_id,
        };
        let logs = slot.logs(replica)?;
        if self.new_ledger_ids.is_empty() && self.prev_ledger_ids.is_empty() {
            return Err(Reason::NothingToDo);
        }
        let distinct: BTreeSet<&StateLogId> = self.new_ledger_ids.iter().collect();
        let mut new = self.new_ledger_ids.iter();
        let is_repeated = distinct.len() != self.new_ledger_ids.len();
        if is_repeated || new.any(|log| replica.state_logs.is_known(*log)) {
            return Err(Reason::LogInUse);
        }
        let most = StateLogs::OF_SLOT_MAX;
        let grown = (logs.len() + distinct.len()).saturating_sub(self.prev_ledger_ids.len());
        match logs.starts_with(&self.prev_ledger_ids) {
            true if grown > most => Err(Reason::TooManyLogs),
            true => Ok(Outcome::Replaced),
            false if distinct.len() > most => Err(Reason::TooManyLogs),
            false if distinct.is_empty() => Err(Reason::Stale),
            false => Ok(Outcome::TooLate),
        }
    }
}

impl LogCommand for CompactBookkeeperLogIds {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        let outcome = match self.check(replica) {
            Ok(outcome) => outcome,
            Err(reason) => return Applied::Ignored(reason),
        };
        let mut new = replica.clone();
        let state_logs = Arc::make_mut(&mut new.state_logs);
        let obsolete = match outcome {
            Outcome::Replaced => {
                let logs = state_logs.of_slot_mut(self.job_id, &self.task_id, self.slot_id);
                let read = ..self.prev_ledger_ids.len();
                logs.splice(read, self.new_ledger_ids.iter().copied());
                &self.prev_ledger_ids
            }
            Outcome::TooLate => &self.new_ledger_ids,
        };
        state_logs.marked.extend(obsolete);
        Applied::Changed(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, assign, compact, submit};
    use crate::replica::sample::job_id;

    fn cluster() -> Cluster {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        for log in [1, 2, 3] {
            cluster.run(assign(0, "in", 0, log));
        }
        cluster
    }

    fn logs(cluster: &Cluster) -> (Vec<u64>, Vec<u64>) {
        let number = |log: &StateLogId| match log {
            StateLogId::Ledger(number) => *number,
            StateLogId::Named(_) => unreachable!("these are ledgers"),
        };
        let state = &cluster.replica.state_logs;
        let of_slot = state.of_slot(job_id(0), &"in".into(), SlotId(0));
        (
            of_slot.iter().map(number).collect(),
            state.marked.iter().map(number).collect(),
        )
    }

    #[test]
    fn compacted_logs_stand_first_and_the_old_ones_go() {
        let mut cluster = cluster();
        cluster.run(compact(0, "in", 0, &[1, 2], &[9]));
        assert_eq!(logs(&cluster), (vec![9, 3], vec![1, 2]));
    }

    #[test]
    fn whoever_compacts_too_late_has_worked_for_nothing() {
        let mut cluster = cluster();
        cluster.run(compact(0, "in", 0, &[1, 2], &[9]));
        let step = cluster.run(compact(0, "in", 0, &[1, 2], &[10]));
        assert_eq!(step.ignored, None);
        assert_eq!(logs(&cluster), (vec![9, 3], vec![1, 2, 10]));
    }

    #[test]
    fn what_is_in_use_cannot_be_the_result() {
        let mut cluster = cluster();
        let before = logs(&cluster);
        for (old, new, reason) in [
            (&[1][..], &[2][..], Reason::LogInUse),
            (&[1], &[9, 9], Reason::LogInUse),
            (&[], &[], Reason::NothingToDo),
            (&[7], &[], Reason::Stale),
        ] {
            let step = cluster.run(compact(0, "in", 0, old, new));
            assert_eq!(step.ignored, Some(reason), "{old:?} to {new:?}");
        }
        assert_eq!(logs(&cluster), before);
        let elsewhere = cluster.run(compact(1, "in", 0, &[1], &[9]));
        assert_eq!(elsewhere.ignored, Some(Reason::NotLive));
    }

    #[test]
    fn a_slot_has_no_more_logs_than_it_may_have() {
        let most = StateLogs::OF_SLOT_MAX as u64;
        let mut cluster = cluster();
        let many: Vec<u64> = (10..10 + most).collect();
        // Two stay, so that as many new ones are two too many.
        let step = cluster.run(compact(0, "in", 0, &[1], &many));
        assert_eq!(step.ignored, Some(Reason::TooManyLogs));
        let step = cluster.run(compact(0, "in", 0, &[1], &many[2..]));
        assert_eq!(step.ignored, None);
        assert_eq!(logs(&cluster).0.len() as u64, most);
        // Nor are more than that taken from somebody who comes too late.
        let late: Vec<u64> = (5_000..=5_000 + most).collect();
        let step = cluster.run(compact(0, "in", 0, &[1], &late));
        assert_eq!(step.ignored, Some(Reason::TooManyLogs));
        let step = cluster.run(compact(0, "in", 0, &[1], &late[1..]));
        assert_eq!(step.ignored, None);
        assert_eq!(logs(&cluster).1.len() as u64, most + 1);
    }
}
