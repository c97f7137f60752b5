//! `--set TASK.KEY=VALUE`: one key of one task, given where the job is submitted.

use super::Format;
use super::parse;
use super::tree::{Content, Entry, Node, Origin};
use crate::job::TaskKind;
use crate::nearest::{hint, listed};

/// Changes the tree as an option says. Whether the task has such a key is found out with the rest
/// of the file, when the words of the node are known.
pub(super) fn apply(root: &mut Node, option: &str, origin: Origin) -> Result<(), String> {
    let form = "expected TASK.KEY=VALUE";
    let (path, text) = option
        .split_once('=')
        .ok_or_else(|| format!("{form}, found no `=`"))?;
    let (tasks, path) = (tasks(root)?, path.trim());
    let names = tasks.iter().filter_map(name);
    // A task's name may contain dots, so the longest one that fits is meant.
    let named = |name: &&str| {
        path.strip_prefix(*name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let Some(task) = names
        .clone()
        .filter(named)
        .max_by_key(|name| name.len())
        .map(String::from)
    else {
        let given = path.split('.').next().unwrap_or_default();
        if !path.contains('.') {
            return Err(format!("{form}, found no `.` before the `=`"));
        }
        let tasks = format!("the tasks are: {}", listed(names.clone()));
        return Err(format!(
            "no task is named `{given}`{}",
            hint(given, names, &tasks)
        ));
    };
    let keys: Vec<&str> = path[task.len() + 1..].split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(format!("{form}, found an empty key in `{path}`"));
    }
    if let ["name" | "type", ..] = keys[..] {
        return Err(format!(
            "the {} of a task cannot be set; change the file",
            keys[0]
        ));
    }
    let Some(node) = tasks.iter_mut().find(|node| name(node) == Some(&task)) else {
        return Ok(());
    };
    let value = Node::unwritten(origin, value(text.trim()));
    replace(node, &keys, value, origin)
}

/// Gives a key of every input a text.
pub(super) fn for_inputs(root: &mut Node, key: &str, text: &str, origin: Origin) {
    let is_input = |task: &Node| {
        let kind = task.entry("type").and_then(|entry| entry.value.text());
        kind == Some(TaskKind::Input.as_str())
    };
    for task in tasks(root).into_iter().flatten() {
        if is_input(task) {
            let content = Content::Text(text.to_owned());
            // It is a table, since it has a type.
            let _ = replace(task, &[key], Node::unwritten(origin, content), origin);
        }
    }
}

fn tasks(root: &mut Node) -> Result<&mut Vec<Node>, String> {
    let nothing = "the file has no catalog in which something could be set";
    let Content::Table(entries) = &mut root.content else {
        return Err(nothing.into());
    };
    match entries.iter_mut().find(|entry| entry.key == "catalog") {
        Some(Entry {
            value:
                Node {
                    content: Content::List(tasks),
                    ..
                },
            ..
        }) => Ok(tasks),
        _ => Err(nothing.into()),
    }
}

fn name(task: &Node) -> Option<&str> {
    task.entry("name").and_then(|entry| entry.value.text())
}

fn replace(node: &mut Node, keys: &[&str], value: Node, origin: Origin) -> Result<(), String> {
    let [key, inner @ ..] = keys else {
        return Ok(());
    };
    let Content::Table(entries) = &mut node.content else {
        return Err(format!("there is no table in which `{key}` could be set"));
    };
    let at = entries
        .iter()
        .position(|entry| entry.key == *key)
        .unwrap_or_else(|| {
            let content = Content::Table(Vec::new());
            entries.push(Entry {
                key: (*key).into(),
                origin,
                value: Node::unwritten(origin, content),
            });
            entries.len() - 1
        });
    let entry = &mut entries[at];
    if inner.is_empty() {
        (entry.origin, entry.value) = (origin, value);
        return Ok(());
    }
    replace(&mut entry.value, inner, value, origin)
}

/// The value as YAML would read it, but nothing is lost of a text that means something else in
/// YAML: `a # b`, `a: b` and unbalanced quotes are texts.
fn value(text: &str) -> Content {
    let as_text = || Content::Text(text.into());
    let Ok(node) = parse::document(text, Format::Yaml) else {
        return as_text();
    };
    let begins = |with: &[char]| text.starts_with(with);
    match node.content {
        Content::List(_) | Content::Table(_) if !begins(&['[', '{']) => as_text(),
        Content::Text(_) if !begins(&['"', '\'']) => as_text(),
        content => content,
    }
}
