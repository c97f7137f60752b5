//! What the file plugins share: a folder to work in, and that each keeps the laws of plugins.

use super::*;
use crate::ids::{JobId, SlotId};
use crate::job::Task;
use crate::plugins::conformance::{Violation, check_input, check_output};
use crate::plugins::{Input, Output, PluginFactory, ReadSegments, Start};
use crate::segment::{Segment, Value};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with one file in it, and a plugin with its keys.
pub(super) struct Bench {
    folder: TempDir,
    file: &'static str,
    plugin: &'static str,
    params: Segment,
}

impl Bench {
    pub(super) fn new(plugin: &'static str, file: &'static str, params: &str) -> Self {
        Bench {
            folder: tempfile::tempdir().unwrap(),
            file,
            plugin,
            params: serde_json::from_str(params).unwrap(),
        }
    }

    pub(super) fn holding(self, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let bytes = if self.file.ends_with(".gz") {
            gzip(content)
        } else {
            content.into()
        };
        fs::write(self.path(), bytes).unwrap();
        self
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(self.file)
    }

    /// The files of the folder with what is in them.
    pub(super) fn listing(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.sort();
        let file = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{name}:\n{}", fs::read_to_string(path).unwrap())
        };
        let files: String = paths.iter().map(file).collect();
        files.trim_end().into()
    }

    /// The rows of all files that an output wrote.
    pub(super) fn rows(&self) -> Result<Vec<Segment>, Violation> {
        let folder = fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut paths: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
        paths.sort();
        let mut rows = Vec::new();
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            let text = match self.file.ends_with(".gz") && !bytes.is_empty() {
                true => std::io::read_to_string(MultiGzDecoder::new(&bytes[..])).unwrap(),
                false => String::from_utf8(bytes).unwrap(),
            };
            let wrong = |error: serde_json::Error| Violation(format!("{text:?}: {error}"));
            for line in text.lines() {
                rows.push(serde_json::from_str(line).map_err(wrong)?);
            }
        }
        Ok(rows)
    }

    /// A text that does not name the folder, which has another name each time.
    pub(super) fn without_folder(&self, error: PluginError) -> String {
        error
            .0
            .replace(self.folder.path().to_str().unwrap(), "/data")
    }

    fn task(&self) -> Task {
        let kind = if self.plugin == "file/json-lines" {
            "output"
        } else {
            "input"
        };
        let entry = format!(r#"{{"name": "files", "type": "{kind}"}}"#);
        let mut task: Task = serde_json::from_str(&entry).unwrap();
        task.params = self.params.clone();
        task.params.set("path", self.path().to_str().unwrap());
        task
    }

    fn with_context<T>(&self, start: Start, open: impl Fn(&PluginContext<'_>) -> T) -> T {
        open(&PluginContext {
            job: JobId(uuid::Uuid::nil()),
            task: &self.task(),
            slot: SlotId(0),
            rank: 0,
            slots: 1,
            survey: None,
            start,
        })
    }

    pub(super) fn input(&self, start: Start) -> Result<Box<dyn Input>, PluginError> {
        let registry = PluginRegistry::with_built_in();
        let Some(PluginFactory::Input(open)) = registry.get(self.plugin) else {
            panic!("{} is no input", self.plugin);
        };
        self.with_context(start, |context| open(context))
    }

    pub(super) fn output(&self, start: Start) -> Result<Box<dyn Output>, PluginError> {
        let registry = PluginRegistry::with_built_in();
        let Some(PluginFactory::Output(open)) = registry.get(self.plugin) else {
            panic!("{} is no output", self.plugin);
        };
        self.with_context(start, |context| open(context))
    }

    /// Everything that an input reads, after it was checked for conformance.
    pub(super) fn read(&self) -> ReadSegments {
        check_input(|start| self.input(start), 7).unwrap()
    }

    /// What was read as JSON lines, then what was rejected.
    pub(super) fn transcript(&self) -> String {
        let read = self.read();
        let segments = read
            .segments
            .iter()
            .map(|it| serde_json::to_string(it).unwrap());
        let rejected = read.rejected.iter();
        let rejected = rejected.map(|it| format!("{}: {}: {:?}", it.place, it.reason, it.raw));
        segments.chain(rejected).collect::<Vec<_>>().join("\n")
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    // Two members, as when compressed files were put behind each other.
    let (front, back) = content.split_at(content.len() / 2);
    let member = |part: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    [member(front), member(back)].concat()
}

/// Rows of cells as a CSV file, with the quotes that they need and either line end.
fn csv_text(rows: &[Vec<String>], line_end: &str, last_end: &str) -> String {
    let row = |row: &Vec<String>| {
        let cells = row.iter().map(|cell| {
            let needs_quotes = cell.is_empty() || cell.contains(['"', ',', '\n', '\r']);
            let quoted = || format!("\"{}\"", cell.replace('"', "\"\""));
            if needs_quotes { quoted() } else { cell.clone() }
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    rows.join(line_end) + if rows.is_empty() { "" } else { last_end }
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("\n"), Just("\r\n")]
}

fn last_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just("\n"), Just("\r\n")]
}

fn compression() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("rows.csv"), Just("rows.csv.gz")]
}

fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell = prop_oneof!["[a-c\",\n\r é字]{0,6}", "-?[0-9]{1,3}", Just(String::new())];
    prop::collection::vec(prop::collection::vec(cell, 3), 0..20)
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        "[a\"\\\\\n\r\u{2028}é字]{0,8}".prop_map(|text| Value::String(text.into())),
        Just(Value::Null),
    ];
    let segment = prop::collection::vec(("[a-d\n\"]{1,2}", value), 0..4);
    let segment = segment.prop_map(|fields| fields.into_iter().collect());
    prop::collection::vec(segment, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn csv_reads_what_was_written_from_wherever_it_resumes(
        rows in rows(), file in compression(), end in line_end(), last in last_end(), seed: u64,
    ) {
        let header = vec!["a".into(), "ß,\"b\nB\"".into(), "c".into()];
        let all: Vec<Vec<String>> = [vec![header.clone()], rows.clone()].concat();
        let bench = Bench::new("file/csv", file, "{}").holding(csv_text(&all, end, last));
        let read = check_input(|start| bench.input(start), seed).unwrap();
        let named = |row: Vec<String>| header.clone().into_iter().zip(row).collect::<Segment>();
        let expected: Vec<Segment> = rows.into_iter().map(named).collect();
        prop_assert_eq!(read.segments, expected);
        prop_assert_eq!(read.rejected, []);
    }

    #[test]
    fn csv_reads_any_bytes_without_losing_its_place(
        content in "([ab1\",\n]|\r\n){0,80}", file in compression(), seed: u64,
    ) {
        let params = r#"{"columns": ["a", "b"], "types": {"b": "int"}}"#;
        let bench = Bench::new("file/csv", file, params).holding(&content);
        let read = check_input(|start| bench.input(start), seed).unwrap();
        let lines = content.lines().filter(|line| !line.trim_end_matches('\r').is_empty());
        prop_assert_eq!(lines.count() > 0, read.segments.len() + read.rejected.len() > 0);
    }

    #[test]
    fn lines_reads_what_was_written_from_wherever_it_resumes(
        lines in prop::collection::vec("[a\"\\r é字]{0,6}x?", 0..20),
        end in line_end(), gz: bool, seed: u64,
    ) {
        let file = if gz { "text.gz" } else { "text.txt" };
        let content: String = lines.iter().map(|line| format!("{line}x{end}")).collect();
        let bench = Bench::new("file/lines", file, "{}").holding(content);
        let read = check_input(|start| bench.input(start), seed).unwrap();
        let numbered = lines.iter().enumerate().map(|(at, line)| {
            let number = ("line", Value::Int(at as i64 + 1));
            [number, ("text", Value::from(format!("{line}x")))].into_iter().collect()
        });
        prop_assert_eq!(read.segments, numbered.collect::<Vec<Segment>>());
        prop_assert_eq!(read.rejected, []);
    }

    #[test]
    fn json_lines_holds_every_line_whole(
        batches in prop::collection::vec(segments(), 0..8), gz: bool, rotate in 0..4, seed: u64,
    ) {
        let file = if gz { "out/of/here/out.jsonl.gz" } else { "out/of/here/out.jsonl" };
        let params = match rotate {
            0 => "{}".into(),
            rows => format!(r#"{{"rotate-rows": {rows}}}"#),
        };
        let bench = Bench::new("file/json-lines", file, &params);
        check_output(|start| bench.output(start), || bench.rows(), &batches, seed).unwrap();
    }
}
