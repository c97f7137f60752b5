//! A reader of standard output and standard error that stops reading: jobs go on, dropped log lines are
//! counted, and SIGTERM ends the node in order.

use crate::process::{onyx, pause};
use crate::scale::scaled;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::path::Path;
use std::process::Child;
use std::time::Duration;
use tempfile::TempDir;

/// A node whose output and errors go to one pipe, as with `2>&1 |`. It is killed when it is dropped.
struct Node {
    child: Child,
    lines: BufReader<PipeReader>,
    url: String,
}

impl Node {
    fn start(folder: &Path) -> Self {
        let (reader, writer) = pipe().unwrap();
        let mut command = onyx(&["start"]);
        command
            .env("ONYX_HTTP__PORT", "0")
            .env("ONYX_LOG__LEVEL", "debug")
            .current_dir(folder)
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let child = command.spawn().unwrap();
        // The command holds writers of the pipe, which would have no end.
        drop(command);
        let mut node = Node {
            child,
            lines: BufReader::new(reader),
            url: String::new(),
        };
        let line = node.line_with("listens on http://");
        node.url = line.split_once("listens on ").unwrap().1.trim().to_owned();
        node
    }

    /// Reads on up to a line with these words.
    fn line_with(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.lines.read_line(&mut line).unwrap();
            assert!(length > 0, "the node has ended without `{words}`");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Makes the node log more than the pipe and the queue before it hold.
    fn makes_many_log_lines(&self) {
        let path = "x".repeat(8_000);
        for _ in 0..scaled(400, 5_000) {
            let asked = ureq::get(format!("{}/{path}", self.url));
            let asked = asked.config().http_status_as_error(false).build();
            assert_eq!(asked.call().unwrap().status(), 404);
        }
    }

    fn runs_a_job(&self, folder: &Path) {
        fs::write(folder.join("rows.txt"), "one\ntwo\n").unwrap();
        let job = json!({
            "workflow": [["read", "write"]],
            "catalog": [
                { "name": "read", "type": "input", "plugin": "file/lines", "path": "rows.txt" },
                { "name": "write", "type": "output", "plugin": "file/json-lines",
                  "path": "out.jsonl" },
            ],
        });
        let asked = ureq::post(format!("{}/jobs", self.url)).send(job.to_string());
        let answer: Value = asked.unwrap().body_mut().read_json().unwrap();
        let id = answer["id"].as_str().unwrap().to_owned();
        loop {
            let asked = ureq::get(format!("{}/jobs/{id}", self.url)).call();
            let report: Value = asked.unwrap().body_mut().read_json().unwrap();
            if report["state"] == "completed" {
                break;
            }
            pause(Duration::from_millis(5));
        }
        let written = fs::read_to_string(folder.join("out.jsonl")).unwrap();
        assert_eq!(written.lines().count(), 2);
    }

    fn signal(&self, name: &str) {
        let mut command = std::process::Command::new("kill");
        let id = self.child.id().to_string();
        let sent = command.args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_reader_that_stalls_holds_up_no_job_and_no_stop() {
    let folder = TempDir::new().unwrap();
    let mut node = Node::start(folder.path());
    node.makes_many_log_lines();
    node.runs_a_job(folder.path());
    // The reader goes on, and learns what it has missed.
    let report = node.line_with("log lines were dropped");
    let number = report.split("lines=").nth(1);
    let number = number.and_then(|rest| rest.split_whitespace().next());
    assert!(number.unwrap().parse::<u64>().unwrap() > 0, "{report}");
    // It stalls again, and the node ends all the same.
    node.makes_many_log_lines();
    node.signal("TERM");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_hangup_is_logged_and_ends_nothing() {
    let folder = TempDir::new().unwrap();
    let mut node = Node::start(folder.path());
    node.signal("HUP");
    node.line_with("SIGHUP is ignored");
    node.runs_a_job(folder.path());
    node.signal("TERM");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}
