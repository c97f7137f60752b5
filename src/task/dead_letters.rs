//! Dead letters: what an input could not read as a segment, kept with the reason.

use crate::plugins::{Rejected, Start};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes rejected pieces as JSON lines; opened when the first one comes.
#[derive(Debug)]
pub(super) struct DeadLetters {
    path: PathBuf,
    file: Option<File>,
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// The first peer of a job starts a new file.
    Truncate,
    /// Its replacements add to it.
    Append,
}

impl DeadLetters {
    /// Letters for a file.
    pub(super) fn new(path: &str, start: &Start) -> Self {
        let mode = match start {
            Start::Fresh => Mode::Truncate,
            Start::Resumed(_) => Mode::Append,
        };
        DeadLetters {
            path: path.into(),
            file: None,
            mode,
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

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent().filter(|folder| *folder != Path::new("")) {
                std::fs::create_dir_all(folder)?;
            }
            let mut options = OpenOptions::new();
            let file = match self.mode {
                Mode::Truncate => options.write(true).create(true).truncate(true),
                Mode::Append => options.append(true).create(true),
            };
            self.file = Some(file.open(&self.path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file was just opened"))
    }
}
