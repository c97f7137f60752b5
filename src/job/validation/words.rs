//! Rules about what a job names of the node: functions, plugins and lifecycle calls.

use super::Review;
use crate::job::place::Place;
use crate::job::{LifecycleTarget, Task, TaskKind};
use crate::nearest::{hint, listed, nearest};

pub(super) fn tasks(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        function(review, &place, task);
        plugin(review, &place, task);
    }
}

/// A key of the task that was probably meant to be another.
fn misspelt(meant: &str, task: &Task) -> String {
    let keys = task.params.iter().map(|(key, _)| key.as_str());
    let near = nearest(meant, keys);
    near.map_or_else(String::new, |near| format!(", and `{near}` is no key"))
}

fn function(review: &mut Review<'_>, place: &Place, task: &Task) {
    let known = review.vocabulary.functions.keys().map(String::as_str);
    let message = match &task.function {
        None if task.kind == TaskKind::Function => {
            let misspelt = misspelt("fn", task);
            format!(
                "a function task needs `fn`{misspelt}; there are: {}",
                listed(known)
            )
        }
        Some(name) if review.function(task).is_none() => unknown("function", name, known),
        _ => return,
    };
    review.report(place.clone().key("fn"), message);
}

fn plugin(review: &mut Review<'_>, place: &Place, task: &Task) {
    let kind = task.kind;
    let fitting = review
        .vocabulary
        .plugins
        .iter()
        .filter(|(_, plugin)| plugin.kind == kind);
    let fitting = fitting.map(|(name, _)| name.as_str());
    let kind = kind.as_str();
    let known = task
        .plugin
        .as_ref()
        .and_then(|name| review.vocabulary.plugins.get(name));
    let message = match (&task.plugin, known) {
        (None, _) if task.kind == TaskKind::Function => return,
        (Some(_), _) if task.kind == TaskKind::Function => {
            "a function task has no plugin; its type is `input` or `output` if it reads or writes"
                .into()
        }
        (None, _) => format!(
            "an {kind} needs `plugin`{}; there are: {}",
            misspelt("plugin", task),
            listed(fitting)
        ),
        (Some(name), None) => unknown(&format!("{kind} plugin"), name, fitting),
        (Some(name), Some(known)) if known.kind != task.kind => {
            let there_are = listed(fitting);
            let actual = known.kind.as_str();
            format!("`{name}` is an {actual} plugin; for an {kind} there are: {there_are}")
        }
        (Some(_), Some(_)) => return,
    };
    review.report(place.clone().key("plugin"), message);
}

pub(super) fn lifecycles(review: &mut Review<'_>) {
    for (index, lifecycle) in review.job.lifecycles.iter().enumerate() {
        let place = Place::lifecycle(index);
        if let LifecycleTarget::Task(name) = &lifecycle.task
            && review.job.task(name).is_none()
        {
            let tasks = review.job.catalog.iter().map(|task| task.name.as_str());
            let hint = hint(name.as_str(), tasks, "write the name of a task or `all`");
            let message = format!("no task is named `{name}`{hint}");
            review.report(place.clone().key("task"), message);
        }
        let known = &review.vocabulary.lifecycles;
        if !known.contains(&lifecycle.calls) {
            let known = known.iter().map(String::as_str);
            let message = unknown("lifecycle calls", &lifecycle.calls, known);
            review.report(place.key("calls"), message);
        }
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let there_are = match listed(known.clone()) {
        names if names.is_empty() => "this node knows none".into(),
        names => format!("there are: {names}"),
    };
    format!("unknown {what} `{name}`{}", hint(name, known, &there_are))
}
