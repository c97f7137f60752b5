//! From a tree to a job, as far as it goes: what cannot be read is a problem, and the rest is read
//! on, so that everything wrong is told at once.

use super::tree::{Content, Entry, Node, Origin};
use crate::ids::TaskName;
use crate::job::nearest::{listed, suggestion};
use crate::job::place::Place;
use crate::job::{Job, Lifecycle, LifecycleTarget, Task, TaskKind, TaskScheduler};
use crate::segment::{Segment, Value};
use std::num::NonZeroU32;

const JOB_KEYS: [&str; 5] = [
    "name",
    "workflow",
    "catalog",
    "lifecycles",
    "task-scheduler",
];
const LIFECYCLE_KEYS: [&str; 2] = ["task", "calls"];
const INPUT_KEYS: [&str; 3] = [
    "pending-timeout-ms",
    "input-retry-timeout-ms",
    "max-pending",
];

/// What was read, and where its parts stand in the tree.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) job: Job,
    pub(super) misfits: Vec<Misfit>,
    /// Of each edge, task and lifecycle of the job, which item of its list it was.
    pub(super) edges: Vec<usize>,
    pub(super) tasks: Vec<usize>,
    pub(super) lifecycles: Vec<usize>,
}

/// A part of the tree that does not fit a job.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) origin: Origin,
    pub(super) place: Place,
    pub(super) message: String,
}

pub(super) fn read(root: &Node, default_name: &str) -> Reading {
    let mut reading = Reading::empty(default_name);
    let Content::Table(entries) = &root.content else {
        let message = format!(
            "expected a table with the keys {}, found {}",
            listed(JOB_KEYS),
            root.found()
        );
        reading.misfit(root.origin, Place::job(), message);
        return reading;
    };
    for entry in entries {
        reading.top_level(entry);
    }
    for required in ["workflow", "catalog"] {
        if root.entry(required).is_none() {
            let message = "the key is missing; a job needs `workflow` and `catalog`";
            reading.misfit(root.origin, Place::job().key(required), message);
        }
    }
    reading
}

impl Reading {
    fn empty(name: &str) -> Self {
        Reading {
            job: Job {
                name: name.into(),
                workflow: Vec::new(),
                catalog: Vec::new(),
                lifecycles: Vec::new(),
                task_scheduler: TaskScheduler::default(),
            },
            misfits: Vec::new(),
            edges: Vec::new(),
            tasks: Vec::new(),
            lifecycles: Vec::new(),
        }
    }

    /// Whether every edge, task and lifecycle was read, so that they can be compared.
    pub(super) fn is_whole(&self) -> bool {
        self.misfits
            .iter()
            .all(|misfit| misfit.place.steps().len() > 2)
    }

    fn misfit(&mut self, origin: Origin, place: Place, message: impl Into<String>) {
        let message = message.into();
        self.misfits.push(Misfit {
            origin,
            place,
            message,
        });
    }

    fn expected(&mut self, entry: &Entry, place: Place, expected: &str) {
        let message = format!("expected {expected}, found {}", entry.value.found());
        self.misfit(entry.origin, place, message);
    }

    fn top_level(&mut self, entry: &Entry) {
        let place = Place::job().key(&entry.key);
        match entry.key.as_str() {
            "name" => match entry.value.text() {
                Some(name) => self.job.name = name.into(),
                None => self.expected(entry, place, "text"),
            },
            "workflow" => self.list(entry, Self::edge, "a list of edges, each `[from, to]`"),
            "catalog" => self.list(entry, Self::task, "a list of tasks"),
            "lifecycles" => {
                self.list(
                    entry,
                    Self::lifecycle,
                    "a list of tables with `task` and `calls`",
                );
            }
            "task-scheduler" => {
                let known = TaskScheduler::ALL;
                let named = |name| known.into_iter().find(|it| it.as_str() == name);
                match entry.value.text().and_then(named) {
                    Some(scheduler) => self.job.task_scheduler = scheduler,
                    None => {
                        let names = known.map(TaskScheduler::as_str);
                        self.expected(entry, place, &format!("one of: {}", listed(names)));
                    }
                }
            }
            unknown => {
                let near = suggestion(unknown, JOB_KEYS);
                let message = format!("unknown key{near}; a job takes: {}", listed(JOB_KEYS));
                self.misfit(entry.origin, place, message);
            }
        }
    }

    fn list(&mut self, entry: &Entry, item: fn(&mut Self, usize, &Node), expected: &str) {
        let Content::List(items) = &entry.value.content else {
            return self.expected(entry, Place::job().key(&entry.key), expected);
        };
        for (index, node) in items.iter().enumerate() {
            item(self, index, node);
        }
    }

    fn edge(&mut self, index: usize, node: &Node) {
        let ends: Vec<Option<&str>> = node.items().iter().map(Node::text).collect();
        if let [Some(from), Some(to)] = ends[..] {
            self.job.workflow.push((from.into(), to.into()));
            self.edges.push(index);
            return;
        }
        let message = format!(
            "expected an edge `[from, to]` of two task names, found {}",
            node.found()
        );
        self.misfit(node.origin, Place::edge(index), message);
    }

    fn lifecycle(&mut self, index: usize, node: &Node) {
        let place = Place::lifecycle(index);
        for entry in node.entries() {
            if !LIFECYCLE_KEYS.contains(&entry.key.as_str()) {
                let near = suggestion(&entry.key, LIFECYCLE_KEYS);
                let message = format!("unknown key{near}; a lifecycle takes: task, calls");
                self.misfit(entry.origin, place.clone().key(&entry.key), message);
            }
        }
        let text = |key| node.entry(key).and_then(|entry| entry.value.text());
        let (Some(task), Some(calls)) = (text("task"), text("calls")) else {
            let message = "a lifecycle needs `task`, a task name or `all`, and `calls`, a name";
            return self.misfit(node.origin, place, message);
        };
        let task = LifecycleTarget::from(TaskName::from(task));
        self.job.lifecycles.push(Lifecycle {
            task,
            calls: calls.into(),
        });
        self.lifecycles.push(index);
    }

    fn task(&mut self, index: usize, node: &Node) {
        let place = Place::job().key("catalog").index(index);
        let Content::Table(entries) = &node.content else {
            let message = format!(
                "expected a table with `name` and `type`, found {}",
                node.found()
            );
            return self.misfit(node.origin, place, message);
        };
        let Some(name) = node.entry("name") else {
            return self.misfit(node.origin, place, "the task has no `name`");
        };
        let Some(name) = name.value.text() else {
            let message = format!("expected text as `name`, found {}", name.value.found());
            return self.misfit(name.origin, place, message);
        };
        let kinds = listed(TaskKind::ALL.map(TaskKind::as_str));
        let unnamed_kind = Task::new(name, TaskKind::Function);
        let place = Place::task(index, &unnamed_kind);
        let Some(kind) = node.entry("type") else {
            return self.misfit(
                node.origin,
                place,
                format!("the task has no `type`; one of: {kinds}"),
            );
        };
        let named = |name| TaskKind::ALL.into_iter().find(|it| it.as_str() == name);
        let Some(task_kind) = kind.value.text().and_then(named) else {
            let near = suggestion(
                kind.value.text().unwrap_or_default(),
                TaskKind::ALL.map(TaskKind::as_str),
            );
            let message = format!(
                "expected a `type` of {kinds}, found {}{near}",
                kind.value.found()
            );
            return self.misfit(kind.origin, place, message);
        };
        let mut task = Task::new(name, task_kind);
        for entry in entries {
            self.task_key(&mut task, entry, node, place.clone().key(&entry.key));
        }
        self.job.catalog.push(task);
        self.tasks.push(index);
    }

    fn task_key(&mut self, task: &mut Task, entry: &Entry, node: &Node, place: Place) {
        let key = entry.key.as_str();
        if INPUT_KEYS.contains(&key) && task.kind != TaskKind::Input {
            let kind = task.kind.as_str();
            let message = format!("only inputs have this key, and the task is of type `{kind}`");
            return self.misfit(entry.origin, place, message);
        }
        if ["min-peers", "max-peers"].contains(&key) && node.entry("n-peers").is_some() {
            let message = "`n-peers` sets both `min-peers` and `max-peers`; write one or the other";
            return self.misfit(entry.origin, place, message);
        }
        match key {
            "name" | "type" => {}
            "fn" => self.text(entry, place, &mut task.function),
            "plugin" => self.text(entry, place, &mut task.plugin),
            "dead-letter" => self.text(entry, place, &mut task.dead_letter),
            "batch-size" => self.positive(entry, place, &mut task.batch_size),
            "batch-timeout-ms" => self.positive(entry, place, &mut task.batch_timeout_ms),
            "min-peers" => self.positive(entry, place, &mut task.min_peers),
            "max-peers" => {
                let mut max = NonZeroU32::MIN;
                self.positive(entry, place, &mut max);
                task.max_peers = Some(max);
            }
            "n-peers" => {
                self.positive(entry, place, &mut task.min_peers);
                task.max_peers = Some(task.min_peers);
            }
            "pending-timeout-ms" => self.positive(entry, place, &mut task.pending_timeout_ms),
            "input-retry-timeout-ms" => {
                self.positive(entry, place, &mut task.input_retry_timeout_ms);
            }
            "max-pending" => self.positive(entry, place, &mut task.max_pending),
            own => task.params.set(own, value(&entry.value)),
        }
    }

    fn text(&mut self, entry: &Entry, place: Place, target: &mut Option<String>) {
        match entry.value.text() {
            Some(text) => *target = Some(text.into()),
            None => self.expected(entry, place, "text"),
        }
    }

    fn positive(&mut self, entry: &Entry, place: Place, target: &mut NonZeroU32) {
        let number = match entry.value.content {
            Content::Int(n) => u32::try_from(n).ok().and_then(NonZeroU32::new),
            _ => None,
        };
        match number {
            Some(number) => *target = number,
            None => self.expected(entry, place, &format!("an integer from 1 to {}", u32::MAX)),
        }
    }
}

fn value(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Bool(b) => (*b).into(),
        Content::Int(n) => (*n).into(),
        Content::Float(n) => (*n).into(),
        Content::Text(text) => text.as_str().into(),
        Content::List(items) => items.iter().map(value).collect::<Vec<Value>>().into(),
        Content::Table(entries) => {
            let fields = entries
                .iter()
                .map(|entry| (entry.key.as_str(), value(&entry.value)));
            fields.collect::<Segment>().into()
        }
    }
}
