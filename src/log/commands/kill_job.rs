//! `kill-job`: a job is to end.

use super::finish::finish;
use crate::ids::{JobId, LogPosition};
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::{Outcome, Replica};
use serde::{Deserialize, Serialize};

/// A job is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct KillJob {
    /// The job.
    pub job: JobId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl KillJob {
    /// The longest cause in bytes; longer ones are cut.
    pub const CAUSE_LIMIT: usize = 4 * 1024;

    /// Ends a job, with a reason if there is one.
    pub fn new(job: JobId, cause: Option<String>) -> Self {
        let cut = |mut cause: String| {
            cause.truncate(cause.floor_char_boundary(Self::CAUSE_LIMIT));
            cause
        };
        KillJob {
            job,
            cause: cause.map(cut),
        }
    }
}

impl LogCommand for KillJob {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        if !replica.jobs.is_live(self.job) {
            return Applied::Ignored(Reason::NotLive);
        }
        Applied::Changed(finish(replica, self.job, Outcome::Killed, position))
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new).about("killed", [self.job])
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::job_id;

    #[test]
    fn the_peers_of_a_killed_job_take_the_next() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(submit(1, "in:i>out out:o"));
        let step = cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        let diff = serde_json::to_value(step.diff().unwrap()).unwrap();
        assert_eq!(diff["killed"], serde_json::json!([job_id(0)]));
        let new = step.new;
        assert_eq!(new.jobs.killed, [job_id(0)]);
        assert_eq!(new.peer_count(job_id(0)), 0);
        assert_eq!(new.peer_count(job_id(1)), 2);
    }

    #[test]
    fn only_live_jobs_can_be_killed() {
        let mut cluster = Cluster::of("a b");
        let kill = || Command::KillJob(KillJob::new(job_id(0), None));
        assert_eq!(cluster.run(kill()).ignored, Some(Reason::NotLive));
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(kill());
        assert_eq!(cluster.run(kill()).ignored, Some(Reason::NotLive));
    }

    #[test]
    fn a_long_cause_is_cut_between_letters() {
        let cause = "é".repeat(KillJob::CAUSE_LIMIT);
        let kill = KillJob::new(job_id(0), Some(format!("x{cause}")));
        assert_eq!(
            kill.cause.map(|cause| cause.len()),
            Some(KillJob::CAUSE_LIMIT - 1)
        );
    }
}
