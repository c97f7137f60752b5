//! Dead letters: what an input could not read as a segment, and segments that could not be brought
//! to an end, kept with the reason.

use crate::acking::RootId;
use crate::plugins::file_names::of_slot;
use crate::plugins::{PluginContext, Rejected, Start, cut_torn_line};
use crate::segment::Segment;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A segment that is not tried again.
#[derive(Debug)]
pub(super) struct GivenUp<'a> {
    pub(super) root: RootId,
    pub(super) reason: &'a str,
    pub(super) attempts: u32,
    pub(super) segment: &'a Segment,
}

/// Writes what is rejected or given up as JSON lines; opened when the first one comes.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    earlier: Earlier,
    file: Option<File>,
}

/// What was written under the same name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earlier {
    /// By another job, or by a slot that will read the same again: taken away before the first read.
    TakenAway,
    /// By a peer that had this slot before.
    Kept,
}

impl DeadLetters {
    /// Letters for the slot of an input. Nothing happens to the files yet: a job that does not start
    /// leaves those of an earlier job alone.
    pub(super) fn new(path: &str, context: &PluginContext<'_>) -> Self {
        let earlier = match &context.start {
            Start::Fresh | Start::Resumed(None) => Earlier::TakenAway,
            Start::Resumed(Some(_)) => Earlier::Kept,
        };
        DeadLetters {
            path: of_slot(Path::new(path), context.task, context.slot),
            earlier,
            file: None,
        }
    }

    /// The input is about to read.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.earlier, Earlier::Kept) == Earlier::Kept {
            return Ok(());
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes some; when it returns they are with the operating system.
    pub(super) fn write(&mut self, rejected: &[Rejected]) -> io::Result<()> {
        let mut lines = Vec::new();
        for piece in rejected {
            let letter = json!({ "place": piece.place, "reason": piece.reason, "raw": piece.raw });
            serde_json::to_writer(&mut lines, &letter)?;
            lines.push(b'\n');
        }
        self.open()?.write_all(&lines)
    }

    /// Writes a segment that was given up.
    pub(super) fn write_segment(&mut self, given_up: &GivenUp<'_>) -> io::Result<()> {
        let letter = json!({
            "root": given_up.root.to_string(),
            "reason": given_up.reason,
            "attempts": given_up.attempts,
            "segment": given_up.segment,
        });
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        self.open()?.write_all(&line)
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) {
                std::fs::create_dir_all(folder)?;
            }
            let mut options = OpenOptions::new();
            let options = options.read(true).append(true).create(true);
            let mut file = options.open(&self.path)?;
            // Whoever had the slot before may have died in the middle of a letter.
            cut_torn_line(&mut file)?;
            self.file = Some(file);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was just opened"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Task, TaskKind};
    use crate::plugins::Position;

    fn rejected(raw: &str) -> Vec<Rejected> {
        vec![Rejected {
            place: "line 1".into(),
            reason: "odd".into(),
            raw: raw.into(),
        }]
    }

    #[test]
    fn a_letter_that_was_torn_is_cut_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.jsonl");
        std::fs::write(&path, "{\"whole\":1}\n{\"place\":\"li").unwrap();
        let task = Task::new("in", TaskKind::Input);
        let context = PluginContext::alone(&task, Start::Resumed(Some(Position::default())));
        let mut letters = DeadLetters::new(path.to_str().unwrap(), &context);
        letters.begin().unwrap();
        letters.write(&rejected("a")).unwrap();
        letters.write(&rejected("b")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "{\"whole\":1}"));
        for (line, raw) in lines[1..].iter().zip(["a", "b"]) {
            let letter: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(letter["raw"], raw);
        }
    }
}
