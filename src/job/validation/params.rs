//! Rules about the keys that a task's function and plugin take.

use super::Review;
use crate::job::Task;
use crate::job::place::Place;
use crate::job::vocabulary::{KeyKind, KeySchema, Signature, expression_text, paths};
use crate::nearest::{hint, listed, nearest, suggestion};
use crate::segment::Value;
use std::path::Path;

pub(super) fn check(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        let signatures = signatures(review, task);
        let keys: Vec<&KeySchema> = signatures
            .iter()
            .flat_map(|(_, words)| &words.keys)
            .collect();
        for key in &keys {
            match task.params.get(&key.name) {
                Some(value) => self::value(review, place.clone().key(&key.name), &key.kind, value),
                None if key.required && !is_misspelt(task, key, &keys) => {
                    missing(review, &place, key);
                }
                None => {}
            }
        }
        if let Some(takes) = takes(review, task, &signatures) {
            unknown_keys(review, &place, task, &keys, &takes);
        }
        if let Some(path) = &task.dead_letter
            && let Err(message) = (review.checks.writable)(Path::new(path))
        {
            review.report(place.key("dead-letter"), message);
        }
    }
}

/// Makes the function of each task about which nothing was reported, for what only it can tell.
pub(super) fn functions(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        let known = review.function(task).is_some();
        let sound = review
            .violations
            .iter()
            .all(|other| !place.contains(&other.place));
        if known
            && sound
            && let Err(message) = (review.checks.function)(task)
        {
            review.report(place, message);
        }
    }
}

fn signatures<'a>(review: &Review<'a>, task: &'a Task) -> Vec<(&'a str, &'a Signature)> {
    let plugin = review.plugin(task).map(|plugin| &plugin.signature);
    let plugin = task.plugin.as_deref().zip(plugin);
    let function = task.function.as_deref().zip(review.function(task));
    plugin.into_iter().chain(function).collect()
}

/// What the task takes, for people; none when a name of it is unknown, so that nobody can say.
fn takes(review: &Review<'_>, task: &Task, signatures: &[(&str, &Signature)]) -> Option<String> {
    let unknown_plugin = task.plugin.is_some() && review.plugin(task).is_none();
    let unknown_function = task.function.is_some() && review.function(task).is_none();
    if unknown_plugin || unknown_function || signatures.is_empty() {
        return None;
    }
    let takes = signatures.iter().map(|(name, words)| {
        match listed(words.keys.iter().map(|key| key.name.as_str())) {
            none if none.is_empty() => format!("{name} takes no keys"),
            keys => format!("{name} takes: {keys}"),
        }
    });
    Some(takes.collect::<Vec<_>>().join("; "))
}

fn unknown_keys(
    review: &mut Review<'_>,
    place: &Place,
    task: &Task,
    keys: &[&KeySchema],
    takes: &str,
) {
    let known = || keys.iter().map(|key| key.name.as_str());
    for (name, value) in task.params.iter() {
        let name = name.as_str();
        if Task::KEYS.contains(&name) {
            let found = found(value);
            let message = format!("every task has this key, but it does not take {found}");
            review.report(place.clone().key(name), message);
        } else if !known().any(|key| key == name) {
            let hint = hint(name, known().chain(Task::KEYS), takes);
            review.report(place.clone().key(name), format!("unknown key{hint}"));
        }
    }
}

/// Whether an unknown key of the task will be told to be this one.
fn is_misspelt(task: &Task, key: &KeySchema, keys: &[&KeySchema]) -> bool {
    let known = || keys.iter().map(|key| key.name.as_str());
    let unknown = task.params.iter().map(|(name, _)| name.as_str());
    unknown
        .filter(|name| !known().any(|key| key == *name))
        .any(|name| nearest(name, known().chain(Task::KEYS)) == Some(&key.name))
}

fn missing(review: &mut Review<'_>, place: &Place, key: &KeySchema) {
    let (name, kind) = (&key.name, &key.kind);
    let message = format!("the key is missing; it takes {kind}: {}", key.doc);
    review.report(place.clone().key(name), message);
}

fn value(review: &mut Review<'_>, place: Place, kind: &KeyKind, value: &Value) {
    let checks = review.checks;
    if *kind == KeyKind::Expression
        && let Some(text) = expression_text(value)
    {
        return report_err(review, place, (checks.expression)(&text));
    }
    match (kind, value) {
        (KeyKind::Any, _)
        | (KeyKind::String, Value::String(_))
        | (KeyKind::Int, Value::Int(_))
        | (KeyKind::Bool, Value::Bool(_)) => {}
        (KeyKind::InputPath, Value::String(path)) => {
            report_err(review, place, (checks.readable)(Path::new(path.as_str())));
        }
        (KeyKind::InputPaths, value) if let Some(paths) = paths(value) => {
            for path in paths {
                let found = (checks.files)(Path::new(path));
                let readable = found.and_then(|files| {
                    let mut files = files.iter();
                    files.try_for_each(|file| (checks.readable)(file))
                });
                report_err(review, place.clone(), readable);
            }
        }
        (KeyKind::OutputPath, Value::String(path)) => {
            report_err(review, place, (checks.writable)(Path::new(path.as_str())));
        }
        (KeyKind::OneOf(texts), Value::String(text)) => one_of(review, place, texts, text),
        (KeyKind::ExpressionTable, Value::Map(table)) => {
            for (field, value) in table.iter() {
                let place = place.clone().key(field.as_str());
                self::value(review, place, &KeyKind::Expression, value);
            }
        }
        (KeyKind::TableOf(texts), Value::Map(table)) => {
            for (name, value) in table.iter() {
                let place = place.clone().key(name.as_str());
                self::value(review, place, &KeyKind::OneOf(texts.clone()), value);
            }
        }
        _ => review.report(place, format!("expected {kind}, found {}", found(value))),
    }
}

fn one_of(review: &mut Review<'_>, place: Place, texts: &[String], text: &str) {
    if texts.iter().all(|valid| valid != text) {
        let near = suggestion(text, texts.iter().map(String::as_str));
        let texts = listed(texts.iter().map(String::as_str));
        review.report(place, format!("`{text}` is not one of: {texts}{near}"));
    }
}

fn report_err(review: &mut Review<'_>, place: Place, answer: Result<(), String>) {
    if let Err(message) = answer {
        review.report(place, message);
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Int(n) => format!("`{n}`"),
        Value::Float(n) => format!("`{n:?}`"),
        Value::String(text) if text.len() <= 40 => format!("the text {:?}", text.as_str()),
        Value::String(_) => "a text".into(),
        Value::Bytes(_) => "bytes".into(),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a table".into(),
    }
}
