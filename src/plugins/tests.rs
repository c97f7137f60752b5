//! Every plugin that every node has passes every check that fits it.

use super::conformance::{
    Violation, check_failing_input, check_failing_output, check_input_bounds, check_input_slots,
    check_output, check_output_bounds, check_output_slots, check_output_stop,
};
use super::file::bench::{Bench, descriptors, gzip_member};
use super::{PluginRegistry, Start};
use crate::segment::Segment;
use flate2::Compression;
use std::fs::{self, File};
use std::io::BufReader;
use std::process::Command;

/// The checks of a plugin, if it has some.
fn checks(plugin: &str) -> Option<fn()> {
    match plugin {
        "file/lines" => Some(|| reads("file/lines", "{}")),
        "file/csv" => Some(|| {
            reads("file/csv", r#"{"columns": ["text"]}"#);
            reads("file/csv", r#"{"columns": ["text"], "split": "lines"}"#);
        }),
        "file/json-lines" => Some(writes),
        _ => None,
    }
}

#[test]
fn every_built_in_plugin_passes_every_check() {
    for plugin in PluginRegistry::with_built_in().signatures().keys() {
        let run = checks(plugin);
        run.unwrap_or_else(|| panic!("`{plugin}` is checked by nothing: add it to this table"))();
    }
}

/// With its end.
const LINE_BYTES: usize = 16;
/// Of a file that fails.
const LINES: usize = 1_000;

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{n:015}\n")).collect()
}

fn reads(plugin: &'static str, params: &str) {
    reads_in_slots(plugin, params);
    tells_that_its_medium_fails(plugin, params);
    for file in ["lines.txt", "stored.gz"] {
        reads_ahead_within_bounds(plugin, params, file);
    }
}

fn reads_in_slots(plugin: &'static str, params: &str) {
    let bench = Bench::new(plugin, "", params);
    bench.add("1.txt", lines(40).as_bytes());
    bench.add("2.txt", b"good\nb\xffd\nlast");
    bench.add("3.txt.gz", lines(20).as_bytes());
    let survey = bench.survey();
    let open = |start, slot| bench.input_of_slot(start, &survey, slot);
    for slots in 1..4 {
        let read = check_input_slots(open, slots, 5).unwrap();
        assert_eq!((read.segments.len(), read.rejected.len()), (62, 1));
    }
}

/// What becomes of a medium after the job began.
struct Failure {
    file: &'static str,
    happens: fn(&Bench),
    /// What the task hears of it.
    told: &'static str,
}

const FAILURES: [Failure; 5] = [
    Failure {
        file: "a.gz",
        happens: |bench| cut(bench, "a.gz", first_member() + 30),
        told: "incomplete deflate stream",
    },
    Failure {
        file: "a.gz",
        happens: |bench| cut(bench, "a.gz", first_member()),
        told: "has changed",
    },
    Failure {
        file: "a.txt",
        happens: |bench| cut(bench, "a.txt", 10 * LINE_BYTES),
        told: "has changed",
    },
    Failure {
        file: "a.txt",
        happens: |bench| remove(bench, "a.txt"),
        told: "No such file",
    },
    Failure {
        file: "a.txt",
        happens: |bench| {
            remove(bench, "a.txt");
            fs::create_dir(bench.path().join("a.txt")).unwrap();
        },
        told: "Is a directory",
    },
];

fn cut(bench: &Bench, file: &str, bytes: usize) {
    let file = File::options().write(true).open(bench.path().join(file));
    file.unwrap().set_len(bytes as u64).unwrap();
}

/// How long the first of the two members is.
fn first_member() -> usize {
    let first = &lines(LINES)[..LINES / 2 * LINE_BYTES];
    gzip_member(first.as_bytes(), Compression::fast()).len()
}

fn remove(bench: &Bench, file: &str) {
    fs::remove_file(bench.path().join(file)).unwrap();
}

fn tells_that_its_medium_fails(plugin: &'static str, params: &str) {
    for Failure {
        file,
        happens,
        told,
    } in FAILURES
    {
        let bench = Bench::new(plugin, "", params);
        bench.add(file, lines(LINES).as_bytes());
        bench.add("b.txt", lines(LINES).as_bytes());
        let survey = bench.survey();
        happens(&bench);
        for slots in 1..4 {
            let open = |rank| {
                let (bench, survey) = (&bench, &survey);
                move |start| bench.input_of_slot(start, survey, (rank, slots))
            };
            // Those that read nothing of what is gone come to their end.
            let told_by = (0..slots).filter_map(|rank| check_failing_input(open(rank)).ok());
            let told_by: Vec<_> = told_by.collect();
            assert!(!told_by.is_empty(), "{plugin}: {file}: {told} is not told");
            for error in told_by {
                assert!(error.0.contains(told), "{plugin}: {error}");
            }
        }
    }
}

/// What is read at once, packed and unpacked.
const AHEAD_BYTES_MAX: usize = 3 * 64 * 1024;

#[cfg(target_os = "linux")]
fn reads_ahead_within_bounds(plugin: &'static str, params: &str, file: &'static str) {
    let bench = Bench::new(plugin, file, params).storing(lines(60_000));
    let taken = || {
        let read = descriptors(&bench.path()).into_iter().max();
        read.unwrap_or(0) as usize / LINE_BYTES
    };
    let held = || descriptors(&bench.path()).len();
    let ahead_max = AHEAD_BYTES_MAX / LINE_BYTES;
    check_input_bounds(|start| bench.input(start), taken, held, ahead_max).unwrap();
}

fn numbers(count: i64) -> Vec<Vec<Segment>> {
    let batch = |n| vec![[("n", n)].into_iter().collect(), Segment::new()];
    (0..count).map(batch).collect()
}

fn writes() {
    let batches = numbers(30);
    for file in ["out/out.jsonl", "out/out.jsonl.gz"] {
        for params in [
            "{}",
            r#"{"rotate-rows": 3}"#,
            r#"{"rotate-bytes": 40}"#,
            r#"{"sync": "write"}"#,
        ] {
            let plugin = "file/json-lines";
            let bench = || Bench::new(plugin, file, params);
            let one = bench();
            check_output(|start| one.output(start), || one.rows(), &batches, 3).unwrap();
            let several = bench();
            let open = |start, slot| several.output_of_slot(start, slot);
            check_output_slots(open, || several.rows(), 3, &batches, 3).unwrap();
            let stopped = bench();
            let held = || descriptors(&stopped.folder()).len();
            check_output_stop(|start| stopped.output(start), held, &batches[0]).unwrap();
        }
    }
    tells_that_nothing_can_be_written(&batches[0]);
    waits_for_a_pipe_that_nobody_reads();
}

fn tells_that_nothing_can_be_written(batch: &[Segment]) {
    let full = Bench::new("file/json-lines", "/dev/full", "{}");
    let told = check_failing_output(|start| full.output(start), batch).unwrap();
    assert!(told.0.contains("No space left"), "{told}");
    let folder = Bench::new("file/json-lines", "out.jsonl", "{}");
    fs::create_dir(folder.path()).unwrap();
    let told = check_failing_output(|start| folder.output(start), batch).unwrap();
    assert!(told.0.contains("it is a folder"), "{told}");
}

/// A pipe holds this much.
const PIPE_BYTES: usize = 64 * 1024;

fn waits_for_a_pipe_that_nobody_reads() {
    let bench = Bench::new("file/json-lines", "pipe", "{}");
    let made = Command::new("mkfifo").arg(bench.path()).status();
    assert!(made.unwrap().success());
    let piece = |n: usize| -> Segment {
        let text = "x".repeat(1_000);
        [("n", n.to_string()), ("text", text)].into_iter().collect()
    };
    let go_on = || -> Result<Vec<Segment>, Violation> {
        let pipe = BufReader::new(File::open(bench.path()).unwrap());
        let rows = serde_json::Deserializer::from_reader(pipe).into_iter();
        rows.map(|row| row.map_err(|error| Violation(error.to_string())))
            .collect()
    };
    let open = |start: Start| bench.output(start);
    check_output_bounds(open, go_on, piece, PIPE_BYTES / 1_000 + 1).unwrap();
}
