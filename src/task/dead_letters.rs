//! Dead letters: what an input could not read as a segment, and segments that could not be brought
//! to an end, kept with the reason.

use crate::acking::RootId;
use crate::plugins::{Rejected, Start};
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
    file: Option<File>,
}

impl DeadLetters {
    /// Letters for a file. The first peer of a job takes away those of an earlier job; its
    /// replacements add to what it wrote.
    pub(super) fn new(path: &str, start: &Start) -> io::Result<Self> {
        if *start == Start::Fresh {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(DeadLetters {
            path: path.into(),
            file: None,
        })
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
            self.file = Some(options.append(true).create(true).open(&self.path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was just opened"))
    }
}
