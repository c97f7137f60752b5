//! `seal-task`: an output slot is sealed. When all are, the job is completed.
//!
//! Only outputs are sealed by an entry. A function has nothing to flush, so it is sealed as soon as
//! everything above it is.

use super::finish::finish;
use super::slot::SlotWord;
use crate::ids::{JobId, LogPosition};
use crate::job::TaskKind;
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::{Outcome, Replica};
use serde::{Deserialize, Serialize};

/// An output slot is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealTask(pub SlotWord);

impl SealTask {
    fn check(&self, replica: &Replica) -> Result<(), Reason> {
        let Self(word) = self;
        let (record, _, _) = word.look_up(replica)?;
        let kind = record.task(&word.task).map(|task| task.kind);
        let progress = replica.progress.get(&word.job).ok_or(Reason::NotYet)?;
        if kind != Some(TaskKind::Output) || progress.is_sealed(&word.task, word.slot) {
            return Err(Reason::NothingToDo);
        }
        match progress.nothing_more_comes_to(record, &word.task) {
            true => Ok(()),
            false => Err(Reason::NotYet),
        }
    }
}

impl LogCommand for SealTask {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        let Self(word) = self;
        if let Err(reason) = self.check(replica) {
            return Applied::Ignored(reason);
        }
        let mut new = replica.clone();
        word.update_progress(&mut new, |progress| {
            progress.sealed.insert((word.task.clone(), word.slot));
        });
        if all_outputs_are_sealed(&new, word.job) {
            return Applied::Changed(finish(&new, word.job, Outcome::Completed, position));
        }
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        self.0
            .diff(old, new)
            .about("job-completed", !new.jobs.is_live(self.0.job))
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
