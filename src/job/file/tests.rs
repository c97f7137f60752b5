//! What people read when a job file is wrong, and that one which is right is read as it was meant.

use super::*;
use crate::job::percent::Percent;
use crate::job::vocabulary::{KeySchema, PluginSignature, Signature};
use crate::job::{Task, TaskKind};
use crate::segment::{Segment, Value};
use std::num::NonZeroU32;

pub(super) const FLIGHTS: &str = "\
name: flights
workflow:
  - [read-flights, derive]
  - [derive, keep-late]
  - [keep-late, write-late]
  - [derive, write-all]
catalog:
  - name: read-flights
    type: input
    plugin: file/csv
    path: ../data/flights-20k.csv
    types: { delay: int, distance: int }
    max-pending: 20000
  - name: derive
    type: function
    fn: expr/map
    set:
      late: delay > 15
      route: origin + '-' + destination
  - name: keep-late
    type: function
    fn: expr/filter
    where: late
  - name: write-late
    type: output
    plugin: file/json-lines
    path: out/late.jsonl
  - name: write-all
    type: output
    plugin: file/json-lines
    path: out/all.jsonl
lifecycles:
  - { task: all, calls: my/logging }
task-scheduler: balanced
";

pub(super) fn vocabulary() -> Vocabulary {
    let signature = |keys: &[KeySchema]| Signature {
        doc: String::new(),
        keys: keys.to_vec(),
    };
    let types = ["int", "float", "string", "bool"]
        .map(String::from)
        .to_vec();
    let csv = signature(&[
        KeySchema::required("path", KeyKind::InputPath, "the file to read"),
        KeySchema::optional("types", KeyKind::TableOf(types), "kinds of columns"),
        KeySchema::optional("columns", KeyKind::Any, "names of columns"),
    ]);
    let lines = signature(&[
        KeySchema::required("path", KeyKind::OutputPath, "the file to write"),
        KeySchema::optional(
            "mode",
            KeyKind::OneOf(vec!["append".into(), "replace".into()]),
            "",
        ),
    ]);
    let set = KeySchema::required("set", KeyKind::ExpressionTable, "the fields to set");
    let condition = KeySchema::required("where", KeyKind::Expression, "what to keep");
    let one = NonZeroU32::new(1);
    let plugin = |kind, signature| PluginSignature {
        kind,
        max_peers: one,
        signature,
    };
    Vocabulary {
        functions: [
            ("expr/map".into(), signature(&[set])),
            ("expr/filter".into(), signature(&[condition])),
            ("identity".into(), signature(&[])),
        ]
        .into(),
        plugins: [
            ("file/csv".into(), plugin(TaskKind::Input, csv)),
            ("file/json-lines".into(), plugin(TaskKind::Output, lines)),
        ]
        .into(),
        lifecycles: ["my/logging".into()].into(),
    }
}

/// Stands in for the compiler, which is of a higher layer.
fn has_no_semicolon(text: &str) -> Result<(), String> {
    if text.contains(';') {
        Err(format!("`{text}` contains `;`"))
    } else {
        Ok(())
    }
}

pub(super) fn checks() -> Checks<'static> {
    Checks {
        expression: &has_no_semicolon,
        ..Checks::NONE
    }
}

pub(super) fn parse(text: &str) -> Result<Job, Vec<Problem>> {
    JobFile::parse("job.yaml", text, Format::Yaml)?.into_job(&vocabulary(), checks())
}

pub(super) fn shown(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

/// The flights job with a text replaced, and what is wrong with it then.
fn wrong(replace: &str, with: &str) -> String {
    assert!(FLIGHTS.contains(replace), "{replace}");
    shown(&parse(&FLIGHTS.replace(replace, with)).expect_err("it is wrong now"))
}

fn wrong_as(text: &str, format: Format) -> String {
    let job = JobFile::parse("job.x", text, format)
        .and_then(|file| file.into_job(&vocabulary(), checks()));
    shown(&job.expect_err("it is wrong"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "the job as it was read, in full")]
fn a_right_file_is_read_as_it_was_meant() {
    let job = parse(FLIGHTS).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap(), @r#"
    {
      "name": "flights",
      "workflow": [
        [
          "read-flights",
          "derive"
        ],
        [
          "derive",
          "keep-late"
        ],
        [
          "keep-late",
          "write-late"
        ],
        [
          "derive",
          "write-all"
        ]
      ],
      "catalog": [
        {
          "name": "read-flights",
          "type": "input",
          "fn": null,
          "plugin": "file/csv",
          "batch-size": 256,
          "batch-timeout-ms": 50,
          "min-peers": 1,
          "max-peers": 1,
          "pending-timeout-ms": 60000,
          "input-retry-timeout-ms": 1000,
          "max-pending": 20000,
          "dead-letter": null,
          "params": {
            "path": "../data/flights-20k.csv",
            "types": {
              "delay": "int",
              "distance": "int"
            }
          }
        },
        {
          "name": "derive",
          "type": "function",
          "fn": "expr/map",
          "plugin": null,
          "batch-size": 256,
          "batch-timeout-ms": 50,
          "min-peers": 1,
          "max-peers": null,
          "pending-timeout-ms": 60000,
          "input-retry-timeout-ms": 1000,
          "max-pending": 10000,
          "dead-letter": null,
          "params": {
            "set": {
              "late": "delay > 15",
              "route": "origin + '-' + destination"
            }
          }
        },
        {
          "name": "keep-late",
          "type": "function",
          "fn": "expr/filter",
          "plugin": null,
          "batch-size": 256,
          "batch-timeout-ms": 50,
          "min-peers": 1,
          "max-peers": null,
          "pending-timeout-ms": 60000,
          "input-retry-timeout-ms": 1000,
          "max-pending": 10000,
          "dead-letter": null,
          "params": {
            "where": "late"
          }
        },
        {
          "name": "write-late",
          "type": "output",
          "fn": null,
          "plugin": "file/json-lines",
          "batch-size": 256,
          "batch-timeout-ms": 50,
          "min-peers": 1,
          "max-peers": 1,
          "pending-timeout-ms": 60000,
          "input-retry-timeout-ms": 1000,
          "max-pending": 10000,
          "dead-letter": null,
          "params": {
            "path": "out/late.jsonl"
          }
        },
        {
          "name": "write-all",
          "type": "output",
          "fn": null,
          "plugin": "file/json-lines",
          "batch-size": 256,
          "batch-timeout-ms": 50,
          "min-peers": 1,
          "max-peers": 1,
          "pending-timeout-ms": 60000,
          "input-retry-timeout-ms": 1000,
          "max-pending": 10000,
          "dead-letter": null,
          "params": {
            "path": "out/all.jsonl"
          }
        }
      ],
      "lifecycles": [
        {
          "task": "all",
          "calls": "my/logging"
        }
      ],
      "task-scheduler": "balanced"
    }
    "#);
}

#[test]
fn whole_percentages_are_told_as_integers() {
    let mut job = parse(FLIGHTS).unwrap();
    for (percent, told) in [(50.0, Value::from(50)), (12.5, Value::from(12.5))] {
        job.percentage = Percent::new(percent);
        assert_eq!(describe(&job).get("percentage"), Some(&told));
    }
}

#[test]
fn json_is_read_like_yaml_and_keeps_its_positions() {
    let file: Segment = describe(&parse(FLIGHTS).unwrap());
    let json = serde_json::to_string_pretty(&file).unwrap();
    let read = |text: &str| {
        let file = JobFile::parse("job.json", text, Format::Json)?;
        file.into_job(&vocabulary(), checks())
    };
    assert_eq!(read(&json), parse(FLIGHTS));
    let wrong = json.replace("\"where\"", "\"wher\\u0065e\"");
    insta::assert_snapshot!(shown(&read(&wrong).unwrap_err()), @"job.json:47:7: catalog.keep-late.wheree: unknown key; did you mean `where`? expr/filter takes: where");
}

#[test]
fn the_name_of_the_file_is_the_name_of_the_job_unless_it_has_one() {
    let unnamed = FLIGHTS.replace("name: flights\n", "");
    assert_eq!(parse(&unnamed).unwrap().name, "job");
    let mut file = JobFile::parse("-", &unnamed, Format::Yaml).unwrap();
    file.name_if_missing("piped");
    assert_eq!(
        file.into_job(&vocabulary(), checks()).unwrap().name,
        "piped"
    );
}

#[test]
fn a_document_means_the_same_job_in_another_folder() {
    let unnamed = FLIGHTS.replace("name: flights\n", "");
    let mut file = JobFile::parse("daily.yaml", &unnamed, Format::Yaml).unwrap();
    file.resolve_paths(Path::new("/jobs/daily"));
    let home = Path::new("/home/me");
    file.set("write-late.path=late.jsonl", home).unwrap();
    file.set("write-all.dead-letter=dead.jsonl", home).unwrap();
    let document = file.document(&vocabulary()).to_string();
    let sent = JobFile::parse("sent.json", &document, Format::Json).unwrap();
    assert_eq!(
        sent.into_job(&vocabulary(), checks()).unwrap(),
        file.into_job(&vocabulary(), checks()).unwrap()
    );
}

#[test]
fn a_document_of_a_file_that_is_wrong_is_as_wrong() {
    let wrong = FLIGHTS.replace("plugin: file/csv", "plugin: file/cvs");
    let file = JobFile::parse("job.yaml", &wrong, Format::Yaml).unwrap();
    let document = file.document(&vocabulary());
    assert_eq!(document["catalog"][0]["plugin"], "file/cvs");
    assert_eq!(document["catalog"][0]["path"], "../data/flights-20k.csv");
}

#[test]
fn paths_start_at_the_folder_of_whoever_wrote_them() {
    let mut file = JobFile::parse("job.yaml", FLIGHTS, Format::Yaml).unwrap();
    file.resolve_paths(Path::new("/jobs/./daily"));
    file.set("write-late.path=./late.jsonl", Path::new("/home/me"))
        .unwrap();
    file.set("write-all.dead-letter=dead.jsonl", Path::new("/home/me"))
        .unwrap();
    file.set("derive.dead-letter=/tmp/dead.jsonl", Path::new("/home/me"))
        .unwrap();
    let job = file.into_job(&vocabulary(), checks()).unwrap();
    let path = |task: &str| {
        job.task(&task.into())
            .unwrap()
            .params
            .get("path")
            .cloned()
            .unwrap()
    };
    assert_eq!(
        path("read-flights"),
        "/jobs/daily/../data/flights-20k.csv".into()
    );
    assert_eq!(path("write-late"), "/home/me/late.jsonl".into());
    assert_eq!(path("write-all"), "/jobs/daily/out/all.jsonl".into());
    let dead = |task: &str| job.task(&task.into()).unwrap().dead_letter.clone();
    assert_eq!(dead("write-all").as_deref(), Some("/home/me/dead.jsonl"));
    assert_eq!(dead("derive").as_deref(), Some("/tmp/dead.jsonl"));
}

#[test]
fn a_set_value_is_read_as_yaml_but_loses_nothing() {
    for (text, expected) in [
        ("7", Value::Int(7)),
        ("true", Value::Bool(true)),
        ("", Value::Null),
        ("'7'", "7".into()),
        ("late", "late".into()),
        ("a # b", "a # b".into()),
        ("a: b", "a: b".into()),
        ("'LAX' == origin", "'LAX' == origin".into()),
        ("a = b", "a = b".into()),
        ("[1, x]", vec![Value::Int(1), "x".into()].into()),
        ("*a", "*a".into()),
    ] {
        let mut file = JobFile::parse("job.yaml", FLIGHTS, Format::Yaml).unwrap();
        file.set(&format!("read-flights.columns={text}"), Path::new(""))
            .unwrap();
        let job = file.into_job(&vocabulary(), checks()).unwrap();
        assert_eq!(
            job.catalog[0].params.get("columns"),
            Some(&expected),
            "{text}"
        );
    }
}

#[test]
fn a_set_key_may_be_inside_a_table_and_of_a_task_whose_name_has_dots() {
    let mut file = JobFile::parse(
        "job.yaml",
        &FLIGHTS.replace("derive", "der.ive"),
        Format::Yaml,
    )
    .unwrap();
    file.set("der.ive.set.late=delay > 30", Path::new(""))
        .unwrap();
    file.set("der.ive.batch-size=7", Path::new("")).unwrap();
    let job = file.into_job(&vocabulary(), checks()).unwrap();
    let task = job.task(&"der.ive".into()).unwrap();
    assert_eq!(task.batch_size.get(), 7);
    let Some(Value::Map(set)) = task.params.get("set") else {
        panic!("{task:?}")
    };
    assert_eq!(set.get("late"), Some(&"delay > 30".into()));
}

#[test]
fn a_set_option_that_cannot_be_applied_says_why() {
    let set = |option| {
        let mut file = JobFile::parse("job.yaml", FLIGHTS, Format::Yaml).unwrap();
        let applied = file
            .set(option, Path::new(""))
            .map_err(|problem| vec![problem]);
        let job = applied.and_then(|()| file.into_job(&vocabulary(), checks()));
        shown(&job.unwrap_err())
    };
    insta::assert_snapshot!(set("batch-size"), @"--set batch-size: expected TASK.KEY=VALUE, found no `=`");
    insta::assert_snapshot!(set("batch-size=3"), @"--set batch-size=3: expected TASK.KEY=VALUE, found no `.` before the `=`");
    insta::assert_snapshot!(set("drive.batch-size=3"), @"--set drive.batch-size=3: no task is named `drive`; did you mean `derive`? the tasks are: read-flights, derive, keep-late, write-late, write-all");
    insta::assert_snapshot!(set("derive.batch-sise=3"), @"--set derive.batch-sise=3: catalog.derive.batch-sise: unknown key; did you mean `batch-size`? expr/map takes: set");
    insta::assert_snapshot!(set("derive.batch-size=many"), @r#"--set derive.batch-size=many: catalog.derive.batch-size: expected an integer from 1 to 4294967295, found the text "many""#);
    insta::assert_snapshot!(set("derive.name=x"), @"--set derive.name=x: the name of a task cannot be set; change the file");
    insta::assert_snapshot!(set("derive.=x"), @"--set derive.=x: expected TASK.KEY=VALUE, found an empty key in `derive.`");
    insta::assert_snapshot!(set("derive.fn.x=y"), @"--set derive.fn.x=y: there is no table in which `x` could be set");
    insta::assert_snapshot!(set("keep-late.where=a;b"), @"--set keep-late.where=a;b: catalog.keep-late.where: `a;b` contains `;`");
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    insta::assert_snapshot!(wrong("  - [derive, keep-late]", "  - [derive, keep-late"), @r#"job.yaml:6:3: this is not valid YAML: "-" is only valid inside a block"#);
    insta::assert_snapshot!(wrong("    where: late", "   where: late"), @"job.yaml:23:4: this is not valid YAML: while parsing a block collection, did not find expected '-' indicator");
    insta::assert_snapshot!(wrong("    where: late", "    where: late\n    where: 3"), @"job.yaml:24:5: the key `where` is here a second time");
    insta::assert_snapshot!(wrong("    where: late", "    where: *late"), @"job.yaml:23:12: this is not valid YAML: alias references unknown anchor");
    insta::assert_snapshot!(wrong("task-scheduler: balanced", "---\na: 1"), @"job.yaml:35:1: a second document begins; a file is one job");
    insta::assert_snapshot!(wrong_as("", Format::Yaml), @"job.x:1:1: expected a table with the keys name, workflow, catalog, lifecycles, task-scheduler, percentage, colocated-sends, acker-percentage, acker-exempt-input-tasks, acker-exempt-output-tasks, acker-exempt-tasks, found nothing");
    insta::assert_snapshot!(wrong_as("[1, 2]", Format::Yaml), @"job.x:1:1: expected a table with the keys name, workflow, catalog, lifecycles, task-scheduler, percentage, colocated-sends, acker-percentage, acker-exempt-input-tasks, acker-exempt-output-tasks, acker-exempt-tasks, found a list");
    insta::assert_snapshot!(wrong_as("{\"a\": 1,}", Format::Json), @"job.x:1:9: this is not valid JSON: trailing comma");
    insta::assert_snapshot!(wrong_as("{\"a\": 1, \"a\": 2}", Format::Json), @"job.x:1:10: the key `a` is here a second time");
}

#[test]
fn what_is_not_json_is_told_with_a_place_that_the_file_has() {
    insta::assert_snapshot!(wrong_as("", Format::Json), @"job.x:1:1: this is not valid JSON: EOF while parsing a value");
    insta::assert_snapshot!(wrong_as("[\n", Format::Json), @"job.x:2:1: this is not valid JSON: EOF while parsing a list");
    insta::assert_snapshot!(wrong_as("{\"früh\": 1,}", Format::Json), @"job.x:1:12: this is not valid JSON: trailing comma");
}

#[test]
fn a_file_that_would_cost_too_much_is_refused() {
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1))
        .collect();
    insta::assert_snapshot!(wrong_as(&format!("a0: &a0 ha\n{laughs}"), Format::Yaml), @"job.x:16:12: the document is too large: it may have 100000 values, those that aliases repeat included, and 32 lists and tables within each other");
    insta::assert_snapshot!(wrong_as(&"[".repeat(5_000), Format::Yaml), @"job.x:1:256: the document is too large: it may have 100000 values, those that aliases repeat included, and 32 lists and tables within each other");
    insta::assert_snapshot!(wrong_as(&"[".repeat(5_000), Format::Json), @"job.x:1:128: this is not valid JSON: recursion limit exceeded");
    insta::assert_snapshot!(wrong_as(&"- ".repeat(5_000), Format::Yaml), @"job.x:1:65: the document is too large: it may have 100000 values, those that aliases repeat included, and 32 lists and tables within each other");
    insta::assert_snapshot!(wrong_as(&"x".repeat(2 << 20), Format::Yaml), @"job.x: the file has 2097152 bytes; at most 1048576 are read");
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_and_all_that_there_are() {
    insta::assert_snapshot!(wrong("lifecycles:", "livecycles:"), @"job.yaml:32:1: livecycles: unknown key; did you mean `lifecycles`? a job takes: name, workflow, catalog, lifecycles, task-scheduler, percentage, colocated-sends, acker-percentage, acker-exempt-input-tasks, acker-exempt-output-tasks, acker-exempt-tasks");
    insta::assert_snapshot!(wrong("    max-pending: 20000", "    max-pendin: 20000"), @"job.yaml:13:5: catalog.read-flights.max-pendin: unknown key; did you mean `max-pending`? file/csv takes: path, types, columns");
    insta::assert_snapshot!(wrong("    where: late", "    wher: late"), @"job.yaml:23:5: catalog.keep-late.wher: unknown key; did you mean `where`? expr/filter takes: where");
    insta::assert_snapshot!(wrong("{ task: all, calls: my/logging }", "{ task: all, cals: x }"), @"
    job.yaml:33:5: lifecycles[0]: a lifecycle needs `task`, a task name or `all`, and `calls`, a name
    job.yaml:33:18: lifecycles[0].cals: unknown key; did you mean `calls`? a lifecycle takes: task, calls
    ");
}

#[test]
fn an_unknown_word_is_told_with_the_nearest_and_all_that_there_are() {
    insta::assert_snapshot!(wrong("fn: expr/map", "fn: expr/mpa"), @"job.yaml:16:5: catalog.derive.fn: unknown function `expr/mpa`; did you mean `expr/map`? there are: expr/filter, expr/map, identity");
    insta::assert_snapshot!(wrong("plugin: file/csv", "plugin: file/cvs"), @"job.yaml:10:5: catalog.read-flights.plugin: unknown input plugin `file/cvs`; did you mean `file/csv`? there are: file/csv");
    insta::assert_snapshot!(wrong("plugin: file/csv", "plugin: file/json-lines"), @"job.yaml:10:5: catalog.read-flights.plugin: `file/json-lines` is an output plugin; for an input there are: file/csv");
    insta::assert_snapshot!(wrong("calls: my/logging", "calls: my/loging"), @"job.yaml:33:18: lifecycles[0].calls: unknown lifecycle calls `my/loging`; did you mean `my/logging`? there are: my/logging");
    insta::assert_snapshot!(wrong("task: all", "task: derivee"), @"job.yaml:33:7: lifecycles[0].task: no task is named `derivee`; did you mean `derive`? write the name of a task or `all`");
    insta::assert_snapshot!(wrong("delay: int", "delay: itn"), @"job.yaml:12:14: catalog.read-flights.types.delay: `itn` is not one of: int, float, string, bool; did you mean `int`?");
    insta::assert_snapshot!(wrong("type: output\n    plugin: file/json-lines\n    path: out/all", "type: outptu\n    plugin: file/json-lines\n    path: out/all"), @r#"job.yaml:29:5: catalog.write-all.type: expected one of: input, function, output, found the text "outptu"; did you mean `output`?"#);
    insta::assert_snapshot!(wrong("balanced", "even"), @r#"job.yaml:34:1: task-scheduler: expected one of: balanced, percentage, colocated, found the text "even""#);
}

#[test]
fn a_wrong_workflow_is_told_edge_by_edge() {
    insta::assert_snapshot!(wrong("[derive, keep-late]", "[drive, keep-late]"), @"job.yaml:4:5: workflow[1]: no task of the catalog is named `drive`; did you mean `derive`?");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", "  - [derive, write-all]\n  - [keep-late, derive]\n"), @"job.yaml:4:5: workflow[1]: the workflow has a cycle: derive → keep-late → derive; segments must come to an end");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", "  - [derive, write-all]\n  - [derive, read-flights]\n"), @"
    job.yaml:3:5: workflow[0]: the workflow has a cycle: read-flights → derive → read-flights; segments must come to an end
    job.yaml:7:5: workflow[4]: `read-flights` is an input, and nothing can be sent to an input
    ");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", "  - [derive, write-all]\n  - [write-all, keep-late]\n"), @"job.yaml:7:5: workflow[4]: `write-all` is an output, and an output sends to nobody");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", "  - [derive, write-all]\n  - [derive, write-all]\n"), @"job.yaml:7:5: workflow[4]: the edge from `derive` to `write-all` is listed twice");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", "  - [derive, write-all]\n  - [derive, derive]\n"), @"job.yaml:7:5: workflow[4]: `derive` cannot send to itself");
    insta::assert_snapshot!(wrong("  - [derive, write-all]\n", ""), @"job.yaml:27:5: catalog.write-all: no edge of the workflow names this task; add one or remove it");
    insta::assert_snapshot!(wrong("  - [keep-late, write-late]\n", ""), @"
    job.yaml:19:5: catalog.keep-late: this function sends to nobody; add an edge from it
    job.yaml:23:5: catalog.write-late: no edge of the workflow names this task; add one or remove it
    ");
    insta::assert_snapshot!(wrong("  - [read-flights, derive]\n", ""), @"
    job.yaml:7:5: catalog.read-flights: no edge of the workflow names this task; add one or remove it
    job.yaml:13:5: catalog.derive: nobody sends to this function; add an edge to it
    ");
    insta::assert_snapshot!(wrong("[derive, keep-late]", "[derive]"), @"job.yaml:4:5: workflow[1]: expected an edge `[from, to]` of two task names, found a list of 1");
    insta::assert_snapshot!(wrong_as("workflow: []\ncatalog: []\n", Format::Yaml), @"
    job.x:1:1: workflow: there are no edges; write them as `- [from, to]`
    job.x:2:1: catalog: there are no tasks; list at least two
    ");
    insta::assert_snapshot!(wrong_as("name: x\nworkflow: a\n", Format::Yaml), @r#"
    job.x:1:1: catalog: the key is missing; a job needs `workflow` and `catalog`
    job.x:2:1: workflow: expected a list of edges, each `[from, to]`, found the text "a"
    "#);
}

#[test]
fn a_wrong_value_is_told_with_what_was_expected() {
    insta::assert_snapshot!(wrong("max-pending: 20000", "max-pending: lots"), @r#"job.yaml:13:5: catalog.read-flights.max-pending: expected an integer from 1 to 4294967295, found the text "lots""#);
    insta::assert_snapshot!(wrong("max-pending: 20000", "batch-size: 0"), @"job.yaml:13:5: catalog.read-flights.batch-size: expected an integer from 1 to 4294967295, found `0`");
    insta::assert_snapshot!(wrong("path: out/all.jsonl", "path: 3"), @"job.yaml:31:5: catalog.write-all.path: expected a path, found `3`");
    insta::assert_snapshot!(wrong("{ delay: int, distance: int }", "int"), @r#"job.yaml:12:5: catalog.read-flights.types: expected a table from names to one of: int, float, string, bool, found the text "int""#);
    insta::assert_snapshot!(wrong("late: delay > 15", "late: delay; 15"), @"job.yaml:18:7: catalog.derive.set.late: `delay; 15` contains `;`");
    insta::assert_snapshot!(wrong("late: delay > 15", "late: [delay]"), @"job.yaml:18:7: catalog.derive.set.late: expected an expression, found a list");
    insta::assert_snapshot!(wrong("path: out/all.jsonl", "path: a\n    mode: apend"), @"job.yaml:32:5: catalog.write-all.mode: `apend` is not one of: append, replace; did you mean `append`?");
    insta::assert_snapshot!(wrong("where: late", "max-pending: 3"), @"
    job.yaml:20:5: catalog.keep-late.where: the key is missing; it takes an expression: what to keep
    job.yaml:23:5: catalog.keep-late.max-pending: only inputs have this key, and the task is of type `function`
    ");
}

#[test]
fn a_missing_key_is_told_at_its_task() {
    insta::assert_snapshot!(wrong("    where: late\n", ""), @"job.yaml:20:5: catalog.keep-late.where: the key is missing; it takes an expression: what to keep");
    insta::assert_snapshot!(wrong("    fn: expr/filter\n", ""), @"job.yaml:20:5: catalog.keep-late.fn: a function task needs `fn`; there are: expr/filter, expr/map, identity");
    insta::assert_snapshot!(wrong("    plugin: file/csv\n", ""), @"job.yaml:8:5: catalog.read-flights.plugin: an input needs `plugin`; there are: file/csv");
    insta::assert_snapshot!(wrong("  - name: derive\n    type", "  - type"), @"job.yaml:14:5: catalog[1]: the task has no `name`");
    insta::assert_snapshot!(wrong("  - name: derive\n    type: function", "  - name: derive"), @"job.yaml:14:5: catalog.derive: the task has no `type`; one of: input, function, output");
}

#[test]
fn names_of_tasks_are_unique_printable_and_not_reserved() {
    insta::assert_snapshot!(wrong("name: write-all", "name: write-late"), @"
    job.yaml:6:5: workflow[3]: no task of the catalog is named `write-all`; did you mean `write-late`?
    job.yaml:28:5: catalog.write-late.name: there is another task named `write-late`
    ");
    insta::assert_snapshot!(wrong("write-all", "all"), @"job.yaml:28:5: catalog.all.name: `all` means all of the tasks; choose another name");
    insta::assert_snapshot!(wrong("write-all", "write/all"), @"job.yaml:28:5: catalog.write/all.name: `write/all` contains `/`, which separates names; use `-` instead");
    insta::assert_snapshot!(wrong("write-all", "\" \""), @"job.yaml:28:5: catalog[4].name: the name is empty");
    insta::assert_snapshot!(wrong("write-all", "\"write\\tall\""), @r#"job.yaml:28:5: catalog[4].name: the name contains '\t', which cannot be printed"#);
    insta::assert_snapshot!(wrong("write-all", &"x".repeat(129)), @"job.yaml:28:5: catalog[4].name: the name has 129 bytes; at most 128 are allowed");
}

#[test]
fn peers_and_times_must_be_possible() {
    insta::assert_snapshot!(wrong("max-pending: 20000", "n-peers: 2"), @"job.yaml:13:5: catalog.read-flights.n-peers: 2 peers, but `file/csv` runs on at most 1 per task");
    insta::assert_snapshot!(wrong("where: late", "where: late\n    min-peers: 3\n    max-peers: 2"), @"job.yaml:25:5: catalog.keep-late.max-peers: 2 is less than `min-peers`, which is 3");
    insta::assert_snapshot!(wrong("where: late", "where: late\n    n-peers: 3\n    max-peers: 2"), @"job.yaml:25:5: catalog.keep-late.max-peers: `n-peers` sets both `min-peers` and `max-peers`; write it or them, not both");
    insta::assert_snapshot!(wrong("max-pending: 20000", "pending-timeout-ms: 2500"), @"job.yaml:13:5: catalog.read-flights.pending-timeout-ms: 2500 is not a multiple of `input-retry-timeout-ms`, which is 1000; 2000 would be");
}

#[test]
fn an_input_has_a_fixed_number_of_peers() {
    let mut vocabulary = vocabulary();
    vocabulary.plugins.get_mut("file/csv").unwrap().max_peers = None;
    let read = |peers: &str| {
        let text = FLIGHTS.replace("max-pending: 20000", peers);
        JobFile::parse("job.yaml", &text, Format::Yaml)
            .unwrap()
            .into_job(&vocabulary, checks())
    };
    let max = |peers| {
        read(peers).unwrap().catalog[0]
            .max_peers
            .map(NonZeroU32::get)
    };
    assert_eq!(max("n-peers: 4"), Some(4));
    assert_eq!(max("min-peers: 3"), Some(3));
    assert_eq!(max("batch-size: 9"), Some(1));
    insta::assert_snapshot!(shown(&read("max-peers: 4").unwrap_err()), @"job.yaml:13:5: catalog.read-flights.max-peers: an input has a fixed number of peers, because its slots divide what is read; `min-peers` is 1 and `max-peers` is 4: write `n-peers: 4`");
}

#[test]
fn no_file_is_written_twice_nor_read_and_written() {
    insta::assert_snapshot!(wrong("out/all.jsonl", "./out/x/../late.jsonl"), @"job.yaml:31:5: catalog.write-all.path: out/late.jsonl is written by `catalog.write-late.path` already");
    insta::assert_snapshot!(wrong("out/all.jsonl", "../data/flights-20k.csv"), @"job.yaml:31:5: catalog.write-all.path: ../data/flights-20k.csv is read by `catalog.read-flights.path` already");
    insta::assert_snapshot!(wrong("max-pending: 20000", "dead-letter: out/late.jsonl"), @"job.yaml:27:5: catalog.write-late.path: out/late.jsonl is written by `catalog.read-flights.dead-letter` already");
}

#[test]
fn everything_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = FLIGHTS
        .replace("[derive, keep-late]", "[drive, keep-late]")
        .replace("file/csv", "file/cvs")
        .replace("max-pending: 20000", "max-pending: lots")
        .replace("late: delay > 15", "late: delay; 15")
        .replace("    where: late\n", "");
    insta::assert_snapshot!(shown(&parse(&text).unwrap_err()), @r#"
    job.yaml:4:5: workflow[1]: no task of the catalog is named `drive`; did you mean `derive`?
    job.yaml:10:5: catalog.read-flights.plugin: unknown input plugin `file/cvs`; did you mean `file/csv`? there are: file/csv
    job.yaml:13:5: catalog.read-flights.max-pending: expected an integer from 1 to 4294967295, found the text "lots"
    job.yaml:18:7: catalog.derive.set.late: `delay; 15` contains `;`
    job.yaml:20:5: catalog.keep-late.where: the key is missing; it takes an expression: what to keep
    "#);
}

#[test]
fn what_only_the_function_knows_is_asked_when_the_rest_is_right() {
    let no = |task: &Task| Err(format!("{} does not like it", task.name));
    let checks = Checks {
        function: &no,
        ..checks()
    };
    let text = FLIGHTS.replace("where: late", "where: a;b");
    let file = JobFile::parse("job.yaml", &text, Format::Yaml).unwrap();
    insta::assert_snapshot!(shown(&file.into_job(&vocabulary(), checks).unwrap_err()), @"
    job.yaml:14:5: catalog.derive: derive does not like it
    job.yaml:23:5: catalog.keep-late.where: `a;b` contains `;`
    ");
}
