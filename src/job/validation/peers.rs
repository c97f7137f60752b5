//! Rules about how many peers a task may have.

use super::Review;
use crate::job::vocabulary::{KeyKind, PluginSignature, Vocabulary};
use crate::job::{Task, TaskKind};
use crate::nearest::some;

/// An input has as many peers as its least, since its slots divide what is read and must stay the
/// same ones; an output has no more than its plugin can serve, and no more files than its least
/// peers write unless the job says so.
pub(super) fn complete(task: &mut Task, vocabulary: &Vocabulary) {
    if task.max_peers.is_some() {
        return;
    }
    task.max_peers = match task.kind {
        TaskKind::Input => Some(task.min_peers),
        TaskKind::Function => None,
        TaskKind::Output => {
            let plugin = task
                .plugin
                .as_ref()
                .and_then(|name| vocabulary.plugins.get(name));
            plugin.and_then(|plugin| match writes_files(plugin) {
                true => Some(task.min_peers),
                false => plugin.max_peers,
            })
        }
    };
}

/// Each slot of such an output writes files of its own.
fn writes_files(plugin: &PluginSignature) -> bool {
    let mut keys = plugin.signature.keys.iter();
    keys.any(|key| key.kind == KeyKind::OutputPath)
}

pub(super) fn check(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        let min = task.min_peers;
        if let (Some(plugin), Some(name)) = (review.plugin(task), &task.plugin)
            && let Some(limit) = plugin.max_peers
            && let Some((key, peers)) = over(task, limit.get())
        {
            let message = format!(
                "{}, but `{name}` runs on at most {limit} per task",
                some(peers as usize, "peer")
            );
            review.report(place.key(key), message);
            continue;
        }
        let Some(max) = task.max_peers else { continue };
        if min > max {
            let message = format!("{max} is less than `min-peers`, which is {min}");
            review.report(place.key("max-peers"), message);
        } else if task.kind == TaskKind::Input && min != max {
            let message = format!(
                "an input has a fixed number of peers, because its slots divide what is read; \
                 `min-peers` is {min} and `max-peers` is {max}: write `n-peers: {max}`"
            );
            review.report(place.key("max-peers"), message);
        }
    }
}

/// The key that asks for more peers than the limit.
fn over(task: &Task, limit: u32) -> Option<(&'static str, u32)> {
    let max = task.max_peers.map(|max| ("max-peers", max.get()));
    let min = ("min-peers", task.min_peers.get());
    max.into_iter()
        .chain([min])
        .find(|(_, peers)| *peers > limit)
}
