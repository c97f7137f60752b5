//! `file/json-lines`: each segment is a JSON object on a line of its own.
//!
//! Bytes are written as a list of numbers, and floats that are not finite as null: JSON has
//! neither.

use super::path_of;
use super::pieces::{Habits, Packing, Pieces, Rotation, Sync, Writer};
use super::source::failed;
use crate::files::{Destination, InPlace, is_in_place};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::file_names::of_slot;
use crate::plugins::{Output, PluginContext, PluginError};
use crate::segment::{Segment, Value};
use crate::stop_flag::StopFlag;
use std::path::{Path, PathBuf};

const ROTATE_ROWS: &str = "rotate-rows";
const ROTATE_BYTES: &str = "rotate-bytes";
const SYNC: &str = "sync";

/// The words for when a file is synced.
const SYNC_WORDS: [(&str, Sync); 2] = [("seal", Sync::WhenFinished), ("write", Sync::EachWrite)];

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let path =
        "The file, which gets its name when it is sealed; one that ends in .gz is compressed.";
    let rows = "Begins another file when one has so many rows.";
    let bytes = "Begins another file when one has so many bytes.";
    let words = SYNC_WORDS.iter().map(|(word, _)| (*word).into()).collect();
    let sync = "Syncs to the disk when a file is sealed, or after each write as well.";
    super::signature(
        TaskKind::Output,
        "Writes each segment as a line of JSON.",
        vec![
            KeySchema::required("path", KeyKind::OutputPath, path),
            KeySchema::optional(ROTATE_ROWS, KeyKind::Int, rows),
            KeySchema::optional(ROTATE_BYTES, KeyKind::Int, bytes),
            KeySchema::optional(SYNC, KeyKind::OneOf(words), sync),
        ],
    )
}

/// Opens the files of a slot.
pub(super) fn open(context: &PluginContext<'_>) -> Result<JsonLinesOutput, PluginError> {
    let path = path_of(context)?;
    let is_gzip = path
        .extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("gz"));
    let habits = Habits {
        rotation: rotation(context)?,
        sync: sync(context)?,
        packing: if is_gzip {
            Packing::Gzip
        } else {
            Packing::Plain
        },
    };
    let slot = of_slot(path, context.task, context.slot);
    if slot != path && is_in_place(path) {
        let path = path.display();
        return Err(PluginError(format!(
            "{path}: it is a pipe or a device, and each slot needs a file of its own; set \
             `max-peers: 1`, or name a file"
        )));
    }
    let destination = context.files.destination(&slot);
    let destination = destination.map_err(|error| failed(&slot, "write it", &error))?;
    let medium = match destination {
        Destination::File(file) => {
            let pieces = Pieces::open(file, Writer::of(context), habits, &context.start)?;
            Medium::Files(pieces)
        }
        Destination::InPlace(_) if habits.rotation.is_some() => {
            let path = slot.display();
            return Err(PluginError(format!(
                "{path}: it is a pipe or a device, of which there is one; remove `{ROTATE_ROWS}` and \
                 `{ROTATE_BYTES}`, or name a file"
            )));
        }
        Destination::InPlace(in_place) => Medium::InPlace(in_place, habits.packing),
    };
    Ok(JsonLinesOutput {
        path: slot,
        medium,
        buffer: Vec::new(),
        stop: context.stop.clone(),
    })
}

fn rotation(context: &PluginContext<'_>) -> Result<Option<Rotation>, PluginError> {
    let limit = |key| match context.task.params.get(key) {
        None => Ok(None),
        Some(Value::Int(limit)) if *limit > 0 => Ok(u64::try_from(*limit).ok()),
        Some(_) => {
            let message = format!("`{key}` must be an integer from 1");
            Err(PluginError(message))
        }
    };
    let (rows, bytes) = (limit(ROTATE_ROWS)?, limit(ROTATE_BYTES)?);
    Ok((rows.is_some() || bytes.is_some()).then(|| Rotation {
        rows: rows.unwrap_or(u64::MAX),
        bytes: bytes.unwrap_or(u64::MAX),
    }))
}

fn sync(context: &PluginContext<'_>) -> Result<Sync, PluginError> {
    let Some(value) = context.task.params.get(SYNC) else {
        return Ok(Sync::WhenFinished);
    };
    let known = SYNC_WORDS
        .iter()
        .find(|(word, _)| value.as_str() == Some(word));
    let (_, sync) = known.ok_or_else(|| PluginError("`sync` must be seal or write".into()))?;
    Ok(*sync)
}

/// Files of JSON lines.
#[derive(Debug)]
pub(super) struct JsonLinesOutput {
    path: PathBuf,
    medium: Medium,
    buffer: Vec<u8>,
    stop: StopFlag,
}

#[derive(Debug)]
enum Medium {
    Files(Pieces),
    InPlace(InPlace, Packing),
}

impl Output for JsonLinesOutput {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        if segments.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        for segment in segments {
            encode(segment, &mut self.buffer, &self.path)?;
        }
        match &mut self.medium {
            Medium::Files(pieces) => pieces.write(segments.len() as u64, &self.buffer),
            Medium::InPlace(in_place, packing) => {
                let packed = packing.packed(&self.buffer);
                let packed =
                    packed.map_err(|error| failed(&self.path, "compress for it", &error))?;
                let written = in_place.write_all(&packed, &self.stop);
                written.map_err(|error| failed(&self.path, "write to it", &error))
            }
        }
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        match &mut self.medium {
            Medium::Files(pieces) => pieces.seal(),
            Medium::InPlace(in_place, _) => in_place
                .finish()
                .map_err(|error| failed(&self.path, "open it", &error)),
        }
    }
}

fn encode(segment: &Segment, line: &mut Vec<u8>, path: &Path) -> Result<(), PluginError> {
    let encoded = serde_json::to_writer(&mut *line, segment);
    encoded.map_err(|error| failed(path, "encode a segment for it", &error.into()))?;
    line.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{IdSource, SlotId};
    use crate::plugins::Start;
    use crate::plugins::file::bench::Bench;
    use insta::assert_snapshot;
    use std::fs;

    /// What the search for the last line reads at once, and more.
    const LONG: usize = 200 * 1024;

    fn bench() -> Bench {
        Bench::new("file/json-lines", "out.jsonl", "{}")
    }

    fn rotating() -> Bench {
        Bench::new("file/json-lines", "out.jsonl", r#"{"rotate-rows": 2}"#)
    }

    fn segment(key: &str, value: impl Into<Value>) -> Segment {
        [(key, value)].into_iter().collect()
    }

    fn numbers(range: std::ops::Range<i64>) -> Vec<Segment> {
        range.map(|n| segment("n", n)).collect()
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
        assert_snapshot!(bench.listing(), @r#"
        out.jsonl.part:
        {"bytes":[1,255],"nan":null,"infinite":null,"line\nend":"\n"}
        {}
        "#);
    }

    #[test]
    fn a_file_has_its_name_when_it_is_sealed_and_until_then_the_one_of_before_stays() {
        let bench = bench().holding("{\"old\":1}\n");
        let mut output = bench.output(Start::Fresh).unwrap();
        output.write(&[segment("a", 1)]).unwrap();
        drop(output);
        let mut output = bench.output(Start::Resumed(None)).unwrap();
        output.write(&[segment("b", 2)]).unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out.jsonl:
        {"old":1}
        out.jsonl.part:
        {"a":1}
        {"b":2}
        "#);
        output.seal().unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out.jsonl:
        {"a":1}
        {"b":2}
        "#);
    }

    #[test]
    fn a_job_that_begins_takes_nothing_over_from_one_that_was_killed() {
        for bench in [bench(), rotating()] {
            let mut output = bench.output(Start::Fresh).unwrap();
            for batch in [0..3, 3..4] {
                output.write(&numbers(batch)).unwrap();
            }
            drop(output);
            let mut output = bench.output(Start::Fresh).unwrap();
            output.write(&numbers(7..8)).unwrap();
            output.seal().unwrap();
            assert!(
                bench.listing().ends_with("{\"n\":7}"),
                "{}",
                bench.listing()
            );
            assert!(!bench.listing().contains(".part"));
        }
    }

    #[test]
    fn a_torn_end_is_cut_wherever_it_begins() {
        let long = "x".repeat(LONG);
        for (found, left) in [
            ("", ""),
            ("{\"a\":1", ""),
            ("{}\n", "{}\n"),
            ("{}\n{}\n{\"a\"", "{}\n{}\n"),
            (&format!("{{}}\n{long}"), "{}\n"),
            (long.as_str(), ""),
        ] {
            let bench = bench();
            let part = bench.path().with_extension("jsonl.part");
            fs::write(&part, found).unwrap();
            let mut output = bench.output(Start::Resumed(None)).unwrap();
            assert_eq!(fs::read_to_string(&part).unwrap(), left);
            output.write(&[segment("b", 2)]).unwrap();
            let whole = format!("{left}{{\"b\":2}}\n");
            assert_eq!(fs::read_to_string(&part).unwrap(), whole);
        }
    }

    #[test]
    fn what_was_compressed_and_torn_anywhere_is_cut_to_whole_batches() {
        let bench = Bench::new("file/json-lines", "out.jsonl.gz", "{}");
        let mut output = bench.output(Start::Fresh).unwrap();
        let part = bench.path().with_extension("gz.part");
        output.write(&numbers(0..10)).unwrap();
        let first = fs::metadata(&part).unwrap().len() as usize;
        output.write(&numbers(10..20)).unwrap();
        drop(output);
        let whole = fs::read(&part).unwrap();
        for end in 0..whole.len() {
            fs::write(&part, &whole[..end]).unwrap();
            drop(bench.output(Start::Resumed(None)).unwrap());
            let left = fs::metadata(&part).unwrap().len() as usize;
            assert_eq!(left, if end < first { 0 } else { first }, "cut at {end}");
        }
        let mut damaged = whole.clone();
        damaged[first / 2] ^= 0xff;
        fs::write(&part, &damaged).unwrap();
        let error = bench.output(Start::Resumed(None)).err().unwrap();
        assert!(
            error.0.contains("it is damaged in the member at byte 0"),
            "{error}"
        );
        assert_eq!(fs::read(&part).unwrap(), damaged);
    }

    #[test]
    fn files_are_full_with_so_many_rows_and_go_on_where_they_were() {
        let bench = rotating();
        let mut output = bench.output(Start::Fresh).unwrap();
        for batch in [0..3, 3..4] {
            output.write(&numbers(batch)).unwrap();
        }
        drop(output);
        let mut output = bench.output(Start::Resumed(None)).unwrap();
        output.write(&numbers(4..5)).unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out-00001.jsonl:
        {"n":0}
        {"n":1}
        {"n":2}
        out-00002.jsonl:
        {"n":3}
        {"n":4}
        out-00003.jsonl.part:
        "#);
        output.seal().unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out-00001.jsonl:
        {"n":0}
        {"n":1}
        {"n":2}
        out-00002.jsonl:
        {"n":3}
        {"n":4}
        "#);
        // A successor that does not know of the seal finds nothing to do.
        let sealed = bench.listing();
        let mut output = bench.output(Start::Resumed(None)).unwrap();
        output.seal().unwrap();
        assert_eq!(bench.listing(), sealed);
    }

    #[test]
    fn who_dies_while_a_file_gets_its_name_is_made_up_for() {
        let bench = rotating();
        let path = |name: &str| bench.path().with_file_name(name);
        fs::write(path("out-00001.jsonl.part"), "{}\n{}\n").unwrap();
        fs::write(path("out-00002.jsonl.part"), "").unwrap();
        let mut output = bench.output(Start::Resumed(None)).unwrap();
        output.write(&numbers(0..1)).unwrap();
        output.seal().unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out-00001.jsonl:
        {}
        {}
        out-00002.jsonl:
        {"n":0}
        "#);
    }

    #[test]
    fn more_files_of_an_earlier_job_do_not_outlive_the_seal() {
        let bench = rotating();
        for (last, rows) in [(9, 0..10), (2, 0..3)] {
            let mut output = bench.output(Start::Fresh).unwrap();
            for n in rows {
                output.write(&numbers(n..n + 1)).unwrap();
            }
            output.seal().unwrap();
            assert!(bench.listing().contains(&format!("{last}}}")) || last == 2);
        }
        assert_snapshot!(bench.listing(), @r#"
        out-00001.jsonl:
        {"n":0}
        {"n":1}
        out-00002.jsonl:
        {"n":2}
        "#);
    }

    #[test]
    fn what_is_repeated_behind_a_seal_is_kept() {
        let bench = bench();
        let mut output = bench.output(Start::Fresh).unwrap();
        output.write(&numbers(0..1)).unwrap();
        output.seal().unwrap();
        let mut output = bench.output(Start::Resumed(None)).unwrap();
        output.write(&numbers(0..1)).unwrap();
        output.seal().unwrap();
        assert_snapshot!(bench.listing(), @r#"
        out.jsonl:
        {"n":0}
        {"n":0}
        "#);
    }

    #[test]
    fn a_file_that_a_resumed_slot_does_not_find_is_told() {
        let bench = bench();
        let mut output = bench.output(Start::Fresh).unwrap();
        output.write(&numbers(0..1)).unwrap();
        drop(output);
        fs::remove_file(bench.path().with_extension("jsonl.part")).unwrap();
        let error = bench.output(Start::Resumed(None)).err().unwrap();
        assert_snapshot!(bench.without_folder(error), @"/data/out.jsonl.part: a peer of this job wrote it before, here or on another machine, and it is not here; rows that were acknowledged are in it, so bring it back or run the job again, and let nothing else touch it");
        assert_eq!(bench.listing(), "");
    }

    #[test]
    fn a_second_writer_of_an_output_file_is_refused() {
        for bench in [bench(), rotating()] {
            let task = bench.task();
            let context = |job| PluginContext {
                job: IdSource::from_seed(job).job(),
                ..PluginContext::alone(&task, Start::Fresh)
            };
            let mut first = open(&context(1)).unwrap();
            first.write(&numbers(0..1)).unwrap();
            let error = open(&context(2)).err().unwrap().0;
            let job = context(1).job.to_string();
            for part in [bench.path().to_str().unwrap(), &job, "task files, slot 0"] {
                assert!(error.contains(part), "{error}");
            }
            first.write(&numbers(1..2)).unwrap();
            first.seal().unwrap();
            assert!(bench.listing().ends_with("{\"n\":0}\n{\"n\":1}"));
            open(&context(2)).unwrap().seal().unwrap();
            assert_eq!(bench.hidden(), Vec::<String>::new());
        }
    }

    #[test]
    fn a_file_of_a_rotating_output_is_another_jobs_as_little_as_the_whole() {
        let bench = rotating();
        let mut output = bench.output(Start::Fresh).unwrap();
        output.write(&numbers(0..1)).unwrap();
        let mut task = bench.task();
        let piece = bench.path().with_file_name("out-00001.jsonl");
        task.params = [("path", piece.to_str().unwrap())].into_iter().collect();
        let other = PluginContext {
            slot: SlotId(7),
            ..PluginContext::alone(&task, Start::Fresh)
        };
        let error = open(&other).err().unwrap().0;
        assert!(
            error.contains("out-00001.jsonl: cannot write it: it is being written by"),
            "{error}"
        );
    }

    #[test]
    fn what_another_program_took_from_a_file_is_told_and_the_file_not_published() {
        let meddlers: [fn(&Path); 2] = [
            |part| fs::write(part, "").unwrap(),
            |part| fs::remove_file(part).unwrap(),
        ];
        for meddle in meddlers {
            for (file, end) in [("out.jsonl", "jsonl.part"), ("out.jsonl.gz", "gz.part")] {
                let bench = Bench::new("file/json-lines", file, "{}");
                let mut output = bench.output(Start::Fresh).unwrap();
                output.write(&numbers(0..3)).unwrap();
                meddle(&bench.path().with_extension(end));
                let error = output.seal().unwrap_err().0;
                assert!(error.contains("another program has"), "{error}");
                output.write(&numbers(3..4)).unwrap_err();
                assert!(!bench.path().exists());
            }
        }
    }

    #[test]
    fn a_device_has_one_slot_and_one_file() {
        let bench = Bench::new("file/json-lines", "/dev/null", r#"{"rotate-rows": 2}"#);
        assert_snapshot!(bench.output(Start::Fresh).err().unwrap(), @"/dev/null: it is a pipe or a device, of which there is one; remove `rotate-rows` and `rotate-bytes`, or name a file");
        let bench = Bench::new("file/json-lines", "/dev/stdout", "{}");
        let error = bench.output_of_slot(Start::Fresh, SlotId(0)).err();
        assert_snapshot!(error.unwrap(), @"/dev/stdout: it is a pipe or a device, and each slot needs a file of its own; set `max-peers: 1`, or name a file");
    }

    #[test]
    fn a_path_that_cannot_be_written_says_why() {
        let bench = bench();
        fs::create_dir(bench.path()).unwrap();
        let error = bench.output(Start::Fresh).err().unwrap();
        assert_snapshot!(bench.without_folder(error), @"/data/out.jsonl: cannot write it: it is a folder; name a file in it");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        let bench = bench();
        let target = bench.path().with_file_name("target.jsonl");
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, bench.path()).unwrap();
        let mut output = bench.output(Start::Fresh).unwrap();
        output.write(&numbers(0..1)).unwrap();
        output.seal().unwrap();
        assert_eq!(fs::read_to_string(target).unwrap(), "{\"n\":0}\n");
        assert!(bench.path().is_symlink());
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
