//! `exhaust-input`: an input slot has read everything, and all of it is acknowledged.

use super::slot::SlotWord;
use crate::ids::LogPosition;
use crate::job::TaskKind;
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};

/// An input slot has nothing more to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExhaustInput(pub SlotWord);

impl ExhaustInput {
    fn check(&self, replica: &Replica) -> Result<(), Reason> {
        let Self(word) = self;
        let (record, _, _) = word.look_up(replica)?;
        let kind = record.task(&word.task).map(|task| task.kind);
        let progress = replica.progress.get(&word.job);
        let known = progress.is_some_and(|p| p.is_exhausted(&word.task, word.slot));
        match kind {
            Some(TaskKind::Input) if !known => Ok(()),
            _ => Err(Reason::NothingToDo),
        }
    }
}

impl LogCommand for ExhaustInput {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        let Self(word) = self;
        if let Err(reason) = self.check(replica) {
            return Applied::Ignored(reason);
        }
        let allocation = replica.allocations.get(&word.job);
        let slots = allocation.and_then(|allocation| allocation.tasks.get(&word.task));
        let mut new = replica.clone();
        word.update_progress(&mut new, |progress| {
            progress.exhausted.insert((word.task.clone(), word.slot));
            let mut slots = slots.into_iter().flatten();
            if slots.all(|(slot, _)| progress.is_exhausted(&word.task, *slot)) {
                progress.exhausted_tasks.insert(word.task.clone());
                progress.forget_slots(&word.task);
            }
        });
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        self.0.diff(old, new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::ids::SlotId;
    use crate::log::commands::sample::{Cluster, exhaust, submit};
    use crate::log::commands::{KillJob, LeaveCluster};
    use crate::replica::sample::{job_id, peer};

    #[test]
    fn an_input_is_exhausted_when_all_its_slots_are_and_stays_so() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-2 out:o:1-1"));
        cluster.run(exhaust(&cluster, 0, "in", 0));
        assert!(cluster.progress(0).is_exhausted(&"in".into(), SlotId(0)));
        assert!(cluster.progress(0).exhausted_tasks.is_empty());
        cluster.run(exhaust(&cluster, 0, "in", 1));
        assert_eq!(cluster.progress(0).exhausted_tasks, ["in".into()].into());
        let again = cluster.run(exhaust(&cluster, 0, "in", 1));
        assert_eq!(again.ignored, Some(Reason::NothingToDo));
        cluster.run(Command::LeaveCluster(LeaveCluster::of(peer("b"))));
        assert!(cluster.progress(0).is_exhausted(&"in".into(), SlotId(0)));
    }

    #[test]
    fn a_half_exhausted_input_starts_over_when_its_slots_change() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-2 out:o:1-1"));
        cluster.run(exhaust(&cluster, 0, "in", 0));
        let holder = cluster.replica.allocations[&job_id(0)].holder(&"in".into(), SlotId(1));
        cluster.run(Command::LeaveCluster(LeaveCluster::of(holder.unwrap())));
        assert!(!cluster.progress(0).is_exhausted(&"in".into(), SlotId(0)));
    }

    #[test]
    fn outputs_and_dead_jobs_cannot_be_exhausted() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        let late = exhaust(&cluster, 0, "in", 0);
        let output = cluster.run(exhaust(&cluster, 0, "out", 0));
        assert_eq!(output.ignored, Some(Reason::NothingToDo));
        cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        assert_eq!(cluster.run(late).ignored, Some(Reason::NotLive));
        assert!(cluster.replica.progress.is_empty());
    }
}
