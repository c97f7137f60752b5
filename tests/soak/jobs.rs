//! The kinds of jobs of the soak, each with what has to come of it.

use crate::client::Client;
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How a job ends, and on which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each row is copied, by one peer for each task.
    Copied,
    /// Two peers divide the input, two compute, and rows go both ways.
    Divided,
    /// Every tenth row is rejected, and becomes a dead letter.
    Rejecting,
    /// An expression fails, which kills the job.
    Failing,
    /// Killed by a request while it runs.
    KilledRunning,
    /// Killed by a request while it waits for more peers than there are.
    KilledWaiting,
}

pub(crate) const KINDS: [Kind; 6] = [
    Kind::Copied,
    Kind::Divided,
    Kind::Rejecting,
    Kind::Failing,
    Kind::KilledRunning,
    Kind::KilledWaiting,
];

const ROWS: u64 = 2_000;
/// Enough that a job with one row in flight does not end before it is killed.
const LONG_ROWS: u64 = 200_000;
/// The cell that fails the expression of `Failing`.
const FAILS_AT: u64 = 1_000;
const REJECTED_EVERY: u64 = 10;
/// More than a node of the soak has.
const TOO_MANY_PEERS: u64 = 100;

/// The inputs, which all jobs share.
#[derive(Debug)]
pub(crate) struct Rows {
    good: PathBuf,
    damaged: PathBuf,
    long: PathBuf,
}

impl Rows {
    pub(crate) fn prepare(folder: &Path) -> Self {
        let write = |name: &str, count: u64, is_damaged: bool| {
            let mut text = String::from("n,text\n");
            for n in 0..count {
                let is_rejected = is_damaged && n % REJECTED_EVERY == 0;
                let mark = if is_rejected { "damaged " } else { "" };
                writeln!(text, "{mark}{n},row {n}").unwrap();
            }
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Rows {
            good: write("good.csv", ROWS, false),
            damaged: write("damaged.csv", ROWS, true),
            long: write("long.csv", LONG_ROWS, false),
        }
    }
}

/// Runs a job in a folder of its own, checks what came of it, and removes the folder.
pub(crate) fn run(kind: Kind, client: &Client, rows: &Rows, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let id = client.submit(&job(kind, rows, folder));
    let all: Vec<_> = (0..ROWS).collect();
    match kind {
        Kind::Copied => {
            assert_completed(&client.ended(&id));
            assert_eq!(written(folder, "out"), all);
        }
        Kind::Divided => {
            assert_completed(&client.ended(&id));
            assert_eq!(written(folder, "out"), all);
            let late: Vec<_> = (ROWS / 2..ROWS).collect();
            assert_eq!(written(folder, "late"), late);
        }
        Kind::Rejecting => {
            assert_completed(&client.ended(&id));
            let (rejected, good): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|n| n % REJECTED_EVERY == 0);
            assert_eq!(written(folder, "out"), good);
            let letters = fs::read_to_string(folder.join("rejected.jsonl")).unwrap();
            assert_eq!(letters.lines().count(), rejected.len(), "{letters}");
        }
        Kind::Failing => {
            let report = client.ended(&id);
            assert_eq!(report["state"], "killed", "{report}");
            if let Some(exception) = report["exception"].as_str() {
                assert!(exception.contains("n - 1000"), "{report}");
            }
        }
        Kind::KilledRunning => {
            client.until(&id, |report| {
                let reading = report["tasks"][0]["counts"]["read"].as_u64();
                reading.is_some_and(|count| count > 0)
            });
            client.kill(&id);
            assert_eq!(client.ended(&id)["state"], "killed");
        }
        Kind::KilledWaiting => {
            let report = client.job(&id);
            assert_eq!(report["state"], "waiting", "{report}");
            client.kill(&id);
            assert_eq!(client.ended(&id)["state"], "killed");
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

/// A report has neither account nor exception when coordination is slow, or when another client has collected
/// the log meanwhile.
fn assert_completed(report: &Value) {
    assert_eq!(report["state"], "completed", "{report}");
    if report["account"].is_object() {
        assert_eq!(report["account"]["unaccounted"], 0, "{report}");
    }
}

/// The numbers that the files of an output hold, sorted.
fn written(folder: &Path, output: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(output) {
            for line in fs::read_to_string(entry.path()).unwrap().lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                let number = row["n"].as_u64().unwrap();
                assert_eq!(row["text"], format!("row {number}"), "{row}");
                numbers.push(number);
            }
        }
    }
    numbers.sort_unstable();
    numbers
}

fn job(kind: Kind, rows: &Rows, folder: &Path) -> Value {
    let mut read = json!({
        "name": "read", "type": "input", "plugin": "file/csv", "path": rows.good,
        "types": { "n": "int" },
    });
    let mut step = json!({
        "name": "step", "type": "function", "fn": "expr/map", "set": { "twice": "n * 2" },
        "max-peers": 1,
    });
    let mut edges = vec![json!(["read", "step"]), json!(["step", "write"])];
    let mut more = Vec::new();
    match kind {
        Kind::Copied => {}
        Kind::Divided => {
            read["split"] = "lines".into();
            read["n-peers"] = 2.into();
            step["n-peers"] = 2.into();
            step.as_object_mut().unwrap().remove("max-peers");
            edges.extend([json!(["step", "late"]), json!(["late", "write-late"])]);
            more.push(json!({
                "name": "late", "type": "function", "fn": "expr/filter", "max-peers": 1,
                "where": format!("n >= {}", ROWS / 2),
            }));
            more.push(output("write-late", &folder.join("late.jsonl")));
        }
        Kind::Rejecting => {
            read["path"] = json!(rows.damaged);
            read["dead-letter"] = json!(folder.join("rejected.jsonl"));
        }
        Kind::Failing => {
            step["set"] = json!({ "share": format!("1 / (n - {FAILS_AT})") });
        }
        Kind::KilledRunning => {
            read["path"] = json!(rows.long);
            read["max-pending"] = 1.into();
            read["batch-size"] = 1.into();
        }
        Kind::KilledWaiting => {
            step["n-peers"] = TOO_MANY_PEERS.into();
            step.as_object_mut().unwrap().remove("max-peers");
        }
    }
    let mut catalog = vec![read, step, output("write", &folder.join("out.jsonl"))];
    catalog.append(&mut more);
    json!({ "name": format!("{kind:?}"), "workflow": edges, "catalog": catalog })
}

fn output(name: &str, path: &Path) -> Value {
    json!({ "name": name, "type": "output", "plugin": "file/json-lines", "path": path })
}
