//! What rows become, and what is said about those that are not right.

use crate::plugins::file::bench::Bench;
use crate::plugins::file::source::RECORD_BYTES_MAX;
use crate::plugins::{PluginError, Polled, ReadSegments, Start};
use insta::assert_snapshot;

fn bench(params: &str, content: impl AsRef<[u8]>) -> Bench {
    Bench::new("file/csv", "flights.csv", params).holding(content)
}

fn refusal(bench: &Bench, start: Start) -> String {
    let error: PluginError = bench.input(start).err().unwrap();
    bench.without_folder(error)
}

#[test]
fn cells_become_what_the_types_say() {
    let params = r#"{"types": {"delay": "int", "share": "float", "late": "bool"}}"#;
    let content = "\u{feff}delay,share,late,origin\r\n-11,0.5,true,LAX\r\n,,,\n+3,1e3,False,\"a \"\"b\"\"\"\n";
    assert_snapshot!(bench(params, content).transcript(), @r#"
    {"delay":-11,"share":0.5,"late":true,"origin":"LAX"}
    {"delay":null,"share":null,"late":null,"origin":""}
    {"delay":3,"share":1000.0,"late":false,"origin":"a \"b\""}
    "#);
}

#[test]
fn a_row_that_is_not_right_is_rejected_and_reading_goes_on() {
    let params = r#"{"types": {"delay": "int", "share": "float", "late": "bool"}}"#;
    let content = b"\
delay,share,late
1,2,true

x1,2,true
2,,yes
3,0.x,true
4,1
5,1,true,
6,\"1\"0,true
99999999999999999999,1,true
7,\xff\xfe,true
8,0.5,false
";
    assert_snapshot!(bench(params, content).transcript(), @r#"
    {"delay":1,"share":2.0,"late":true}
    {"delay":8,"share":0.5,"late":false}
    flights.csv line 4: expected an integer in column `delay`, found `x1`: "x1,2,true"
    flights.csv line 5: expected true or false in column `late`, found `yes`: "2,,yes"
    flights.csv line 6: expected a number within ±1.8e308 in column `share`, found `0.x`: "3,0.x,true"
    flights.csv line 7: expected 3 columns, found 2: "4,1"
    flights.csv line 8: expected 3 columns, found 4: "5,1,true,"
    flights.csv line 9: expected a delimiter or the end of the line behind the closing quote of column `share`: "6,\"1\"0,true"
    flights.csv line 10: expected an integer in column `delay`, found `99999999999999999999`: "99999999999999999999,1,true"
    flights.csv line 11: expected UTF-8 in column `share`, found `��`: "7,��,true"
    "#);
}

#[test]
fn lines_are_counted_through_quoted_line_ends() {
    let content = "a,b\n1,\"two\nlines\r\n\"\n\n2\n3,\"\n\"\n4\n";
    assert_snapshot!(bench("{}", content).transcript(), @r#"
    {"a":"1","b":"two\nlines\r\n"}
    {"a":"3","b":"\n"}
    flights.csv line 6: expected 2 columns, found 1: "2"
    flights.csv line 9: expected 2 columns, found 1: "4"
    "#);
}

#[test]
fn nothing_between_the_quotes_of_a_rejected_row_becomes_a_row() {
    let content = "a,b\n1,\"open\n2,x\n\"3\n4,y\n5,\"open\n6,x\n7,y";
    assert_snapshot!(bench("{}", content).transcript(), @r#"
    {"a":"4","b":"y"}
    flights.csv line 2: expected a delimiter or the end of the line behind the closing quote of column `b`; the row has 3 lines: "1,\"open\n2,x\n\"3"
    flights.csv line 6: the quote that opens column `b` is not closed in the rest of the file; the row has 2 lines: "5,\"open\n6,x\n7,y"
    "#);
}

#[test]
fn a_row_that_is_too_long_is_rejected_to_its_end() {
    let long = "x".repeat(RECORD_BYTES_MAX);
    let content = format!("a,b\n1,{long}\n2,ok\n3,\"{long}\n4,no\n5,\"\"no{long}\"\n6,ok\n");
    let read = bench("{}", content).read();
    let kept = read
        .segments
        .iter()
        .map(|row| row.get("a").unwrap().as_str().unwrap());
    assert_eq!(kept.collect::<Vec<_>>(), ["2", "6"]);
    let rejected = read
        .rejected
        .iter()
        .map(|it| format!("{}: {}", it.place, it.reason));
    assert_snapshot!(rejected.collect::<Vec<_>>().join("\n"), @r"
    flights.csv line 2: expected a row of at most 1048576 bytes
    flights.csv line 4: expected a row of at most 1048576 bytes; the row has 3 lines
    ");
    assert!(read.rejected.iter().all(|it| it.raw.len() <= 1024));
}

#[test]
fn a_row_of_the_longest_length_is_read() {
    for end in ["", "\n", "\r\n", "\r"] {
        for (length, rows) in [(RECORD_BYTES_MAX, 1), (RECORD_BYTES_MAX + 1, 0)] {
            let row = "x".repeat(length);
            let read = bench("{}", format!("a{end}\n{row}{end}")).read();
            assert_eq!(read.segments.len(), rows, "{length} {end:?}");
            assert_eq!(read.rejected.len(), 1 - rows, "{length} {end:?}");
        }
    }
}

#[test]
fn lines_may_end_with_carriage_returns_alone() {
    let params = r#"{"types": {"n": "int"}}"#;
    assert_snapshot!(bench(params, "n,word\r1,a\r\r2,\"b\rc\"\rx,d\r").transcript(), @r#"
    {"n":1,"word":"a"}
    {"n":2,"word":"b\rc"}
    flights.csv line 6: expected an integer in column `n`, found `x`: "x,d"
    "#);
}

#[test]
fn a_number_that_no_float_holds_is_rejected() {
    let params = r#"{"types": {"x": "float"}}"#;
    let content = "x\n1.7e308\n1e309\n-1e309\ninf\nNaN\n";
    let read = bench(params, content).read();
    assert_eq!(read.segments.len(), 1);
    let reasons: Vec<_> = read.rejected.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons.len(), 4);
    assert_snapshot!(reasons[0], @"expected a number within ±1.8e308 in column `x`, found `1e309`");
}

#[test]
fn a_file_that_is_no_text_in_utf_8_says_what_it_is() {
    let refused = |content: &[u8]| refusal(&bench("{}", content), Start::Fresh);
    let wide: Vec<u8> = "a,b\n1,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_snapshot!(refused(&wide), @"/data/flights.csv: it is UTF-16LE and not UTF-8; convert it, as with `iconv -f UTF-16LE -t UTF-8`");
    assert_snapshot!(refused(&[&b"\xff\xfe"[..], &wide].concat()), @"/data/flights.csv: it is UTF-16 and not UTF-8; convert it, as with `iconv -f UTF-16 -t UTF-8`");
    assert_snapshot!(refused(b"\x28\xb5\x2f\xfd\x04"), @"/data/flights.csv: it is compressed with zstd, which is not read here; decompress it, or compress it with gzip");
    assert_snapshot!(refused(b"\x1f\x8b\x08\0"), @"/data/flights.csv: it is compressed with gzip, and its name does not end in .gz; rename it");
}

#[test]
fn every_row_is_read_by_one_slot_whatever_its_cells_hold() {
    let row = |n: usize| format!("{n},\"{}\n{n},no\n\"\"\r\n\"\n", "q,\n".repeat(n % 7));
    let content: String = (0..300).map(row).collect();
    let bench = bench(r#"{"split": "lines"}"#, format!("n,text\n{content}"));
    let survey = bench.survey();
    for slots in [1, 2, 3, 8] {
        let mut read = ReadSegments::default();
        for rank in 0..slots {
            let mut input = bench
                .input_of_slot(Start::Fresh, &survey, (rank, slots))
                .unwrap();
            while input.poll(7, &mut read).unwrap() == Polled::More {}
        }
        let rows = read
            .segments
            .iter()
            .map(|row| row.get("n").unwrap().as_str().unwrap());
        let rows: Vec<usize> = rows.map(|n| n.parse().unwrap()).collect();
        assert_eq!(rows, (0..300).collect::<Vec<_>>(), "{slots} slots");
        assert_eq!(read.rejected, []);
    }
}

#[test]
fn a_cell_with_a_nul_is_rejected() {
    let rows = "1,some text\n".repeat(9);
    let transcript = bench("{}", format!("a,b\n{rows}2,x\0y\n")).transcript();
    assert_snapshot!(transcript.lines().nth(9).unwrap(), @r#"flights.csv line 11: expected text without NUL bytes in column `b`, found `x\0y`: "2,x\0y""#);
}

#[test]
fn a_file_without_header_takes_names_from_the_task() {
    let params = r#"{"columns": ["n", "word"], "delimiter": "\t", "types": {"n": "int"}}"#;
    assert_snapshot!(bench(params, "1\ta,b\n2\t\n").transcript(), @r#"
    {"n":1,"word":"a,b"}
    {"n":2,"word":""}
    "#);
}

#[test]
fn an_empty_file_and_one_with_a_header_alone_have_no_rows() {
    let params = r#"{"types": {"a": "int"}}"#;
    for content in ["", "a,b", "a,b\n", "\n\r\n\na,b\r\n\n"] {
        assert_eq!(bench(params, content).transcript(), "", "{content:?}");
    }
    let compressed = Bench::new("file/csv", "empty.csv.gz", "{}").holding("");
    assert_eq!(compressed.transcript(), "");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let refused = |params, content: &str| refusal(&bench(params, content), Start::Fresh);
    assert_snapshot!(refused(r#"{"types": {"dely": "int"}}"#, "delay,origin\n"), @"`types`: flights.csv has no column `dely`; did you mean `delay`?");
    assert_snapshot!(refused(r#"{"types": {"x": "int"}}"#, "delay,origin\n"), @"`types`: flights.csv has no column `x`; it has `delay`, `origin`");
    assert_snapshot!(refused(r#"{"types": {"delay": "date"}}"#, "delay\n"), @"`types`: `delay` must be int, float, string or bool");
    assert_snapshot!(refused("{}", "a,b,a\n"), @"flights.csv has two columns `a`; each needs a name of its own");
    assert_snapshot!(refused("{}", "a,\"b\n"), @"flights.csv line 1: the names of the columns: the quote that opens column 2 is not closed in the rest of the file");
    // As YAML gives it without quotes.
    let tab = bench(r#"{"delimiter": "\\t"}"#, "a\tb\n1\t2\n").transcript();
    assert_snapshot!(tab, @r#"{"a":"1","b":"2"}"#);
    assert_snapshot!(refused(r#"{"delimiter": "::"}"#, "a\n"), @r#"`delimiter` must be one ASCII character that is neither a quote nor a line end, found "::""#);
    assert_snapshot!(refused(r#"{"columns": "a b"}"#, "a\n"), @r#"`columns` must be a list of names, found "a b""#);
    let missing = Bench::new("file/csv", "flights.csv", "{}");
    assert_snapshot!(refusal(&missing, Start::Fresh), @"there is no file /data/flights.csv");
}

#[test]
fn a_position_that_the_file_does_not_have_is_refused() {
    let at = |position: &str| Start::Resumed(Some(serde_json::from_str(position).unwrap()));
    let short = bench("{}", "a\n1\n");
    assert_snapshot!(refusal(&short, at(r#"{"file": 0, "line": 9, "byte": 40}"#)), @"/data/flights.csv: the job had read it up to byte 40, where it has no line now; it has changed, so submit the job again to read it from the start");
    assert_snapshot!(refusal(&short, at(r#"{"token": "x"}"#)), @r#"the saved position {"token":"x"} has no `file`; is it one of another plugin?"#);
    let compressed = Bench::new("file/csv", "flights.csv.gz", "{}").holding("a\n1\n");
    assert_snapshot!(refusal(&compressed, at(r#"{"file": 0, "line": 9, "byte": 40}"#)), @"/data/flights.csv.gz: the job had read it up to byte 40, where it has no line now; it has changed, so submit the job again to read it from the start");
}

#[test]
fn a_large_file_reads_as_the_crate_csv_reads_it() {
    // Rows of every length, so that reads end everywhere in a row.
    let row = |n: usize| {
        format!(
            "{n},\"{}\n\"\"é\"\"\",{}\r\n",
            "q".repeat(n % 97),
            "b".repeat(n % 13)
        )
    };
    let content: String = (0..4_000).map(row).collect();
    assert!(content.len() > 200_000);
    let content = format!("n,quoted,bare\n{content}");
    let read = bench("{}", &content).read();
    assert_eq!(read.rejected, []);
    let mut reader = csv::Reader::from_reader(content.as_bytes());
    let expected = reader.records().map(Result::unwrap);
    let names = ["n", "quoted", "bare"];
    let expected = expected.map(|record| names.into_iter().zip(record.iter()).collect());
    assert_eq!(
        read.segments,
        expected.collect::<Vec<crate::segment::Segment>>()
    );
}
