//! Many jobs that end, on a node whose log is not collected meanwhile: `/metrics` stays short, and no count
//! is lost from it.

use crate::process::{Errors, Node, onyx, pause};
use crate::scale::scaled;
use serde_json::json;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

const ROWS: u64 = 10;
/// As docs/http.md says: the jobs that completed last have lines of their own.
const LISTED: usize = 16;

#[test]
fn ended_jobs_leave_the_metrics_and_stay_in_their_sum() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..ROWS).map(|n| format!("row {n}\n")).collect();
    fs::write(folder.path().join("rows.txt"), rows).unwrap();
    let mut command = onyx(&["start"]);
    command.env("ONYX_HTTP__PORT", "0");
    command.env("ONYX_LOG_COLLECTION__ENTRIES", "0");
    let mut node = Node::start(&mut command, Errors::In(&folder.path().join("log")));
    node.listens();
    let jobs = scaled(40, 1_000);
    let job = json!({
        "name": "short",
        "workflow": [["read", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/lines",
              "path": folder.path().join("rows.txt") },
            { "name": "write", "type": "output", "plugin": "file/json-lines",
              "path": folder.path().join("out.jsonl") },
        ],
    });
    let mut length = 0;
    for number in 1..=jobs {
        let id = node.submit(&job.to_string());
        while node.get(&format!("/jobs/{id}")).unwrap()["state"] != "completed" {
            pause(Duration::from_millis(1));
        }
        if number == LISTED * 2 {
            length = node.page("/metrics").len();
        }
    }
    let page = node.page("/metrics");
    assert!(
        page.len() < length + length / 10,
        "{} bytes after {jobs} jobs, {length} before",
        page.len()
    );
    let name = "onyx_segments_read_total{";
    let listed = page.lines().filter(|line| line.starts_with(name));
    assert_eq!(listed.count(), LISTED * 2, "two tasks of each listed job");
    let unlisted = (jobs - LISTED) as u64;
    for line in [
        format!("onyx_ended_jobs_total {unlisted}"),
        format!("onyx_ended_jobs_segments_read_total {}", unlisted * ROWS),
    ] {
        assert!(
            page.lines().any(|it| it == line),
            "{line} is not in\n{page}"
        );
    }
    // A collection drops the counters of every ended job, and none of their sum.
    ureq::post(format!("{}/gc", node.url()))
        .send_empty()
        .unwrap();
    let page = node.page("/metrics");
    let line = format!("onyx_ended_jobs_segments_read_total {}", jobs as u64 * ROWS);
    assert!(
        page.lines().any(|it| it == line),
        "{line} is not in\n{page}"
    );
}
