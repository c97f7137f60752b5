//! From a job to the table that a job file would have, with what is not a default.

use crate::ids::TaskName;
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
    if job.task_scheduler != TaskScheduler::default() {
        file.set("task-scheduler", job.task_scheduler.as_str());
    }
    file
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
    let numbers: [(&str, Number); 7] = [
        ("batch-size", |task| Some(task.batch_size)),
        ("batch-timeout-ms", |task| Some(task.batch_timeout_ms)),
        ("min-peers", |task| Some(task.min_peers)),
        ("max-peers", |task| task.max_peers),
        ("pending-timeout-ms", |task| Some(task.pending_timeout_ms)),
        ("input-retry-timeout-ms", |task| {
            Some(task.input_retry_timeout_ms)
        }),
        ("max-pending", |task| Some(task.max_pending)),
    ];
    let input = task.kind == TaskKind::Input;
    for (key, number) in numbers {
        if !input && Task::INPUT_KEYS.contains(&key) {
            continue;
        }
        if let Some(n) = number(task).filter(|_| number(task) != number(&default)) {
            table.set(key, n.get());
        }
    }
    for (key, value) in task.params.iter() {
        table.set(key, value.clone());
    }
    table
}
