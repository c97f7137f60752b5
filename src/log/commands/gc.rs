//! `gc`: finished jobs leave nothing in the replica but how they ended.

use crate::ids::LogPosition;
use crate::log::{Applied, LogCommand, Reason};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// Finished jobs are to be forgotten but for their tombstones. Whoever writes this stores an origin
/// afterwards, and deletes what is before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gc {
    /// The collection, for people.
    pub id: Uuid,
}

impl LogCommand for Gc {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        let jobs = &replica.jobs;
        if jobs.completed.is_empty() && jobs.killed.is_empty() {
            return Applied::Ignored(Reason::NothingToDo);
        }
        let mut new = replica.clone();
        Arc::make_mut(&mut new.jobs).collect(position);
        Applied::Changed(new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, KillJob};
    use super::*;
    use crate::log::commands::sample::{Cluster, exhaust, seal, submit};
    use crate::replica::sample::job_id;
    use crate::replica::{JobState, Outcome};

    fn gc() -> Command {
        Command::Gc(Gc { id: Uuid::nil() })
    }

    #[test]
    fn finished_jobs_leave_their_outcome_and_nothing_else() {
        let mut cluster = Cluster::of("a b c d");
        for job in 0..3 {
            cluster.run(submit(job, "in:i>out:1-1 out:o:1-1"));
        }
        cluster.run(exhaust(&cluster, 0, "in", 0));
        cluster.run(seal(&cluster, 0, "out", 0));
        cluster.run(Command::KillJob(KillJob::new(job_id(1), None)));
        let before = cluster.replica.clone();
        let new = cluster.run(gc()).new;
        let outcome = |job| new.jobs.tombstones.get(&job_id(job)).map(|t| t.outcome);
        let outcomes = [0, 1, 2].map(outcome);
        assert_eq!(
            outcomes,
            [Some(Outcome::Completed), Some(Outcome::Killed), None]
        );
        assert_eq!(new.jobs.records.keys().collect::<Vec<_>>(), [&job_id(2)]);
        assert!(new.jobs.completed.is_empty() && new.jobs.killed.is_empty());
        assert_eq!(new.job_state(job_id(0)), Some(JobState::Completed));
        assert_eq!(new.job_state(job_id(1)), Some(JobState::Killed));
        // Nobody moves.
        assert_eq!(new.allocations, before.allocations);
        assert_eq!(new.membership, before.membership);
    }

    #[test]
    fn a_collected_job_is_not_run_again() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        cluster.run(gc());
        let again = cluster.run(submit(0, "in:i>out out:o"));
        assert_eq!(again.ignored, Some(Reason::KnownJob));
        let kill = cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        assert_eq!(kill.ignored, Some(Reason::NotLive));
    }

    #[test]
    fn without_finished_jobs_there_is_nothing_to_do() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        assert_eq!(cluster.run(gc()).ignored, Some(Reason::NothingToDo));
    }
}
