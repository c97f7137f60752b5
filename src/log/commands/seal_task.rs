//! `seal-task`: an output slot is sealed. When all are, the job is completed.
//!
//! Only outputs are sealed by an entry. A function has nothing to flush, so it is sealed as soon as
//! everything above it is.

use super::finish::finish;
use super::slot::Held;
use crate::ids::{AllocationVersion, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::job::TaskKind;
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::{Outcome, Replica};
use serde::{Deserialize, Serialize};

/// An output slot is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SealTask {
    /// The job.
    pub job: JobId,
    /// The output.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The version of the allocation that it speaks of.
    pub version: AllocationVersion,
    /// The peer; when it is not said, whoever holds the slot in that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PeerId>,
}

impl SealTask {
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
        let progress = replica.progress.get(&self.job).ok_or(Reason::NotYet)?;
        if kind != Some(TaskKind::Output) || progress.is_sealed(&self.task, self.slot) {
            return Err(Reason::NothingToDo);
        }
        match progress.nothing_more_comes_to(record, &self.task) {
            true => Ok(()),
            false => Err(Reason::NotYet),
        }
    }
}

impl LogCommand for SealTask {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        if let Err(reason) = self.check(replica) {
            return Applied::Ignored(reason);
        }
        let mut new = replica.clone();
        self.held().update_progress(&mut new, |progress| {
            progress.sealed.insert((self.task.clone(), self.slot));
        });
        if all_outputs_are_sealed(&new, self.job) {
            return Applied::Changed(finish(&new, self.job, Outcome::Completed, position));
        }
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new)
            .about("job", self.job)
            .about("task", &self.task)
            .about("slot", self.slot)
            .about("job-completed", !new.jobs.is_live(self.job))
    }
}

fn all_outputs_are_sealed(replica: &Replica, job: JobId) -> bool {
    let found = (
        replica.record(job),
        replica.allocations.get(&job),
        replica.progress.get(&job),
    );
    let (Some(record), Some(allocation), Some(progress)) = found else {
        return false;
    };
    record.tasks_of(TaskKind::Output).all(|task| {
        let mut slots = allocation.tasks.get(&task.name).into_iter().flatten();
        slots.all(|(slot, _)| progress.is_sealed(&task.name, *slot))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, exhaust, seal, submit};
    use crate::replica::sample::job_id;

    #[test]
    fn a_job_completes_when_every_slot_of_every_output_is_sealed() {
        let mut cluster = Cluster::of("a b c d");
        cluster.run(submit(0, "in:i>one,two:1-1 one:o:1-1 two:o:2-2"));
        cluster.run(submit(1, "in:i>out:2-2 out:o:2-2"));
        assert_eq!(
            cluster.run(seal(&cluster, 0, "one", 0)).ignored,
            Some(Reason::NotYet)
        );
        cluster.run(exhaust(&cluster, 0, "in", 0));
        cluster.run(seal(&cluster, 0, "one", 0));
        let again = cluster.run(seal(&cluster, 0, "one", 0));
        assert_eq!(again.ignored, Some(Reason::NothingToDo));
        cluster.run(seal(&cluster, 0, "two", 1));
        let last = seal(&cluster, 0, "two", 0);
        cluster.run(last.clone());
        assert_eq!(cluster.replica.jobs.completed, [job_id(0)]);
        assert_eq!(cluster.replica.jobs.live, [job_id(1)]);
        assert_eq!(cluster.replica.peer_count(job_id(1)), 4);
        assert!(cluster.replica.progress.is_empty());
        assert_eq!(cluster.run(last).ignored, Some(Reason::NotLive));
    }

    #[test]
    fn inputs_are_not_sealed() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(exhaust(&cluster, 0, "in", 0));
        let step = cluster.run(seal(&cluster, 0, "in", 0));
        assert_eq!(step.ignored, Some(Reason::NothingToDo));
    }
}
