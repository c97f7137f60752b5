//! That each of the file plugins keeps the laws of plugins, whatever its files hold.

use super::bench::Bench;
use crate::plugins::conformance::{
    check_input, check_input_slots, check_output, check_output_slots,
};
use crate::segment::{Segment, Value};
use proptest::prelude::*;

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
    prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]
}

fn last_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just("\n"), Just("\r\n"), Just("\r")]
}

fn compression() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("rows.csv"), Just("rows.csv.gz")]
}

fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell = prop_oneof!["[a-c\",\n\r é字]{0,6}", "-?[0-9]{1,3}", Just(String::new())];
    prop::collection::vec(prop::collection::vec(cell, 3), 0..20)
}

type FileOfLines = (Vec<String>, &'static str, &'static str, bool, bool);

/// Lines, a byte order mark or none, their end, whether the last has one, and whether it is compressed. One
/// file has line ends of one kind: among LF, a CR is text.
fn file_of_lines() -> impl Strategy<Value = FileOfLines> {
    let lines = prop::collection::vec("[a-z]{1,9}", 0..12);
    let mark = prop_oneof![Just(""), Just("\u{feff}")];
    (lines, mark, line_end(), any::<bool>(), any::<bool>())
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
fn a_row_of_a_file_that_is_divided_may_have_several_lines() {
    let content = "a,b\n1,\"two\nlines\"\n3,x\n";
    let bench = Bench::new("file/csv", "flights.csv", r#"{"split": "lines"}"#).holding(content);
    insta::assert_snapshot!(bench.transcript(), @r#"
    {"a":"1","b":"two\nlines"}
    {"a":"3","b":"x"}
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
        content in "([ab1\",\n\r]|\r\n){0,80}", file in compression(), seed: u64,
    ) {
        let params = r#"{"columns": ["a", "b"], "types": {"b": "int"}}"#;
        let bench = Bench::new("file/csv", file, params).holding(&content);
        let read = check_input(|start| bench.input(start), seed).unwrap();
        // Their number is that of the crate `csv`, for malformed rows as well.
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader.has_headers(false).flexible(true).from_reader(content.as_bytes());
        let records = reader.into_records().count();
        prop_assert_eq!(read.segments.len() + read.rejected.len(), records);
    }

    #[test]
    fn slots_read_what_one_slot_does_whatever_the_quotes(
        content in "([ab\",\n\r]|\r\n|[ab],[ab]\n){0,60}", slots in 2..5_u32, seed: u64,
    ) {
        let params = r#"{"columns": ["a", "b"], "split": "lines"}"#;
        let bench = Bench::new("file/csv", "rows.csv", params).holding(&content);
        let survey = bench.survey();
        check_input_slots(|start, slot| bench.input_of_slot(start, &survey, slot), slots, seed).unwrap();
    }

    #[test]
    fn lines_reads_what_was_written_from_wherever_it_resumes(
        lines in prop::collection::vec("[a\" é字]{0,6}x?", 0..20),
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
            let last: &str = if *last && !lines.is_empty() { end } else { "" };
            let text = lines.join(end) + last;
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
