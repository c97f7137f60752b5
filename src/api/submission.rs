//! From the job a user declares to the one that the cluster schedules.

use super::{ApiError, NodeHandle};
use crate::coordination::{Written, delete_job, write_job};
use crate::functions::check_expression;
use crate::ids::{ContentHash, JobId, LogPosition, TaskName};
use crate::job::content::content_hash;
use crate::job::validation::disk::{files, identity, readable, writable};
use crate::job::validation::{Checks, accept, complete};
use crate::job::vocabulary::{calls_word, function_word, plugin_word};
use crate::job::{Job, Task, graph};
use crate::log::commands::{Command, SubmitJob, SubmittedJob};
use crate::messages::outbox::WriteFailed;
use crate::replica::{Replica, TaskRecord};
use crate::stop_flag::StopFlag;
use crate::task::registry::Registry;
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// Whether a job was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is in the log now.
    Now,
    /// The same job was submitted under this id before, and may have ended by now.
    Before,
}

impl NodeHandle {
    /// Checks a job, stores it and appends it to the log. Returns when this node has applied the
    /// entry. A job that is wrong leaves nothing behind.
    pub async fn submit_job(&self, job: Job) -> Result<JobId, ApiError> {
        let id = self
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .job();
        let submitted = self.submit_job_as(id, job).await;
        if let Err(error) = &submitted
            && was_not_taken(error)
        {
            // Nobody else knows the id. What cannot be deleted now is for the collector.
            let session = self.window.session.borrow().clone();
            if let Err(error) = delete_job(&*session, id).await {
                tracing::warn!(job = %id, %error, "the data of a job that was not taken stays");
            }
        }
        submitted.map(|_| id)
    }

    /// Submits a job under an id of the caller's choice, so that it can be repeated when nobody
    /// knows what became of it: the same job under the same id runs once. Another job under an id
    /// that is taken is refused.
    pub async fn submit_job_as(&self, id: JobId, job: Job) -> Result<Submitted, ApiError> {
        let vocabulary = self.registry.vocabulary();
        let replica = self.snapshot().replica;
        if replica.jobs.is_known(id) {
            // What it reads may be gone by now, or never have been here.
            let mut job = job;
            complete(&mut job, &vocabulary);
            return met(&replica, id, content_hash(&job), None);
        }
        let job = check_job(job, &self.registry)?;
        let content = content_hash(&job);
        self.files.take(id, &job, &vocabulary, &replica)?;
        let submitted = self.append_job(id, &job, content).await;
        // One whose outcome is unknown may run, and keeps its files until that is known.
        let unknown = matches!(submitted, Err(ApiError::Write(WriteFailed::Ended)));
        if submitted.is_err() && !unknown {
            self.files.give_back(id);
        }
        submitted
    }

    async fn append_job(
        &self,
        id: JobId,
        job: &Job,
        content: ContentHash,
    ) -> Result<Submitted, ApiError> {
        let session = self.window.session.borrow().clone();
        if write_job(&*session, id, job).await? == Written::KeptExisting {
            return Err(ApiError::OtherContent(id));
        }
        let submit = SubmitJob {
            id,
            job: record(job, content),
        };
        let position = self.append(Command::SubmitJob(submit)).await?;
        met(&self.snapshot().replica, id, content, Some(position))
    }
}

/// Whether a submission has left data behind, and is not in the log and will not be.
fn was_not_taken(error: &ApiError) -> bool {
    matches!(
        error,
        ApiError::NotTaken | ApiError::Write(WriteFailed::Full(_) | WriteFailed::Refused(_))
    )
}

/// What became of a submission, by an entry if there is one. An entry that was applied can still have
/// been ignored.
fn met(
    replica: &Replica,
    id: JobId,
    content: ContentHash,
    entry: Option<LogPosition>,
) -> Result<Submitted, ApiError> {
    if !replica.jobs.is_known(id) {
        return Err(ApiError::NotTaken);
    }
    let known = replica.jobs.content_of(id);
    if known.is_some_and(|known| known != content) {
        return Err(ApiError::OtherContent(id));
    }
    let submitted = replica.record(id).map(|record| record.submitted);
    match entry.is_some() && submitted == entry {
        true => Ok(Submitted::Now),
        false => Ok(Submitted::Before),
    }
}

/// Checks a job against what a node knows, and its files against the disk, and fills in what
/// follows from its plugins.
pub fn check_job(job: Job, registry: &Registry) -> Result<Job, ApiError> {
    with_checks(registry, |checks| {
        accept(job, &registry.vocabulary(), checks).map_err(ApiError::InvalidJob)
    })
}

/// Calls back with the checks that need this node: its functions and its disk.
pub fn with_checks<T>(registry: &Registry, call: impl FnOnce(&Checks<'_>) -> T) -> T {
    let function = |task: &Task| {
        registry
            .functions
            .build(task, &StopFlag::default())
            .map(|_| ())
    };
    let access = &registry.files;
    call(&Checks {
        expression: &check_expression,
        function: &function,
        files: &|path| files(path, access),
        identity: &identity,
        readable: &|path| readable(path, access),
        writable: &|path| writable(path, access),
    })
}

/// What the cluster needs to know of a job that was checked.
fn record(job: &Job, content: ContentHash) -> SubmittedJob {
    let ordered = graph::topological(job);
    let tasks = ordered
        .iter()
        .filter_map(|name| job.task(name))
        .map(|task| TaskRecord {
            name: task.name.clone(),
            kind: task.kind,
            downstream: downstream(job, &task.name),
            min_peers: task.min_peers.get(),
            max_peers: task.max_peers.map(|max| max.get()),
            words: words(job, task),
            required_tags: task.required_tags.clone(),
            flux_policy: task.flux_policy,
            percentage: task.percentage,
        });
    let tasks = tasks.collect();
    SubmittedJob {
        name: job.name.clone(),
        tasks,
        task_scheduler: job.task_scheduler,
        percentage: job.percentage,
        sends: job.sends,
        ackers: job.ackers.clone(),
        content: Some(content),
    }
}

fn downstream(job: &Job, task: &TaskName) -> Vec<TaskName> {
    graph::downstream(job, task).into_iter().cloned().collect()
}

fn words(job: &Job, task: &Task) -> BTreeSet<String> {
    let function = task.function.iter().map(|name| function_word(name));
    let plugin = task.plugin.iter().map(|name| plugin_word(name));
    let lifecycles = job
        .lifecycles
        .iter()
        .filter(|lifecycle| lifecycle.task.covers(&task.name));
    let calls = lifecycles.map(|lifecycle| calls_word(&lifecycle.calls));
    function.chain(plugin).chain(calls).collect()
}
