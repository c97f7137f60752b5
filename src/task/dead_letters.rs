//! Dead letters: what an input could not read as a segment, and segments that could not be brought
//! to an end, kept with the reason.

use crate::acking::RootId;
use crate::files::{Destination, FileAccess, InPlace, NewFile, PathLock, WrittenFile};
use crate::plugins::file_names::of_slot;
use crate::plugins::{PluginContext, Rejected, Start, cut_torn_line};
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// A segment that is not tried again.
#[derive(Debug)]
pub(super) struct GivenUp<'a> {
    pub(super) root: RootId,
    pub(super) reason: &'a str,
    pub(super) attempts: u32,
    pub(super) segment: &'a Segment,
}

/// Writes what is rejected or given up as JSON lines. A regular file is made when the first one comes.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    files: FileAccess,
    /// The job, task and slot, as another writer reads it that is refused.
    holder: String,
    stop: StopFlag,
    earlier: Earlier,
    state: State,
    /// Of a regular file, from the first read on.
    _lock: Option<PathLock>,
}

#[derive(Debug)]
enum State {
    /// The input has not read yet.
    Untouched,
    /// The file is locked, and has no letter of this input.
    Reserved(NewFile),
    /// It has letters.
    Open(WrittenFile),
    /// It is a pipe or a device.
    InPlace(InPlace),
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
            files: context.files.clone(),
            holder: context.holder(),
            stop: context.stop.clone(),
            earlier,
            state: State::Untouched,
            _lock: None,
        }
    }

    /// The input is about to read. Refused while another holder writes the file.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if let State::Untouched = self.state {
            self.state = match self.files.destination(&self.path)? {
                Destination::InPlace(in_place) => State::InPlace(in_place),
                Destination::File(file) => {
                    let lock =
                        PathLock::acquire(&file.folder, &file.name, &self.holder, &self.stop)?;
                    if self.earlier == Earlier::TakenAway {
                        file.folder.remove(&file.name)?;
                    }
                    self._lock = Some(lock);
                    State::Reserved(file)
                }
            };
        }
        Ok(())
    }

    /// Writes some; when it returns they are with the operating system.
    pub(super) fn write(&mut self, rejected: &[Rejected]) -> io::Result<()> {
        let mut lines = Vec::new();
        for piece in rejected {
            let letter = json!({ "place": piece.place, "reason": piece.reason, "raw": piece.raw });
            serde_json::to_writer(&mut lines, &letter)?;
            lines.push(b'\n');
        }
        self.write_lines(&lines)
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
        self.write_lines(&line)
    }

    /// No letter will follow. Fails if another program has changed those that were written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Untouched | State::Reserved(_) => Ok(()),
            State::Open(file) => file.check_unchanged(),
            State::InPlace(in_place) => in_place.finish(),
        }
    }

    fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.begin()?;
        if let State::Reserved(NewFile { folder, name, .. }) = &self.state {
            // A predecessor may have died within a letter.
            self.state = State::Open(WrittenFile::append(folder, name, cut_torn_line)?);
        }
        match &mut self.state {
            State::Open(file) => file.write_all(lines),
            State::InPlace(in_place) => in_place.write_all(lines, &self.stop),
            State::Untouched | State::Reserved(_) => {
                Err(io::Error::other("the file was just opened"))
            }
        }
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
