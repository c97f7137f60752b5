//! `submit-job`: a job is to run.

use crate::ids::{ContentHash, JobId, LogPosition, TaskName};
use crate::job::percent::Percent;
use crate::job::{AckerRule, FluxPolicy, Sends, TaskKind, TaskScheduler};
use crate::log::{Applied, LogCommand, Reason};
use crate::replica::{JobRecord, Jobs, Replica, TaskRecord};
use crate::scheduler::reallocate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A job is to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SubmitJob {
    /// Its id, the key of what is stored beside the log.
    pub id: JobId,
    /// What the cluster needs to know of it.
    pub job: SubmittedJob,
}

/// What the cluster needs to know of a job that is submitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SubmittedJob {
    /// What people call it.
    pub name: String,
    /// The tasks in topological order.
    pub tasks: Vec<TaskRecord>,
    /// How its peers are shared among its tasks.
    #[serde(default)]
    pub task_scheduler: TaskScheduler,
    /// Its share of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// How far a colocated job sends its segments.
    #[serde(default, skip_serializing_if = "Sends::is_default")]
    pub sends: Sends,
    /// Which of its peers keep ledgers.
    #[serde(default)]
    pub ackers: AckerRule,
    /// What it consists of, so that it can be told from another one under the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentHash>,
}

impl SubmittedJob {
    /// A job of these tasks, with every default.
    pub fn new(name: impl Into<String>, tasks: Vec<TaskRecord>) -> Self {
        SubmittedJob {
            name: name.into(),
            tasks,
            task_scheduler: TaskScheduler::default(),
            percentage: None,
            sends: Sends::default(),
            ackers: AckerRule::default(),
            content: None,
        }
    }

    /// Whether it can be scheduled and can end: whoever submits has validated much more, but the log
    /// may be written by anybody.
    fn is_sound(&self) -> bool {
        let mut seen = BTreeSet::new();
        let mut reached = BTreeSet::new();
        for task in &self.tasks {
            let has_source = reached.contains(&task.name);
            let bounds = task.min_peers >= 1 && task.max_peers.is_none_or(|m| m >= task.min_peers);
            // A slot of a task that recovers is one of a fixed number.
            let fixed = task.max_peers == Some(task.min_peers);
            let bounds = bounds && (fixed || task.flux_policy != Some(FluxPolicy::Recover));
            let ends = match task.kind {
                TaskKind::Input => !has_source && !task.downstream.is_empty(),
                TaskKind::Function => has_source && !task.downstream.is_empty(),
                TaskKind::Output => has_source && task.downstream.is_empty(),
            };
            if !bounds || !ends || !seen.insert(&task.name) {
                return false;
            }
            let distinct: BTreeSet<&TaskName> = task.downstream.iter().collect();
            if distinct.len() != task.downstream.len() || !distinct.is_disjoint(&seen) {
                return false;
            }
            reached.extend(distinct);
        }
        !self.tasks.is_empty() && reached.is_subset(&seen)
    }
}

impl LogCommand for SubmitJob {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        if replica.jobs.is_known(self.id) {
            return Applied::Ignored(Reason::KnownJob);
        }
        if !self.job.is_sound() {
            return Applied::Ignored(Reason::InvalidJob);
        }
        if replica.jobs.live.len() >= Jobs::LIVE_LIMIT {
            return Applied::Ignored(Reason::TooManyJobs);
        }
        let SubmittedJob {
            name,
            tasks,
            task_scheduler,
            percentage,
            sends,
            ackers,
            content,
        } = self.job.clone();
        let record = JobRecord {
            name,
            tasks,
            task_scheduler,
            percentage,
            sends,
            ackers,
            content,
            submitted: position,
        };
        let mut new = replica.clone();
        Arc::make_mut(&mut new.jobs).submit(self.id, record);
        Applied::Changed(reallocate(&new, position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::job_id;

    fn reason(tasks: &str) -> Option<Reason> {
        Cluster::of("a b").run(submit(0, tasks)).ignored
    }

    #[test]
    fn a_job_runs_when_its_peers_are_there() {
        let new = Cluster::of("a b").run(submit(0, "in:i>out out:o")).new;
        assert_eq!(new.peer_count(job_id(0)), 2);
        let new = Cluster::of("a").run(submit(0, "in:i>out out:o")).new;
        assert_eq!(new.jobs.live, [job_id(0)]);
        assert_eq!(new.peer_count(job_id(0)), 0);
    }

    #[test]
    fn a_job_is_submitted_once_even_after_its_end() {
        let mut cluster = Cluster::of("a");
        cluster.run(submit(0, "in:i>out out:o"));
        assert_eq!(
            cluster.run(submit(0, "in:i>out out:o")).ignored,
            Some(Reason::KnownJob)
        );
    }

    #[test]
    fn jobs_that_make_no_sense_are_refused() {
        assert_eq!(reason("in:i>f f:f>out out:o"), None);
        let senseless = [
            "",
            "in:i>out in:i>out out:o",
            "in:i>elsewhere out:o",
            "in:i>out out:o:2-1",
            "in:i>out out:o:0-1",
            "in:i>out,out out:o",
            "in:i>in",
            "in:i out:o",
            "in:i>f f:f",
            "f:f>out out:o",
            "in:i>out out:o>out",
            "out:o in:i>out",
            "in:i>other other:i>out out:o",
        ];
        for tasks in senseless {
            assert_eq!(reason(tasks), Some(Reason::InvalidJob), "{tasks}");
        }
    }
}
