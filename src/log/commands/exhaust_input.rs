//! `exhaust-input`: an input slot has read everything, and all of it is acknowledged.

use super::slot::Held;
use crate::ids::{AllocationVersion, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::job::TaskKind;
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};

/// An input slot has nothing more to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ExhaustInput {
    /// The job.
    pub job: JobId,
    /// The input.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The version of the allocation that it speaks of.
    pub version: AllocationVersion,
    /// The peer; when it is not said, whoever holds the slot in that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PeerId>,
}

impl ExhaustInput {
    fn held(&self) -> Held<'_> {
        let Self {
            id,
            job,
            ref task,
            slot,
            version,
        } = *self;
        Held {
            id,
            job,
            task,
            slot,
            version,
        }
    }

    fn check(&self, replica: &Replica) -> Result<(), Reason> {
        let (record, _, _) = self.held().look_up(replica)?;
        let kind = record.task(&self.task).map(|task| task.kind);
        let progress = replica.progress.get(&self.job);
        let known = progress.is_some_and(|p| p.is_exhausted(&self.task, self.slot));
        match kind {
            Some(TaskKind::Input) if !known => Ok(()),
            _ => Err(Reason::NothingToDo),
        }
    }
}

impl LogCommand for ExhaustInput {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        if let Err(reason) = self.check(replica) {
            return Applied::Ignored(reason);
        }
        let allocation = replica.allocations.get(&self.job);
        let slots = allocation.and_then(|allocation| allocation.tasks.get(&self.task));
        let mut new = replica.clone();
        self.held().update_progress(&mut new, |progress| {
            progress.exhausted.insert((self.task.clone(), self.slot));
            let mut slots = slots.into_iter().flatten();
            if slots.all(|(slot, _)| progress.is_exhausted(&self.task, *slot)) {
                progress.exhausted_tasks.insert(self.task.clone());
                progress.forget_slots(&self.task);
            }
        });
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new)
            .about("job", self.job)
            .about("task", &self.task)
            .about("slot", self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
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
