//! Rules about files: no file is written by two tasks, nor read and written.

use super::Review;
use crate::job::place::Place;
use crate::job::vocabulary::{KeyKind, paths};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Reads,
    Writes,
}

struct Use {
    place: Place,
    access: Access,
}

pub(super) fn check(review: &mut Review<'_>) {
    let mut uses: BTreeMap<String, Vec<Use>> = BTreeMap::new();
    for (path, this) in all_uses(review) {
        let identity = (review.checks.identity)(&path);
        let identity = identity.unwrap_or_else(|| path.display().to_string());
        let others = uses.entry(identity).or_default();
        let clashes = |other: &&Use| [other.access, this.access].contains(&Access::Writes);
        if let Some(other) = others.iter().find(clashes) {
            let does = match other.access {
                Access::Reads => "read",
                Access::Writes => "written",
            };
            let message = format!("{} is {does} by `{}` already", path.display(), other.place);
            review.report(this.place.clone(), message);
        }
        others.push(this);
    }
}

/// Reads first, so that it is the writing that is reported.
fn all_uses(review: &Review<'_>) -> Vec<(PathBuf, Use)> {
    let mut uses = Vec::new();
    for (place, task) in review.tasks() {
        let plugin = review.plugin(task).map(|plugin| &plugin.signature);
        let keys = plugin
            .into_iter()
            .chain(review.function(task))
            .flat_map(|words| &words.keys);
        for key in keys {
            let access = match key.kind {
                KeyKind::InputPath | KeyKind::InputPaths => Access::Reads,
                KeyKind::OutputPath => Access::Writes,
                _ => continue,
            };
            let named = task.params.get(&key.name).and_then(paths);
            for path in named.into_iter().flatten() {
                for path in files(review, &key.kind, path) {
                    let place = place.clone().key(&key.name);
                    uses.push((path, Use { place, access }));
                }
            }
        }
        if let Some(path) = &task.dead_letter {
            let access = Access::Writes;
            uses.push((
                normal(path),
                Use {
                    place: place.key("dead-letter"),
                    access,
                },
            ));
        }
    }
    uses.sort_by_key(|(_, file)| file.access == Access::Writes);
    uses
}

/// The files that a path of this kind means. What is not there is reported elsewhere.
fn files(review: &Review<'_>, kind: &KeyKind, path: &str) -> Vec<PathBuf> {
    let path = normal(path);
    match kind {
        KeyKind::InputPaths => (review.checks.files)(&path).unwrap_or_default(),
        _ => vec![path],
    }
}

/// The path without `.` and `..`, as far as that can be told without looking at the disk.
fn normal(path: &str) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in Path::new(path).components() {
        let last = normal.components().next_back();
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(last, Some(Component::Normal(_))) => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
