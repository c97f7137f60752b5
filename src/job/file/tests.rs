//! What people read when a job file is wrong, and that one which is right is read as it was meant.

use super::*;
use crate::job::vocabulary::{KeySchema, PluginSignature, Signature};
use crate::job::{Task, TaskKind};
use crate::segment::Segment;
use std::num::NonZeroU32;

const FLIGHTS: &str = "\
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

fn vocabulary() -> Vocabulary {
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

fn checks() -> Checks<'static> {
    Checks {
        expression: &has_no_semicolon,
        ..Checks::NONE
    }
}

fn parse(text: &str) -> Result<Job, Vec<Problem>> {
    JobFile::parse("job.yaml", text, Format::Yaml)?.into_job(&vocabulary(), checks())
}

fn shown(problems: &[Problem]) -> String {
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
fn json_is_read_like_yaml_and_keeps_its_positions() {
    let file: Segment = describe(&parse(FLIGHTS).unwrap());
    let json = serde_json::to_string_pretty(&file).unwrap();
    let read = |text: &str| {
        let file = JobFile::parse("job.json", text, Format::Json)?;
        file.into_job(&vocabulary(), checks())
    };
    assert_eq!(read(&json), parse(FLIGHTS));
    let wrong = json.replace("\"where\"", "\"wher\\u0065e\"");
    insta::assert_snapshot!(shown(&read(&wrong).unwrap_err()), @"
    job.json:43:5: catalog.keep-late.where: the key is missing; it takes an expression: what to keep
    job.json:47:7: catalog.keep-late.wheree: unknown key; did you mean `where`?; expr/filter takes: where
    ");
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
    insta::assert_snapshot!(set("drive.batch-size=3"), @"--set drive.batch-size=3: no task is named `drive`; did you mean `derive`?; the tasks are: read-flights, derive, keep-late, write-late, write-all");
    insta::assert_snapshot!(set("derive.batch-sise=3"), @"--set derive.batch-sise=3: catalog.derive.batch-sise: unknown key; did you mean `batch-size`?; expr/map takes: set");
    insta::assert_snapshot!(set("derive.batch-size=many"), @r#"--set derive.batch-size=many: catalog.derive.batch-size: expected an integer from 1 to 4294967295, found the text "many""#);
    insta::assert_snapshot!(set("derive.name=x"), @"--set derive.name=x: the name of a task cannot be set; change the file");
    insta::assert_snapshot!(set("derive.=x"), @"--set derive.=x: expected TASK.KEY=VALUE, found an empty key in `derive.`");
    insta::assert_snapshot!(set("derive.fn.x=y"), @"--set derive.fn.x=y: there is no table in which `x` could be set");
    insta::assert_snapshot!(set("keep-late.where=a;b"), @"--set keep-late.where=a;b: catalog.keep-late.where: `a;b` contains `;`");
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    insta::assert_snapshot!(wrong("  - [derive, keep-late]", "  - [derive, keep-late"), @r#"job.yaml:6:3: this is not valid YAML: "-" is only valid inside a block at line 6, column 3"#);
    insta::assert_snapshot!(wrong("    where: late", "   where: late"), @"job.yaml:23:4: this is not valid YAML: while parsing a block collection, did not find expected '-' indicator at line 23, column 4");
    insta::assert_snapshot!(wrong("    where: late", "    where: late\n    where: 3"), @"job.yaml:24:5: this is not valid YAML: duplicate mapping key: where, set DuplicateKeyPolicy in Options if acceptable at line 24, column 5");
    insta::assert_snapshot!(wrong("    where: late", "    where: *late"), @"job.yaml:23:12: this is not valid YAML: alias references unknown anchor at line 23, column 12");
    insta::assert_snapshot!(wrong("task-scheduler: balanced", "---\na: 1"), @"job.yaml:34:1: the file is too large when its aliases are followed: at most 100000 values, 32 deep (budget breached: Documents { documents: 2 } at line 34, column 1)");
    insta::assert_snapshot!(wrong_as("", Format::Yaml), @"job.x:1:1: expected a table with the keys name, workflow, catalog, lifecycles, task-scheduler, found nothing");
    insta::assert_snapshot!(wrong_as("[1, 2]", Format::Yaml), @"job.x:1:1: expected a table with the keys name, workflow, catalog, lifecycles, task-scheduler, found a list");
    insta::assert_snapshot!(wrong_as("{\"a\": 1,}", Format::Json), @"job.x:1:9: this is not valid JSON: trailing comma");
    insta::assert_snapshot!(wrong_as("{\"a\": 1, \"a\": 2}", Format::Json), @"job.x:1:10: this is not valid JSON: duplicate mapping key: a, set DuplicateKeyPolicy in Options if acceptable at line 1, column 10");
}

#[test]
fn a_file_that_would_cost_too_much_is_refused() {
    let laughs: String = (1..30)
        .map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1))
        .collect();
    insta::assert_snapshot!(wrong_as(&format!("a0: &a0 ha\n{laughs}"), Format::Yaml), @"job.x:16:12: this is not valid YAML: alias replay limit exceeded: total_replayed_events=100001 > 100000 at line 3, column 9 (defined at line 15, column 11) (used at line 16, column 12)");
    insta::assert_snapshot!(wrong_as(&"[".repeat(5_000), Format::Yaml), @"job.x:1:256: this is not valid YAML: recursion limit exceeded at line 1, column 256");
    insta::assert_snapshot!(wrong_as(&"[".repeat(5_000), Format::Json), @"job.x:1:128: this is not valid JSON: recursion limit exceeded");
    insta::assert_snapshot!(wrong_as(&"- ".repeat(5_000), Format::Yaml), @"job.x:1:65: the file is too large when its aliases are followed: at most 100000 values, 32 deep (budget breached: Depth { depth: 33 } at line 1, column 65)");
    insta::assert_snapshot!(wrong_as(&"x".repeat(2 << 20), Format::Yaml), @"job.x: the file has 2097152 bytes; at most 1048576 are read");
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_and_all_that_there_are() {
    insta::assert_snapshot!(wrong("lifecycles:", "livecycles:"), @"job.yaml:32:1: livecycles: unknown key; did you mean `lifecycles`?; a job takes: name, workflow, catalog, lifecycles, task-scheduler");
    insta::assert_snapshot!(wrong("    max-pending: 20000", "    max-pendin: 20000"), @"job.yaml:13:5: catalog.read-flights.max-pendin: unknown key; did you mean `max-pending`?; file/csv takes: path, types, columns");
    insta::assert_snapshot!(wrong("    where: late", "    wher: late"), @"
    job.yaml:20:5: catalog.keep-late.where: the key is missing; it takes an expression: what to keep
    job.yaml:23:5: catalog.keep-late.wher: unknown key; did you mean `where`?; expr/filter takes: where
    ");
    insta::assert_snapshot!(wrong("{ task: all, calls: my/logging }", "{ task: all, cals: x }"), @"
    job.yaml:33:5: lifecycles[0]: a lifecycle needs `task`, a task name or `all`, and `calls`, a name
    job.yaml:33:18: lifecycles[0].cals: unknown key; did you mean `calls`?; a lifecycle takes: task, calls
    ");
}

#[test]
fn an_unknown_word_is_told_with_the_nearest_and_all_that_there_are() {
    insta::assert_snapshot!(wrong("fn: expr/map", "fn: expr/mpa"), @"job.yaml:16:5: catalog.derive.fn: unknown function `expr/mpa`; did you mean `expr/map`?; there are: expr/filter, expr/map, identity");
    insta::assert_snapshot!(wrong("plugin: file/csv", "plugin: file/cvs"), @"job.yaml:10:5: catalog.read-flights.plugin: unknown input plugin `file/cvs`; did you mean `file/csv`?; there are: file/csv");
    insta::assert_snapshot!(wrong("plugin: file/csv", "plugin: file/json-lines"), @"
    job.yaml:10:5: catalog.read-flights.plugin: `file/json-lines` is an output plugin; for an input there are: file/csv
    job.yaml:12:5: catalog.read-flights.types: unknown key; did you mean `type`?; file/json-lines takes: path, mode
    ");
    insta::assert_snapshot!(wrong("calls: my/logging", "calls: my/loging"), @"job.yaml:33:18: lifecycles[0].calls: unknown lifecycle calls `my/loging`; did you mean `my/logging`?; there are: my/logging");
    insta::assert_snapshot!(wrong("task: all", "task: derivee"), @"job.yaml:33:7: lifecycles[0].task: no task is named `derivee`; did you mean `derive`?; or write `all`");
    insta::assert_snapshot!(wrong("delay: int", "delay: itn"), @"job.yaml:12:14: catalog.read-flights.types.delay: `itn` is not one of: int, float, string, bool; did you mean `int`?");
    insta::assert_snapshot!(wrong("type: output\n    plugin: file/json-lines\n    path: out/all", "type: outptu\n    plugin: file/json-lines\n    path: out/all"), @r#"job.yaml:29:5: catalog.write-all: expected a `type` of input, function, output, found the text "outptu"; did you mean `output`?"#);
    insta::assert_snapshot!(wrong("balanced", "percentage"), @r#"job.yaml:34:1: task-scheduler: expected one of: balanced, found the text "percentage""#);
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
    insta::assert_snapshot!(wrong("[derive, keep-late]", "[derive]"), @"job.yaml:4:5: workflow[1]: expected an edge `[from, to]` of two task names, found a list");
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
    insta::assert_snapshot!(wrong("path: out/all.jsonl", "path: 3"), @"job.yaml:31:5: catalog.write-all.path: expected a path, found the int 3");
    insta::assert_snapshot!(wrong("{ delay: int, distance: int }", "int"), @r#"job.yaml:12:5: catalog.read-flights.types: expected a table from names to one of: int, float, string, bool, found the string "int""#);
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
    insta::assert_snapshot!(wrong("write-all", "\" \""), @"job.yaml:28:5: catalog. .name: the name is empty");
    insta::assert_snapshot!(wrong("write-all", "\"write\\tall\""), @r#"job.yaml:28:5: catalog.write	all.name: the name contains '\t', which cannot be printed"#);
    insta::assert_snapshot!(wrong("write-all", &"x".repeat(129)), @"job.yaml:28:5: catalog.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.name: the name has 129 bytes; at most 128 are allowed");
}

#[test]
fn peers_and_times_must_be_possible() {
    insta::assert_snapshot!(wrong("max-pending: 20000", "n-peers: 2"), @"job.yaml:13:5: catalog.read-flights.max-peers: 2 peers, but `file/csv` runs on at most 1 per task");
    insta::assert_snapshot!(wrong("where: late", "where: late\n    min-peers: 3\n    max-peers: 2"), @"job.yaml:25:5: catalog.keep-late.max-peers: 2 is less than `min-peers`, which is 3");
    insta::assert_snapshot!(wrong("where: late", "where: late\n    n-peers: 3\n    max-peers: 2"), @"job.yaml:25:5: catalog.keep-late.max-peers: `n-peers` sets both `min-peers` and `max-peers`; write one or the other");
    insta::assert_snapshot!(wrong("max-pending: 20000", "pending-timeout-ms: 2500"), @"job.yaml:13:5: catalog.read-flights.pending-timeout-ms: 2500 is not a multiple of `input-retry-timeout-ms`, which is 1000; 3000 would be");
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
    job.yaml:10:5: catalog.read-flights.plugin: unknown input plugin `file/cvs`; did you mean `file/csv`?; there are: file/csv
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

mod laws {
    use super::*;
    use crate::job::{Lifecycle, LifecycleTarget, TaskScheduler};
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[ -~\\n\\t]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let items = proptest::collection::vec(inner.clone(), 0..4);
            let fields = proptest::collection::vec(("[a-z .:#'\"-]{1,8}", inner), 0..4);
            prop_oneof![
                items.prop_map(Value::from),
                fields.prop_map(|fields| fields.into_iter().collect::<Segment>().into()),
            ]
        })
    }

    fn positive() -> impl Strategy<Value = NonZeroU32> {
        (1..=u32::MAX).prop_map(|n| NonZeroU32::new(n).unwrap())
    }

    prop_compose! {
        fn any_task(name: String, kind: TaskKind)(
            numbers in [positive(), positive(), positive(), positive()],
            peers in 1..100_u32,
            (retry, times) in (1..1000_u32, 1..1000_u32),
            dead in proptest::option::of("/dead/[a-z]{1,5}"),
            any in proptest::option::of(any_value()),
        ) -> Task {
            let input = kind == TaskKind::Input;
            let mut task = Task::new(name.as_str(), kind);
            task.function = (kind == TaskKind::Function).then(|| "any".into());
            task.plugin = match kind {
                TaskKind::Input => Some("in".into()),
                TaskKind::Function => None,
                TaskKind::Output => Some("out".into()),
            };
            let peers = NonZeroU32::new(peers).unwrap();
            (task.batch_size, task.batch_timeout_ms, task.min_peers) = (numbers[0], numbers[1], peers);
            task.max_peers = (input || numbers[3].get() % 2 == 0).then_some(peers);
            if input {
                task.max_pending = numbers[2];
                task.input_retry_timeout_ms = NonZeroU32::new(retry).unwrap();
                task.pending_timeout_ms = NonZeroU32::new(retry * times).unwrap();
            }
            task.dead_letter = dead.map(|path| format!("{path}-{name}"));
            if let Some(value) = any {
                task.params.set("any", value);
            }
            task
        }
    }

    fn any_job() -> impl Strategy<Value = Job> {
        let name = "[a-z0-9 .:#é'-]{0,9}";
        (name, name, 1..5_usize, any::<bool>()).prop_flat_map(|(job_name, stem, between, calls)| {
            let last = between + 1;
            let kind = move |n| match n {
                0 => TaskKind::Input,
                n if n == last => TaskKind::Output,
                _ => TaskKind::Function,
            };
            let names: Vec<String> = (0..=last).map(|n| format!("{stem}{n}.x")).collect();
            let tasks: Vec<_> = names
                .iter()
                .enumerate()
                .map(|(n, name)| any_task(name.clone(), kind(n)))
                .collect();
            tasks.prop_map(move |catalog| Job {
                name: format!("x{job_name}"),
                workflow: catalog
                    .windows(2)
                    .map(|it| (it[0].name.clone(), it[1].name.clone()))
                    .collect(),
                lifecycles: calls
                    .then(|| Lifecycle {
                        task: LifecycleTarget::Task(catalog[1].name.clone()),
                        calls: "c".into(),
                    })
                    .into_iter()
                    .collect(),
                catalog,
                task_scheduler: TaskScheduler::Balanced,
            })
        })
    }

    fn vocabulary() -> Vocabulary {
        let any = KeySchema::optional("any", KeyKind::Any, "anything");
        let signature = Signature {
            doc: String::new(),
            keys: vec![any],
        };
        let plugin = |kind| PluginSignature {
            kind,
            max_peers: None,
            signature: signature.clone(),
        };
        Vocabulary {
            plugins: [
                ("in".into(), plugin(TaskKind::Input)),
                ("out".into(), plugin(TaskKind::Output)),
            ]
            .into(),
            functions: [("any".into(), signature.clone())].into(),
            lifecycles: ["c".into()].into(),
        }
    }

    fn read(text: &str, format: Format) -> Result<Job, String> {
        let file = JobFile::parse("job", text, format);
        file.and_then(|file| file.into_job(&vocabulary(), Checks::NONE))
            .map_err(|it| shown(&it))
    }

    proptest! {
        #[test]
        fn any_job_survives_being_written_and_read(job in any_job()) {
            let json = serde_json::to_string(&describe(&job)).unwrap();
            prop_assert_eq!(read(&json, Format::Json), Ok(job.clone()), "{}", json);
            let yaml = serde_saphyr::to_string(&describe(&job)).unwrap();
            prop_assert_eq!(read(&yaml, Format::Yaml), Ok(job.clone()), "{}", yaml);
            let stored = rmp_serde::to_vec_named(&job).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<Job>(&stored).ok(), Some(job));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", json in any::<bool>()) {
            let _ = read(&text, if json { Format::Json } else { Format::Yaml });
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in any::<Vec<u8>>()) {
            let _ = read(&String::from_utf8_lossy(&bytes), Format::Yaml);
        }

        #[test]
        fn no_damage_to_a_file_makes_the_parser_panic(
            at in 0..FLIGHTS.len(),
            length in 0..40_usize,
            with in "[-a-z:\\[\\]{}&*!|>'\"%@`,#? \\n\\t]{0,8}",
        ) {
            let end = (at + length).min(FLIGHTS.len());
            let text = [&FLIGHTS[..at], &with, &FLIGHTS[end..]].concat();
            let _ = parse(&text);
        }

        #[test]
        fn no_option_makes_the_parser_panic(option in "(derive|keep-late)?[.=a-z\\[{'\" -]{0,20}") {
            let mut file = JobFile::parse("job.yaml", FLIGHTS, Format::Yaml).unwrap();
            let _ = file.set(&option, Path::new(""));
            let _ = file.into_job(&super::vocabulary(), checks());
        }
    }
}
