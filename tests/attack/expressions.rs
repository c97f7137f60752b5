//! Expressions that would take all memory, or never come to an end.

use crate::process::{Errors, Node, onyx};
use crate::scale::scaled;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Resident memory beyond which a node counts as taken over.
const RESIDENT_KIB_MAX: u64 = 1_000_000;

fn start(folder: &Path) -> Node {
    let mut command = onyx(&["start", "--log-format", "json"]);
    command.env("ONYX_HTTP__PORT", "0");
    command.env("ONYX_NODE__PEERS", "3").current_dir(folder);
    let mut node = Node::start(&mut command, Errors::In(&folder.join("log")));
    node.listens();
    node
}

/// A job of three tasks that applies a function to each line of a file.
fn job(folder: &Path, lines: usize, function: &Value) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("in"), "0123456789\n".repeat(lines)).unwrap();
    let mut apply = json!({ "name": "apply", "type": "function" });
    let keys = function.as_object().unwrap().clone();
    apply.as_object_mut().unwrap().extend(keys);
    json!({
        "workflow": [["read", "apply"], ["apply", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/lines", "path": path("in") },
            apply,
            { "name": "write", "type": "output", "plugin": "file/json-lines", "path": path("out") },
        ],
    })
    .to_string()
}

/// How a job is when it has ended.
fn ended(node: &Node, id: &str) -> Value {
    loop {
        let job = node.get(&format!("/jobs/{id}?wait-ms=30000")).unwrap();
        if job["state"] == "completed" || job["state"] == "killed" {
            return job;
        }
    }
}

/// That all peers of the node can be had, for an ordinary job.
fn works(node: &Node, folder: &Path) {
    let function = json!({ "fn": "expr/filter", "where": "line > 0" });
    let id = node.submit(&job(folder, 10, &function));
    assert_eq!(ended(node, &id)["state"], "completed");
}

/// The most memory that a process has had resident.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

#[test]
fn thirty_doublings_of_a_text_kill_their_job_and_not_the_node() {
    let folder = TempDir::new().unwrap();
    let mut node = start(folder.path());
    let mut set = Map::new();
    set.insert("a00".into(), "text".into());
    for n in 1..=30 {
        let before = n - 1;
        // Names in the order in which a JSON map is written.
        set.insert(
            format!("a{n:02}"),
            format!("a{before:02} + a{before:02}").into(),
        );
    }
    let function = json!({ "fn": "expr/map", "set": set });
    for lines in [1, scaled(100, 100_000)] {
        let id = node.submit(&job(folder.path(), lines, &function));
        let job = ended(&node, &id);
        assert_eq!(job["state"], "killed");
        assert!(job.to_string().contains("max-result-bytes"), "{job}");
    }
    works(&node, folder.path());
    let peak = peak_kib(node.process().id());
    assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB were resident");
}

#[test]
fn a_batch_of_large_segments_kills_its_job_and_not_the_node() {
    let folder = TempDir::new().unwrap();
    let mut node = start(folder.path());
    let set = json!({
        "a": "lists.range(1000).map(n, text).join(text)",
        "b": "lists.range(150).map(n, a).join(a)",
    });
    let function = json!({ "fn": "expr/map", "set": set });
    let id = node.submit(&job(folder.path(), scaled(300, 3_000), &function));
    let job = ended(&node, &id);
    assert_eq!(job["state"], "killed");
    assert!(job.to_string().contains("`batch-size`"), "{job}");
    works(&node, folder.path());
    let peak = peak_kib(node.process().id());
    assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB were resident");
}

#[test]
fn a_kill_ends_nested_macros_and_their_peers_are_free() {
    let folder = TempDir::new().unwrap();
    let node = start(folder.path());
    let range = "lists.range(100000)";
    let endless = format!("{range}.all(x, {range}.all(y, {range}.all(z, true)))");
    let limit = i64::from(u32::MAX) * 1_000_000;
    let function = json!({
        "fn": "expr/filter", "where": endless, "max-steps": limit, "max-result-bytes": limit,
    });
    for _ in 0..scaled(2, 20) {
        let id = node.submit(&job(folder.path(), 1_000, &function));
        loop {
            let job = node.get(&format!("/jobs/{id}?wait-ms=50")).unwrap();
            let received = job["tasks"][1]["counts"]["received"].as_u64();
            if received.is_some_and(|received| received > 0) {
                break;
            }
            assert_ne!(job["state"], "killed", "{job}");
        }
        let killed = ureq::delete(format!("{}/jobs/{id}", node.url())).call();
        assert_eq!(killed.unwrap().status(), 200);
        works(&node, folder.path());
    }
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("abandoned"), "{log}");
}
