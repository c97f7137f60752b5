//! The names of files of which each slot of a task, and each piece of what it writes, has its own.

use crate::ids::SlotId;
use crate::job::Task;
pub(super) use crate::job::validation::disk::UNFINISHED;
use std::path::{Path, PathBuf};

/// The file of a slot. A task that has one peer at most has the file as it is named; any other has
/// one for each slot, whose number stands before the extension. It follows from the job alone, so
/// that it is the same however many peers there are at the moment.
pub fn of_slot(path: &Path, task: &Task, slot: SlotId) -> PathBuf {
    match task.max_peers.unwrap_or(task.min_peers).get() {
        1 => path.into(),
        _ => with_number(path, &slot.0.to_string()),
    }
}

/// What people are told where the files of all slots are: `out-*.jsonl` where there are several.
pub fn of_all_slots(path: &Path, task: &Task) -> PathBuf {
    match task.max_peers.unwrap_or(task.min_peers).get() {
        1 => path.into(),
        _ => with_number(path, "*"),
    }
}

/// The file of a piece, numbered from 1.
pub(super) fn of_piece(path: &Path, piece: u32) -> PathBuf {
    with_number(path, &format!("{piece:05}"))
}

/// The file while it is being written.
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// `out.jsonl.gz` and `3` make `out-3.jsonl.gz`.
fn with_number(path: &Path, number: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = split(&name);
    path.with_file_name(format!("{stem}-{number}{extension}"))
}

/// A name before and from its extension, to which `.gz` belongs.
pub(super) fn split(name: &str) -> (&str, &str) {
    let unpacked = name.strip_suffix(".gz").unwrap_or(name);
    let dot = unpacked.rfind('.').filter(|dot| *dot > 0);
    name.split_at(dot.unwrap_or(unpacked.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::TaskKind;
    use std::num::NonZeroU32;

    fn slot(path: &str, peers_max: u32) -> String {
        let task = Task {
            max_peers: NonZeroU32::new(peers_max),
            ..Task::new("out", TaskKind::Output)
        };
        of_slot(Path::new(path), &task, SlotId(3))
            .display()
            .to_string()
    }

    #[test]
    fn one_peer_writes_the_file_as_it_is_named_and_several_one_each() {
        assert_eq!(slot("/data/out.jsonl", 1), "/data/out.jsonl");
        assert_eq!(slot("/data/out.jsonl", 2), "/data/out-3.jsonl");
        assert_eq!(slot("2026.01.jsonl.gz", 2), "2026.01-3.jsonl.gz");
        assert_eq!(slot("out/.hidden", 9), "out/.hidden-3");
        assert_eq!(slot("out/plain", 9), "out/plain-3");
    }

    #[test]
    fn pieces_are_numbered_so_that_they_sort() {
        let piece = |piece| of_piece(Path::new("out-3.jsonl"), piece);
        assert_eq!(piece(7), Path::new("out-3-00007.jsonl"));
        assert!(piece(99) < piece(100));
        assert_eq!(unfinished(&piece(1)), Path::new("out-3-00001.jsonl.part"));
    }
}
