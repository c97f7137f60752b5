//! `submit-job`: a job is to run.

use crate::ids::{ContentHash, JobId, LogPosition};
use crate::job::percent::Percent;
use crate::job::{AckerRule, Sends, TaskKind, TaskScheduler};
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::flat_job::FlatJob;
use crate::replica::view::{Misread, read_at};
use crate::replica::{JobRecord, Jobs, Replica, TaskRecord};
use crate::scheduler::reallocate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A job is to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SubmitJob {
    /// Its id, the key of what is stored beside the log.
    pub id: JobId,
    /// What the cluster needs to know of it.
    pub job: SubmittedJob,
}

/// As it is written: flat.
#[derive(Serialize, Deserialize)]
struct Written {
    id: JobId,
    #[serde(flatten)]
    job: FlatJob,
}

impl From<SubmitJob> for Written {
    fn from(submit: SubmitJob) -> Self {
        let record = submit.job.into_record(LogPosition::default());
        Written {
            id: submit.id,
            job: FlatJob::of(&record),
        }
    }
}

impl TryFrom<Written> for SubmitJob {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let record = written.job.into_record(LogPosition::default())?;
        Ok(SubmitJob {
            id: written.id,
            job: record.into(),
        })
    }
}

/// What the cluster needs to know of a job that is submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmittedJob {
    /// What people call it.
    pub name: String,
    /// The tasks in topological order.
    pub tasks: Vec<TaskRecord>,
    /// How its peers are shared among its tasks.
    pub task_scheduler: TaskScheduler,
    /// Its share of the cluster.
    pub percentage: Option<Percent>,
    /// How far a colocated job sends its segments.
    pub sends: Sends,
    /// Which of its peers keep ledgers.
    pub ackers: AckerRule,
    /// What it consists of, so that it can be told from another one under the same id.
    pub content: Option<ContentHash>,
}

impl From<JobRecord> for SubmittedJob {
    fn from(record: JobRecord) -> Self {
        SubmittedJob {
            name: record.name,
            tasks: record.tasks,
            task_scheduler: record.task_scheduler,
            percentage: record.percentage,
            sends: record.sends,
            ackers: record.ackers,
            content: record.content,
        }
    }
}

impl SubmittedJob {
    /// A job of these tasks, with every default.
    pub fn new(name: impl Into<String>, tasks: Vec<TaskRecord>) -> Self {
        JobRecord::new(name, tasks).into()
    }

    fn into_record(self, submitted: LogPosition) -> JobRecord {
        JobRecord {
            name: self.name,
            tasks: self.tasks,
            task_scheduler: self.task_scheduler,
            percentage: self.percentage,
            sends: self.sends,
            ackers: self.ackers,
            content: self.content,
            submitted,
        }
    }

    /// Why it cannot be scheduled, or cannot end. None if it can. Nodes validate much more before they
    /// submit, but any program may write to the log.
    fn flaw(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut reached = BTreeSet::new();
        for task in &self.tasks {
            let name = &task.name;
            if !seen.insert(name) {
                return Some(format!("`tasks` has `{name}` twice"));
            }
            if let Some(flaw) = flaw_of_task(task, reached.contains(name)) {
                return Some(flaw);
            }
            let mut distinct = BTreeSet::new();
            for to in &task.downstream {
                if !distinct.insert(to) {
                    return Some(format!("task `{name}` sends to `{to}` twice"));
                }
                if seen.contains(to) {
                    return Some(format!(
                        "task `{name}` sends to `{to}`, which is before it in `tasks`: the order is \
                         not topological"
                    ));
                }
            }
            reached.extend(distinct);
        }
        if self.tasks.is_empty() {
            return Some("it has no tasks".into());
        }
        let stray = reached.difference(&seen).next()?;
        Some(format!(
            "a task sends to `{stray}`, which is not in `tasks`"
        ))
    }
}

fn flaw_of_task(task: &TaskRecord, has_source: bool) -> Option<String> {
    let name = &task.name;
    if task.min_peers < 1 {
        return Some(format!(
            "`min-required-peers` of task `{name}` is 0, expected at least 1"
        ));
    }
    if let Some(max) = task.max_peers.filter(|max| *max < task.min_peers) {
        let min = task.min_peers;
        return Some(format!(
            "`task-saturation` of task `{name}` is {max}, below its `min-required-peers`, {min}"
        ));
    }
    let (kind, sends) = (task.kind, !task.downstream.is_empty());
    match (kind, has_source, sends) {
        (TaskKind::Input, true, _) => Some(format!("a task sends to the input `{name}`")),
        (TaskKind::Input | TaskKind::Function, _, false) => {
            Some(format!("the {} `{name}` sends to no task", kind.as_str()))
        }
        (TaskKind::Function | TaskKind::Output, false, _) => Some(format!(
            "no task before the {} `{name}` sends to it",
            kind.as_str()
        )),
        (TaskKind::Output, _, true) => Some(format!("the output `{name}` sends to another task")),
        (TaskKind::Input, false, true)
        | (TaskKind::Function, true, true)
        | (TaskKind::Output, true, false) => None,
    }
}

impl LogCommand for SubmitJob {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        if replica.jobs.is_known(self.id) {
            return Applied::Ignored(self.met(replica.jobs.content_of(self.id)));
        }
        if self.job.flaw().is_some() {
            return Applied::Ignored(Reason::InvalidJob);
        }
        if replica.jobs.live.len() >= Jobs::LIVE_LIMIT {
            return Applied::Ignored(Reason::TooManyJobs);
        }
        let record = self.job.clone().into_record(position);
        let mut new = replica.clone();
        Arc::make_mut(&mut new.jobs).submit(self.id, record);
        Applied::Changed(reallocate(&new, position))
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new).about("job", self.id)
    }
}

impl SubmitJob {
    /// Reads arguments that stand at a place.
    pub(super) fn read(args: &Value, path: &str) -> Result<Self, Misread> {
        let written: Written = read_at(args, path)?;
        // By itself, so that an error names its key, which a flattened structure hides.
        written
            .try_into()
            .map_err(|message: String| Misread::new(path, message))
    }

    /// Why the job is invalid. None if it is not.
    pub(crate) fn flaw(&self) -> Option<String> {
        self.job.flaw()
    }

    /// What somebody is told whose job id is taken. Without a hash nobody can tell two jobs apart.
    fn met(&self, known: Option<ContentHash>) -> Reason {
        match (known, self.job.content) {
            (Some(known), Some(mine)) if known != mine => Reason::OtherContent,
            _ => Reason::KnownJob,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::log::commands::{Command, KillJob};
    use crate::replica::sample::{job_id, record};
    use crate::replica::{Outcome, Tombstone};

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
    fn the_same_id_stands_for_the_same_content() {
        let with = |content| {
            let Command::SubmitJob(mut submit) = submit(0, "in:i>out out:o") else {
                unreachable!("a submission")
            };
            submit.job.content = content;
            Command::SubmitJob(submit)
        };
        let [one, other] = [1, 2].map(|hash| Some(ContentHash(hash)));
        let mut cluster = Cluster::of("a b");
        assert_eq!(cluster.run(with(one)).ignored, None);
        assert_eq!(cluster.run(with(one)).ignored, Some(Reason::KnownJob));
        assert_eq!(cluster.run(with(other)).ignored, Some(Reason::OtherContent));
        assert_eq!(cluster.run(with(None)).ignored, Some(Reason::KnownJob));
        cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        assert_eq!(cluster.run(with(one)).ignored, Some(Reason::KnownJob));
        assert_eq!(cluster.run(with(other)).ignored, Some(Reason::OtherContent));
    }

    #[test]
    fn the_id_of_a_collected_job_stands_for_its_content() {
        let mut cluster = Cluster::of("a b");
        let jobs = &mut Arc::make_mut(&mut cluster.replica).jobs;
        let tombstone = Tombstone {
            outcome: Outcome::Completed,
            content: Some(ContentHash(1)),
            collected: LogPosition(0),
        };
        Arc::make_mut(jobs).tombstones.insert(job_id(0), tombstone);
        let step = cluster.run(submit(0, "in:i>out out:o"));
        assert_eq!(step.ignored, Some(Reason::KnownJob));
    }

    #[test]
    fn there_are_so_many_live_jobs_until_one_ends() {
        let mut cluster = Cluster::of("a");
        let full = Arc::make_mut(&mut cluster.replica);
        let limit = Jobs::LIVE_LIMIT as u32;
        for job in 1..limit {
            let record = record("in:i>out out:o");
            Arc::make_mut(&mut full.jobs).submit(job_id(job), record);
        }
        let next = |job| submit(job, "in:i>out out:o");
        assert_eq!(cluster.run(next(limit)).ignored, None);
        let over = limit + 1;
        assert_eq!(cluster.run(next(over)).ignored, Some(Reason::TooManyJobs));
        // What is wrong besides is told first: it would be so with more room, too.
        assert_eq!(cluster.run(next(limit)).ignored, Some(Reason::KnownJob));
        assert_eq!(
            cluster.run(submit(over, "")).ignored,
            Some(Reason::InvalidJob)
        );
        cluster.run(Command::KillJob(KillJob::new(job_id(1), None)));
        assert_eq!(cluster.run(next(over)).ignored, None);
        assert_eq!(cluster.replica.jobs.live.len(), Jobs::LIVE_LIMIT);
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

    #[test]
    fn an_invalid_job_says_why() {
        let told = [
            "",
            "in:i>out in:i>out out:o",
            "in:i>elsewhere,out out:o",
            "in:i>out out:o:2-1",
            "in:i>out out:o:0-1",
            "in:i>out,out out:o",
            "in:i out:o",
            "f:f>out out:o",
            "in:i>out out:o>out",
            "out:o in:i>out",
            "in:i>other other:i>out out:o",
        ]
        .map(|tasks| {
            let Command::SubmitJob(submit) = submit(0, tasks) else {
                panic!("a submission");
            };
            submit.flaw().expect("it is invalid")
        });
        insta::assert_snapshot!(told.join("\n"), @"
        it has no tasks
        `tasks` has `in` twice
        a task sends to `elsewhere`, which is not in `tasks`
        `task-saturation` of task `out` is 1, below its `min-required-peers`, 2
        `min-required-peers` of task `out` is 0, expected at least 1
        task `in` sends to `out` twice
        the input `in` sends to no task
        no task before the function `f` sends to it
        the output `out` sends to another task
        no task before the output `out` sends to it
        a task sends to the input `other`
        ");
    }
}
