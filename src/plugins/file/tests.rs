//! What the file plugins share: a folder to work in, and that each keeps the laws of plugins.

use super::*;
use crate::ids::SlotId;
use crate::job::Task;
use crate::plugins::conformance::{
    Violation, check_input, check_input_slots, check_output, check_output_slots,
};
use crate::plugins::{Input, Output, PluginFactory, ReadSegments, Start};
use crate::segment::{Segment, Value};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::num::NonZeroU32;
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
        // Without a file it is the folder.
        let path = self.folder.path().join(self.file);
        task.params.set("path", path.to_str().unwrap());
        task
    }

    fn with_context<T>(&self, start: Start, open: impl Fn(&PluginContext<'_>) -> T) -> T {
        open(&PluginContext::alone(&self.task(), start))
    }

    /// The input of one slot of several, over everything in the folder, as the survey of the job's
    /// beginning has it.
    pub(super) fn input_of_slot(
        &self,
        start: Start,
        survey: &Segment,
        (rank, slots): (u32, u32),
    ) -> Result<Box<dyn Input>, PluginError> {
        let registry = PluginRegistry::with_built_in();
        let Some(PluginFactory::Input(open)) = registry.get(self.plugin) else {
            panic!("{} is no input", self.plugin);
        };
        let task = self.task();
        open(&PluginContext {
            slot: SlotId(rank),
            rank,
            slots,
            survey: Some(survey),
            ..PluginContext::alone(&task, start)
        })
    }

    /// What the plugin finds before it is divided.
    pub(super) fn survey(&self) -> Segment {
        let registry = PluginRegistry::with_built_in();
        registry.survey(self.plugin).unwrap()(&self.task()).unwrap()
    }

    pub(super) fn add(&self, file: &str, content: &[u8]) {
        let bytes = match file.ends_with(".gz") {
            true => gzip(content),
            false => content.into(),
        };
        fs::write(self.folder.path().join(file), bytes).unwrap();
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

    /// The output of one slot of several.
    pub(super) fn output_of_slot(
        &self,
        start: Start,
        slot: SlotId,
    ) -> Result<Box<dyn Output>, PluginError> {
        let registry = PluginRegistry::with_built_in();
        let Some(PluginFactory::Output(open)) = registry.get(self.plugin) else {
            panic!("{} is no output", self.plugin);
        };
        let task = Task {
            max_peers: NonZeroU32::new(9),
            ..self.task()
        };
        open(&PluginContext {
            slot,
            ..PluginContext::alone(&task, start)
        })
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

type FileOfLines = (Vec<String>, &'static str, &'static str, &'static str, bool);

/// Lines, a byte order mark or none, line ends, and whether it is compressed.
fn file_of_lines() -> impl Strategy<Value = FileOfLines> {
    let lines = prop::collection::vec("[a-z]{1,9}", 0..12);
    let mark = prop_oneof![Just(""), Just("\u{feff}")];
    (lines, mark, line_end(), last_end(), any::<bool>())
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

#[test]
fn what_the_job_began_with_is_what_is_read() {
    let bench = Bench::new("file/lines", "", "{}");
    bench.add("1.txt", b"one\n");
    bench.add("2.txt", b"two\nthree\n");
    bench.add("3.txt.part", b"unfinished");
    let survey = bench.survey();
    bench.add("0.txt", b"came later\n");
    bench.add("2.txt", b"two\nthree\nfour\n");
    let open = |start, slot| bench.input_of_slot(start, &survey, slot);
    let read = check_input_slots(open, 2, 1).unwrap();
    let lines: Vec<String> = read
        .segments
        .iter()
        .map(|it| serde_json::to_string(it).unwrap())
        .collect();
    let lines = lines.join("\n");
    insta::assert_snapshot!(lines, @r#"
    {"line":1,"text":"one"}
    {"line":1,"text":"two"}
    {"line":2,"text":"three"}
    {"line":3,"text":"four"}
    "#);
}

#[test]
fn a_file_that_is_cut_at_lines_has_no_row_on_two() {
    let content = "a,b\n1,\"two\nlines\"\n3,x\n";
    let bench = Bench::new("file/csv", "flights.csv", r#"{"split": "lines"}"#).holding(content);
    insta::assert_snapshot!(bench.transcript(), @r#"
    {"a":"3","b":"x"}
    flights.csv line 2: expected a row on one line, as `split: lines` says; a quote is not closed on it: "1,\"two"
    flights.csv line 3: expected 2 columns, found 1: "lines\""
    "#);
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
    fn slots_read_every_line_of_every_file_once(
        files in prop::collection::vec(file_of_lines(), 1..5),
        slots in 1..5_u32, csv: bool, seed: u64,
    ) {
        let (plugin, params) = match csv {
            true => ("file/csv", r#"{"columns": ["text"], "split": "lines"}"#),
            false => ("file/lines", "{}"),
        };
        let bench = Bench::new(plugin, "", params);
        let mut expected = Vec::new();
        for (number, (lines, mark, end, last, gz)) in files.iter().enumerate() {
            let name = format!("{number}.{}", if *gz { "gz" } else { "txt" });
            let text = lines.join(end) + if lines.is_empty() { "" } else { last };
            bench.add(&name, format!("{mark}{text}").as_bytes());
            expected.extend(lines.clone());
        }
        let survey = bench.survey();
        let open = |start, slot| bench.input_of_slot(start, &survey, slot);
        let read = check_input_slots(open, slots, seed).unwrap();
        prop_assert_eq!(read.rejected, []);
        let text = |row: &Segment| row.get("text").unwrap().as_str().unwrap().to_owned();
        let mut found: Vec<String> = read.segments.iter().map(text).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn json_lines_of_several_slots_keep_out_of_each_others_way(
        batches in prop::collection::vec(segments(), 1..8), gz: bool, seed: u64,
    ) {
        let file = if gz { "out/out.jsonl.gz" } else { "out/out.jsonl" };
        let bench = Bench::new("file/json-lines", file, r#"{"rotate-rows": 3}"#);
        let open = |start, slot| bench.output_of_slot(start, slot);
        check_output_slots(open, || bench.rows(), 3, &batches, seed).unwrap();
    }
}
