//! `file/json-lines`: each segment is a JSON object on a line of its own.
//!
//! Bytes are written as a list of numbers, and floats that are not finite as null: JSON has
//! neither.

use super::path_of;
use super::source::failed;
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::{Output, PluginContext, PluginError, Start};
use crate::segment::Segment;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What the search for the last line reads at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let path = "The file; its folders are created, and what it held is replaced.";
    super::signature(
        TaskKind::Output,
        "Writes each segment as a line of JSON.",
        vec![KeySchema::required("path", KeyKind::OutputPath, path)],
    )
}

/// Opens the file of a task: emptied for a slot that starts, at its end for one that goes on.
pub(super) fn open(context: &PluginContext<'_>) -> Result<JsonLinesOutput, PluginError> {
    let path = path_of(context)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(folder, "create it", &error))?;
    }
    if context.start == Start::Fresh {
        File::create(path).map_err(|error| failed(path, "create it", &error))?;
    }
    JsonLinesOutput::append_to(path)
}

/// A file of JSON lines.
#[derive(Debug)]
pub(super) struct JsonLinesOutput {
    path: PathBuf,
    /// Appended to, so that a writer that is gone without knowing it overwrites nothing.
    file: File,
    buffer: Vec<u8>,
    tail: Tail,
}

/// How the file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// With a whole line.
    Whole,
    /// Perhaps with a part of one: somebody failed while writing.
    Unknown,
}

impl Output for JsonLinesOutput {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        self.buffer.clear();
        for segment in segments {
            serde_json::to_writer(&mut self.buffer, segment)
                .map_err(|error| failed(&self.path, "encode a segment for it", &error.into()))?;
            self.buffer.push(b'\n');
        }
        self.mend()?;
        self.tail = Tail::Unknown;
        self.file
            .write_all(&self.buffer)
            .map_err(|error| failed(&self.path, "write to it", &error))?;
        self.tail = Tail::Whole;
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        self.mend()?;
        let synced = self.file.flush().and_then(|()| sync(&self.file));
        synced.map_err(|error| failed(&self.path, "sync it", &error))
    }
}

impl JsonLinesOutput {
    fn append_to(path: &Path) -> Result<Self, PluginError> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|error| failed(path, "open it to append", &error))?;
        let mut output = JsonLinesOutput {
            path: path.into(),
            file,
            buffer: Vec::new(),
            tail: Tail::Unknown,
        };
        output.mend()?;
        Ok(output)
    }

    /// Sees to it that the file ends with a whole line.
    fn mend(&mut self) -> Result<(), PluginError> {
        if self.tail == Tail::Unknown {
            cut_torn_line(&mut self.file)
                .map_err(|error| failed(&self.path, "cut its torn last line", &error))?;
            self.tail = Tail::Whole;
        }
        Ok(())
    }
}

/// Cuts what is behind the last newline. Its segment was never acknowledged, so it comes again.
fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut chunk = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(CHUNK_BYTES);
        file.seek(SeekFrom::Start(begin))?;
        chunk.clear();
        file.take(end - begin).read_to_end(&mut chunk)?;
        if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
            end = begin + newline as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(())
}

/// Syncs what can be: pipes and terminals cannot.
fn sync(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.sync_all()?;
    }
    Ok(())
}
