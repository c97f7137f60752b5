//! Numbers of job files are exact, and texts that mislead say so.

use super::tests::{parse, shown};
use super::{Format, JobFile};
use crate::job::validation::Checks;
use crate::segment::Value;
use std::path::Path;

/// A job whose filter has one more key, `x`, which no schema has; the tests look at its value.
fn job_with(value: &str) -> String {
    format!(
        "workflow: [[read, keep], [keep, write]]\ncatalog:\n\
         - {{ name: read, type: input, plugin: file/csv, path: in.csv }}\n\
         - {{ name: keep, type: function, fn: expr/filter, where: {value} }}\n\
         - {{ name: write, type: output, plugin: file/json-lines, path: out }}\n"
    )
}

fn value_of(text: &str, format: Format) -> Result<Value, String> {
    let file = JobFile::parse("job.x", text, format).map_err(|problems| shown(&problems))?;
    let job = file.into_job(&super::tests::vocabulary(), Checks::NONE);
    let job = job.map_err(|problems| shown(&problems))?;
    Ok(job.catalog[1].params.get("where").unwrap().clone())
}

fn yaml(value: &str) -> Result<Value, String> {
    value_of(&job_with(value), Format::Yaml)
}

#[test]
fn integers_of_yaml_are_exact() {
    for (written, value) in [
        ("010", Value::Int(10)),
        ("-007", Value::Int(-7)),
        ("+08", Value::Int(8)),
        ("0", Value::Int(0)),
        ("0o17", Value::Int(15)),
        ("0x1F", Value::Int(31)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9007199254740993", Value::Int(9_007_199_254_740_993)),
        ("10.0", Value::Float(10.0)),
        ("1e3", Value::Float(1_000.0)),
        ("010.5", Value::Float(10.5)),
        ("'010'", Value::from("010")),
        (
            "\"99999999999999999999\"",
            Value::from("99999999999999999999"),
        ),
    ] {
        assert_eq!(yaml(written), Ok(value), "{written}");
    }
}

#[test]
fn an_integer_beyond_64_bits_is_an_error_at_its_place() {
    insta::assert_snapshot!(yaml("9223372036854775808").unwrap_err(), @"job.x:4:57: 9223372036854775808 is beyond the integers of 64 bits, from -9223372036854775808 to 9223372036854775807; a float has a point, as in `1.0`, and a text has quotes");
    for written in [
        "18446744073709551615",
        "-9223372036854775809",
        "99999999999999999999",
        "0xFFFFFFFFFFFFFFFF",
        "[1, 99999999999999999999]",
        "{ a: 99999999999999999999 }",
    ] {
        let error = yaml(written).unwrap_err();
        assert!(
            error.contains("is beyond the integers of 64 bits"),
            "{error}"
        );
    }
}

#[test]
fn integers_behind_an_alias_are_exact_too() {
    let text = job_with("*ten").replace("type: function", "batch-size: &ten 010, type: function");
    assert_eq!(value_of(&text, Format::Yaml), Ok(Value::Int(10)));
}

#[test]
fn integers_of_json_are_exact() {
    let json = |value: &str| {
        let text = format!(
            "{{\"workflow\":[[\"read\",\"keep\"],[\"keep\",\"write\"]],\"catalog\":[\
             {{\"name\":\"read\",\"type\":\"input\",\"plugin\":\"file/csv\",\"path\":\"in.csv\"}},\
             {{\"name\":\"keep\",\"type\":\"function\",\"fn\":\"expr/filter\",\"where\":{value}}},\
             {{\"name\":\"write\",\"type\":\"output\",\"plugin\":\"file/json-lines\",\"path\":\"out\"}}]}}"
        );
        let marked = format!("\u{feff}{text}");
        assert_eq!(
            value_of(&text, Format::Json).ok(),
            value_of(&marked, Format::Json).ok()
        );
        value_of(&text, Format::Json)
    };
    assert_eq!(json("9223372036854775807"), Ok(Value::Int(i64::MAX)));
    assert_eq!(json("1.5"), Ok(Value::Float(1.5)));
    for written in [
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
    ] {
        let error = json(written).unwrap_err();
        assert!(
            error.contains("is beyond the integers of 64 bits"),
            "{error}"
        );
        // The parser of YAML does not read this escape, so that positions are not known.
        let error = json(&format!("[\"\\/\", {written}]")).unwrap_err();
        assert!(
            error.contains("is beyond the integers of 64 bits"),
            "{error}"
        );
    }
}

#[test]
fn a_set_value_is_an_exact_integer_or_a_text() {
    let set = |value: &str| {
        let mut file = JobFile::parse("job.yaml", &job_with("1"), Format::Yaml).unwrap();
        file.set(&format!("keep.where={value}"), Path::new("/"))
            .unwrap();
        let job = file
            .into_job(&super::tests::vocabulary(), Checks::NONE)
            .unwrap();
        job.catalog[1].params.get("where").unwrap().clone()
    };
    assert_eq!(set("010"), Value::Int(10));
    assert_eq!(set("9223372036854775807"), Value::Int(i64::MAX));
    assert_eq!(
        set("9223372036854775808"),
        Value::from("9223372036854775808")
    );
}

#[test]
fn a_byte_order_mark_before_a_document_is_passed_over() {
    let text = job_with("x > 1");
    let marked = format!("\u{feff}{text}");
    assert_eq!(value_of(&marked, Format::Yaml), Ok("x > 1".into()));
}

#[test]
fn a_key_that_is_null_is_told_in_words_of_the_file() {
    let text = job_with("1").replace("workflow:", "null: 1\nworkflow:");
    let reason = "a key is missing or `null`; put it in quotes if it is meant to be a text";
    assert_eq!(
        value_of(&text, Format::Yaml),
        Err(format!("job.x:1:1: {reason}\n"))
    );
    let error = yaml("{ ~: 1 }").unwrap_err();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn parts_of_a_job_that_this_version_does_not_have_are_named() {
    let text = format!(
        "{}windows: []\ntriggers: []\nflow-conditions: []\n",
        job_with("x")
    );
    insta::assert_snapshot!(shown(&parse(&text).unwrap_err()), @"
    job.yaml:6:1: windows: this version has no windows; remove the key
    job.yaml:7:1: triggers: this version has no triggers, because it has no windows; remove the key
    job.yaml:8:1: flow-conditions: this version has no flow conditions: every edge gets every segment, and `expr/filter` drops some; remove the key
    ");
}
