//! From the job a user declares to the one that the cluster schedules.

use super::ApiError;
use crate::functions::check_expression;
use crate::ids::TaskName;
use crate::job::validation::disk::{identity, readable, writable};
use crate::job::validation::{Checks, accept};
use crate::job::vocabulary::{calls_word, function_word, plugin_word};
use crate::job::{Job, Task, graph};
use crate::log::commands::SubmittedJob;
use crate::replica::TaskRecord;
use crate::task::registry::Registry;
use std::collections::BTreeSet;

/// Checks a job against what a node knows, and its files against the disk, and fills in what
/// follows from its plugins.
pub fn check_job(job: Job, registry: &Registry) -> Result<Job, ApiError> {
    with_checks(registry, |checks| {
        accept(job, &registry.vocabulary(), checks).map_err(ApiError::InvalidJob)
    })
}

/// Calls back with the checks that need this node: its functions and its disk.
pub fn with_checks<T>(registry: &Registry, call: impl FnOnce(&Checks<'_>) -> T) -> T {
    let function = |task: &Task| registry.functions.build(task).map(|_| ());
    call(&Checks {
        expression: &check_expression,
        function: &function,
        identity: &identity,
        readable: &readable,
        writable: &writable,
    })
}

/// What the cluster needs to know of a job that was checked.
pub(super) fn record(job: &Job) -> SubmittedJob {
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
        content: None,
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
