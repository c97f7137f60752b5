//! From a job to the table that a job file would have, with what is not a default.

use crate::ids::TaskName;
use crate::job::percent::Percent;
use crate::job::{Job, Task, TaskKind, TaskScheduler};
use crate::segment::{Segment, Value};
use std::num::NonZeroU32;

/// The job in the form of a job file, to be written as YAML or JSON. Reading it gives the job
/// again.
pub fn describe(job: &Job) -> Segment {
    let mut file = Segment::new();
    file.set("name", job.name.as_str());
    let edge = |from: &str, to: &str| Value::from(vec![from.into(), to.into()]);
    let edges = job
        .workflow
        .iter()
        .map(|(from, to)| edge(from.as_str(), to.as_str()));
    file.set("workflow", edges.collect::<Vec<Value>>());
    file.set(
        "catalog",
        job.catalog
            .iter()
            .map(|it| task(it).into())
            .collect::<Vec<Value>>(),
    );
    if !job.lifecycles.is_empty() {
        let lifecycles = job.lifecycles.iter().map(|lifecycle| {
            let task = TaskName::from(lifecycle.task.clone());
            let fields = [("task", task.as_str()), ("calls", lifecycle.calls.as_str())];
            fields.into_iter().collect::<Segment>().into()
        });
        file.set("lifecycles", lifecycles.collect::<Vec<Value>>());
    }
    describe_sharing(job, &mut file);
    file
}

fn describe_sharing(job: &Job, file: &mut Segment) {
    if job.task_scheduler != TaskScheduler::default() {
        file.set("task-scheduler", job.task_scheduler.as_str());
    }
    if let Some(percentage) = job.percentage {
        file.set("percentage", percent(percentage));
    }
    if !job.sends.is_default() {
        file.set("colocated-sends", job.sends.as_str());
    }
    let ackers = &job.ackers;
    if let Some(percentage) = ackers.percentage {
        file.set("acker-percentage", percent(percentage));
    }
    for (key, exempt) in [
        ("acker-exempt-input-tasks", ackers.exempt_inputs),
        ("acker-exempt-output-tasks", ackers.exempt_outputs),
    ] {
        if exempt {
            file.set(key, true);
        }
    }
    if !ackers.exempt_tasks.is_empty() {
        let names = ackers.exempt_tasks.iter().map(|task| task.as_str().into());
        file.set("acker-exempt-tasks", names.collect::<Vec<Value>>());
    }
}

fn percent(percentage: Percent) -> Value {
    match percentage.parts() % 100 {
        0 => i64::from(percentage.parts() / 100).into(),
        _ => (f64::from(percentage.parts()) / 100.0).into(),
    }
}

type Number = fn(&Task) -> Option<NonZeroU32>;

fn task(task: &Task) -> Segment {
    let mut table = Segment::new();
    table.set("name", task.name.as_str());
    table.set("type", task.kind.as_str());
    for (key, text) in [
        ("plugin", &task.plugin),
        ("fn", &task.function),
        ("dead-letter", &task.dead_letter),
    ] {
        if let Some(text) = text {
            table.set(key, text.as_str());
        }
    }
    let default = Task::new(task.name.clone(), task.kind);
    let numbers: [(&str, Number); 9] = [
        ("batch-size", |task| Some(task.batch_size)),
        ("batch-timeout-ms", |task| Some(task.batch_timeout_ms)),
        ("min-peers", |task| Some(task.min_peers)),
        ("max-peers", |task| task.max_peers),
        ("pending-timeout-ms", |task| Some(task.pending_timeout_ms)),
        ("input-retry-timeout-ms", |task| {
            Some(task.input_retry_timeout_ms)
        }),
        ("max-pending", |task| Some(task.max_pending)),
        ("max-pending-bytes", |task| Some(task.max_pending_bytes)),
        ("max-retries", |task| Some(task.max_retries)),
    ];
    let input = task.kind == TaskKind::Input;
    for (key, number) in numbers {
        if !input && Task::INPUT_KEYS.contains(&key) {
            continue;
        }
        // A task with a flux policy says how many peers it needs, even if that is the default.
        let is_said = key == "min-peers" && task.flux_policy.is_some();
        let is_own = number(task) != number(&default);
        if let Some(n) = number(task).filter(|_| is_own || is_said) {
            table.set(key, n.get());
        }
    }
    if let Some(limit) = task.max_rejected.filter(|_| input) {
        table.set("max-rejected", limit.to_string());
    }
    if let Some(percentage) = task.percentage {
        table.set("percentage", percent(percentage));
    }
    if let Some(policy) = task.flux_policy {
        table.set("flux-policy", policy.as_str());
    }
    if !task.required_tags.is_empty() {
        let tags = task.required_tags.iter().map(|tag| tag.as_str().into());
        table.set("required-tags", tags.collect::<Vec<Value>>());
    }
    for (key, value) in task.params.iter() {
        table.set(key, value.clone());
    }
    table
}
