//! From a tree to a job, as far as it goes: what cannot be read is a misfit, and the rest is read
//! on, so that everything wrong is told at once.

use super::leaf::{one_of, percentage, texts, truth};
use super::task;
use super::tree::{Content, Entry, Node, Origin};
use crate::ids::TaskName;
use crate::job::place::Place;
use crate::job::{Job, Lifecycle, LifecycleTarget, Sends, TaskScheduler};
use crate::nearest::{hint, listed};

const JOB_KEYS: [&str; 11] = [
    "name",
    "workflow",
    "catalog",
    "lifecycles",
    "task-scheduler",
    "percentage",
    "colocated-sends",
    "acker-percentage",
    "acker-exempt-input-tasks",
    "acker-exempt-output-tasks",
    "acker-exempt-tasks",
];
const LIFECYCLE_KEYS: [&str; 2] = ["task", "calls"];

/// What a key of a job in Onyx means that this version does not have.
fn not_in_this_version(key: &str) -> Option<&'static str> {
    match key {
        "windows" => Some("windows"),
        "triggers" => Some("triggers, because it has no windows"),
        "flow-conditions" => {
            Some("flow conditions: every edge gets every segment, and `expr/filter` drops some")
        }
        _ => None,
    }
}

/// What was read, and where its parts stand in the tree.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) job: Job,
    pub(super) misfits: Misfits,
    /// Of each edge, task and lifecycle of the job, which item of its list it was.
    pub(super) edges: Vec<usize>,
    pub(super) tasks: Vec<usize>,
    pub(super) lifecycles: Vec<usize>,
}

/// The parts of the tree that do not fit a job.
#[derive(Debug)]
pub(super) struct Misfits {
    pub(super) list: Vec<Misfit>,
    /// Whether every edge and task was read, so that they can be compared.
    pub(super) whole: bool,
}

/// A part of the tree that does not fit a job.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) origin: Origin,
    pub(super) place: Place,
    pub(super) message: String,
}

impl Misfits {
    pub(super) fn report(&mut self, origin: Origin, place: Place, message: impl Into<String>) {
        let message = message.into();
        self.list.push(Misfit {
            origin,
            place,
            message,
        });
    }

    /// Reports something without which there is no edge or task.
    pub(super) fn lost(&mut self, origin: Origin, place: Place, message: impl Into<String>) {
        self.whole = false;
        self.report(origin, place, message);
    }

    pub(super) fn expected(&mut self, entry: &Entry, place: Place, expected: &str) {
        let message = format!("expected {expected}, found {}", entry.value.found());
        self.report(entry.origin, place, message);
    }
}

pub(super) fn read(root: &Node, default_name: &str) -> Reading {
    let mut reading = Reading::empty(default_name);
    let Content::Table(entries) = &root.content else {
        let (keys, found) = (listed(JOB_KEYS), root.found());
        let message = format!("expected a table with the keys {keys}, found {found}");
        reading.misfits.lost(root.origin, Place::job(), message);
        return reading;
    };
    for entry in entries {
        reading.top_level(entry);
    }
    for required in ["workflow", "catalog"] {
        if root.entry(required).is_none() {
            let message = "the key is missing; a job needs `workflow` and `catalog`";
            reading
                .misfits
                .lost(root.origin, Place::job().key(required), message);
        }
    }
    reading
}

impl Reading {
    fn empty(name: &str) -> Self {
        Reading {
            job: Job::new(name, [], []),
            misfits: Misfits {
                list: Vec::new(),
                whole: true,
            },
            edges: Vec::new(),
            tasks: Vec::new(),
            lifecycles: Vec::new(),
        }
    }

    fn top_level(&mut self, entry: &Entry) {
        let place = Place::job().key(&entry.key);
        match entry.key.as_str() {
            "name" => match entry.value.text() {
                Some(name) => self.job.name = name.into(),
                None => self.misfits.expected(entry, place, "text"),
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
            shared => self.sharing(shared, entry, place),
        }
    }

    /// The keys that say how peers are shared.
    fn sharing(&mut self, key: &str, entry: &Entry, place: Place) {
        let Reading { job, misfits, .. } = self;
        match key {
            "task-scheduler" => {
                let known = TaskScheduler::ALL;
                let scheduler = one_of(entry, place, misfits, known, TaskScheduler::as_str);
                job.task_scheduler = scheduler.unwrap_or_default();
            }
            "percentage" => percentage(entry, place, misfits, &mut job.percentage),
            "colocated-sends" => {
                let sends = one_of(entry, place, misfits, Sends::ALL, Sends::as_str);
                job.sends = sends.unwrap_or_default();
            }
            "acker-percentage" => percentage(entry, place, misfits, &mut job.ackers.percentage),
            "acker-exempt-input-tasks" => {
                truth(entry, place, misfits, &mut job.ackers.exempt_inputs);
            }
            "acker-exempt-output-tasks" => {
                truth(entry, place, misfits, &mut job.ackers.exempt_outputs);
            }
            "acker-exempt-tasks" => {
                let names = texts(entry, place, misfits).unwrap_or_default();
                job.ackers.exempt_tasks = names.into_iter().map(TaskName::from).collect();
            }
            later if let Some(what) = not_in_this_version(later) => {
                let message = format!("this version has no {what}; remove the key");
                misfits.report(entry.origin, place, message);
            }
            unknown => {
                let takes = format!("a job takes: {}", listed(JOB_KEYS));
                let message = format!("unknown key{}", hint(unknown, JOB_KEYS, &takes));
                self.misfits.report(entry.origin, place, message);
            }
        }
    }

    fn list(&mut self, entry: &Entry, item: fn(&mut Self, usize, &Node), expected: &str) {
        let place = Place::job().key(&entry.key);
        let Content::List(items) = &entry.value.content else {
            let message = format!("expected {expected}, found {}", entry.value.found());
            return self.misfits.lost(entry.origin, place, message);
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
        let found = match node.items().len() {
            0 => node.found(),
            items => format!("a list of {items}"),
        };
        let message = format!("expected an edge `[from, to]` of two task names, found {found}");
        self.misfits.lost(node.origin, Place::edge(index), message);
    }

    fn task(&mut self, index: usize, node: &Node) {
        if let Some(task) = task::read(index, node, &mut self.misfits) {
            self.job.catalog.push(task);
            self.tasks.push(index);
        }
    }

    fn lifecycle(&mut self, index: usize, node: &Node) {
        let place = Place::lifecycle(index);
        for entry in node.entries() {
            if !LIFECYCLE_KEYS.contains(&entry.key.as_str()) {
                let takes = "a lifecycle takes: task, calls";
                let message = format!("unknown key{}", hint(&entry.key, LIFECYCLE_KEYS, takes));
                self.misfits
                    .report(entry.origin, place.clone().key(&entry.key), message);
            }
        }
        let text = |key| node.entry(key).and_then(|entry| entry.value.text());
        let (Some(task), Some(calls)) = (text("task"), text("calls")) else {
            let message = "a lifecycle needs `task`, a task name or `all`, and `calls`, a name";
            return self.misfits.report(node.origin, place, message);
        };
        let task = LifecycleTarget::from(TaskName::from(task));
        self.job.lifecycles.push(Lifecycle {
            task,
            calls: calls.into(),
        });
        self.lifecycles.push(index);
    }
}
