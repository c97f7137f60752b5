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
        sync(&self.file).map_err(|error| failed(&self.path, "sync it", &error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::file::tests::Bench;
    use crate::segment::Value;
    use insta::assert_snapshot;

    fn bench() -> Bench {
        Bench::new("file/json-lines", "out.jsonl", "{}")
    }

    fn content(bench: &Bench) -> String {
        fs::read_to_string(bench.path()).unwrap()
    }

    fn segment(key: &str, value: impl Into<Value>) -> Segment {
        [(key, value)].into_iter().collect()
    }

    #[test]
    fn what_json_does_not_have_is_written_as_what_is_nearest() {
        let bench = bench();
        let mut output = bench.output(Start::Fresh).unwrap();
        let mut row = segment("bytes", Value::Bytes(Box::new([1, 255])));
        row.set("nan", f64::NAN);
        row.set("infinite", f64::INFINITY);
        row.set("line\nend", "\n");
        output.write(&[row, Segment::new()]).unwrap();
        assert_snapshot!(content(&bench), @r#"
    {"bytes":[1,255],"nan":null,"infinite":null,"line\nend":"\n"}
    {}
    "#);
    }

    #[test]
    fn a_fresh_start_empties_the_file_and_a_resumed_one_goes_on() {
        let bench = bench().holding("{\"old\":1}\n");
        bench
            .output(Start::Fresh)
            .unwrap()
            .write(&[segment("a", 1)])
            .unwrap();
        assert_eq!(content(&bench), "{\"a\":1}\n");
        bench
            .output(Start::Resumed(None))
            .unwrap()
            .write(&[segment("b", 2)])
            .unwrap();
        assert_eq!(content(&bench), "{\"a\":1}\n{\"b\":2}\n");
    }

    #[test]
    fn a_torn_last_line_is_cut_wherever_it_begins() {
        let long = "x".repeat(3 * CHUNK_BYTES as usize);
        for (found, left) in [
            ("", ""),
            ("{\"a\":1", ""),
            ("{}\n", "{}\n"),
            ("{}\n{}\n{\"a\"", "{}\n{}\n"),
            (&format!("{{}}\n{long}"), "{}\n"),
            (long.as_str(), ""),
        ] {
            let bench = bench().holding(found);
            let mut output = bench.output(Start::Resumed(None)).unwrap();
            assert_eq!(content(&bench), left);
            output.write(&[segment("b", 2)]).unwrap();
            assert_eq!(content(&bench), format!("{left}{{\"b\":2}}\n"));
        }
    }

    #[test]
    fn a_file_that_a_resumed_slot_does_not_find_is_created() {
        let bench = bench();
        bench.output(Start::Resumed(None)).unwrap().seal().unwrap();
        assert_eq!(content(&bench), "");
    }

    #[test]
    fn a_path_that_cannot_be_written_says_why() {
        let bench = bench();
        fs::create_dir(bench.path()).unwrap();
        let error = bench.output(Start::Fresh).err().unwrap();
        assert_snapshot!(bench.without_folder(error), @"/data/out.jsonl: cannot create it: Is a directory (os error 21)");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_of_the_write_that_met_it() {
        let bench = Bench::new("file/json-lines", "/dev/full", "{}");
        let mut output = bench.output(Start::Fresh).unwrap();
        let error = output.write(&[segment("a", 1)]).unwrap_err();
        assert_snapshot!(error, @"/dev/full: cannot write to it: No space left on device (os error 28)");
    }
}
