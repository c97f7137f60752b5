//! From an item of the catalog to a task.

use super::leaf::{max_rejected, one_of, percentage, positive, text, texts};
use super::read::Misfits;
use super::tree::{Content, Entry, Node};
use crate::job::place::Place;
use crate::job::{FluxPolicy, Task, TaskKind};
use crate::nearest::{listed, suggestion};
use crate::segment::{Segment, Value};

/// The task, unless it has no name or type. What else is wrong is reported, and the task has the
/// default instead.
pub(super) fn read(index: usize, node: &Node, misfits: &mut Misfits) -> Option<Task> {
    let place = Place::job().key("catalog").index(index);
    let Content::Table(entries) = &node.content else {
        let found = node.found();
        let message = format!("expected a table with `name` and `type`, found {found}");
        misfits.lost(node.origin, place, message);
        return None;
    };
    let Some(name) = node.entry("name") else {
        misfits.lost(node.origin, place, "the task has no `name`");
        return None;
    };
    let Some(text) = name.value.text() else {
        let message = format!("expected text, found {}", name.value.found());
        misfits.lost(name.origin, place.key("name"), message);
        return None;
    };
    let place = Place::named_task(index, text.into());
    let kind = kind(node, &place, misfits)?;
    let mut reader = TaskReader {
        task: Task::new(text, kind),
        node,
        misfits,
    };
    for entry in entries {
        reader.key(entry, place.clone().key(&entry.key));
    }
    Some(reader.task)
}

fn kind(node: &Node, place: &Place, misfits: &mut Misfits) -> Option<TaskKind> {
    let names = TaskKind::ALL.map(TaskKind::as_str);
    let Some(entry) = node.entry("type") else {
        let message = format!("the task has no `type`; one of: {}", listed(names));
        misfits.lost(node.origin, place.clone(), message);
        return None;
    };
    let given = entry.value.text().unwrap_or_default();
    let kind = TaskKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == given);
    if kind.is_none() {
        let (found, near) = (entry.value.found(), suggestion(given, names));
        let message = format!("expected one of: {}, found {found}{near}", listed(names));
        misfits.lost(entry.origin, place.clone().key("type"), message);
    }
    kind
}

struct TaskReader<'a> {
    task: Task,
    node: &'a Node,
    misfits: &'a mut Misfits,
}

impl TaskReader<'_> {
    fn key(&mut self, entry: &Entry, place: Place) {
        let key = entry.key.as_str();
        if let Some(message) = self.misplaced(key) {
            return self.misfits.report(entry.origin, place, message);
        }
        let Self { task, misfits, .. } = self;
        match key {
            "name" | "type" => {}
            "fn" => text(entry, place, misfits, &mut task.function),
            "plugin" => text(entry, place, misfits, &mut task.plugin),
            "dead-letter" => text(entry, place, misfits, &mut task.dead_letter),
            "batch-size" => positive(entry, place, misfits, &mut task.batch_size),
            "batch-timeout-ms" => positive(entry, place, misfits, &mut task.batch_timeout_ms),
            "min-peers" => positive(entry, place, misfits, &mut task.min_peers),
            "max-peers" => {
                let mut max = task.min_peers;
                positive(entry, place, misfits, &mut max);
                task.max_peers = Some(max);
            }
            "n-peers" => {
                positive(entry, place, misfits, &mut task.min_peers);
                task.max_peers = Some(task.min_peers);
            }
            "percentage" => percentage(entry, place, misfits, &mut task.percentage),
            "flux-policy" => {
                let known = FluxPolicy::ALL;
                task.flux_policy = one_of(entry, place, misfits, known, FluxPolicy::as_str);
            }
            "required-tags" => {
                task.required_tags = texts(entry, place, misfits).unwrap_or_default();
            }
            "pending-timeout-ms" => positive(entry, place, misfits, &mut task.pending_timeout_ms),
            "input-retry-timeout-ms" => {
                positive(entry, place, misfits, &mut task.input_retry_timeout_ms);
            }
            "max-pending" => positive(entry, place, misfits, &mut task.max_pending),
            "max-pending-bytes" => positive(entry, place, misfits, &mut task.max_pending_bytes),
            "max-retries" => positive(entry, place, misfits, &mut task.max_retries),
            "max-rejected" => max_rejected(entry, place, misfits, &mut task.max_rejected),
            own => task.params.set(own, value(&entry.value)),
        }
    }

    /// Whether the least number of peers is written, or follows from what is.
    fn says_how_many(&self) -> bool {
        let max = self
            .node
            .entry("max-peers")
            .map(|entry| &entry.value.content);
        let stated = |key| self.node.entry(key).is_some();
        stated("min-peers") || stated("n-peers") || max == Some(&Content::Int(1))
    }

    /// Why a core key may not be where it is.
    fn misplaced(&self, key: &str) -> Option<String> {
        if Task::INPUT_KEYS.contains(&key) && self.task.kind != TaskKind::Input {
            let kind = self.task.kind.as_str();
            return Some(format!(
                "only inputs have this key, and the task is of type `{kind}`"
            ));
        }
        if key == "flux-policy" && !self.says_how_many() {
            return Some(
                "a task whose peers matter says how many it needs: write `n-peers` or `min-peers`"
                    .into(),
            );
        }
        let one_of_two = ["min-peers", "max-peers"].contains(&key);
        (one_of_two && self.node.entry("n-peers").is_some()).then(|| {
            "`n-peers` sets both `min-peers` and `max-peers`; write it or them, not both".into()
        })
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
