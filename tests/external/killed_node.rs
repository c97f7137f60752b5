//! The command, killed in the middle of a job and started again on the same log.

use crate::process::{Errors, Node, onyx};
use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const ROWS: i64 = 400_000;

const JOB: &str = "\
name: copy
workflow:
  - [read, flag]
  - [flag, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in.csv
    types: { id: int }
  - name: flag
    type: function
    fn: expr/map
    set: { even: id % 2 == 0 }
  - name: write
    type: output
    plugin: file/json-lines
    path: out.jsonl
";

fn start(folder: &Path) -> Node {
    let mut command = onyx(&["start", "--config", "node.toml"]);
    let command = command.current_dir(folder);
    let mut node = Node::start(command, Errors::In(&folder.join("log")));
    node.listens();
    node
}

/// What a node answers to a command; nothing when it refuses.
fn ask(node: &Node, folder: &Path, words: &[&str]) -> String {
    let mut command = onyx(&[words, &["--node", node.url()]].concat());
    let output = command.current_dir(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_node_that_is_killed_finishes_its_job_after_a_restart() {
    if !is_wanted(Need::OneServer) {
        return;
    }
    onyx::run(async {
        let server = ZooKeeperServer::start().await;
        let folder = TempDir::new().unwrap();
        let folder = folder.path();
        let config = format!(
            "[http]\nport = 0\n[coordination]\nmode = \"zookeeper\"\nconnect = \"{}\"\n\
             session-timeout-ms = 2000\nconnection-timeout-ms = 1000\n",
            server.connect_string()
        );
        fs::write(folder.join("node.toml"), config).unwrap();
        fs::write(folder.join("job.yaml"), JOB).unwrap();
        let mut rows = String::from("id\n");
        (0..ROWS).for_each(|id| writeln!(rows, "{id}").unwrap());
        fs::write(folder.join("in.csv"), rows).unwrap();

        let node = start(folder);
        let job = ask(&node, folder, &["submit", "job.yaml"])
            .trim()
            .to_owned();
        let out = folder.join("out.jsonl");
        let part = folder.join("out.jsonl.part");
        let some = || fs::metadata(&part).is_ok_and(|file| file.len() > 100_000);
        while !some() {
            tokio::task::yield_now().await;
        }
        drop(node);
        let before = fs::read_to_string(&part).unwrap().lines().count();
        assert!((before as i64) < ROWS, "the job was done already");

        let node = start(folder);
        // It knows the job as soon as it has read the log.
        while !ask(&node, folder, &["jobs", &job]).contains("state: completed") {
            tokio::task::yield_now().await;
        }
        let mut ids = BTreeSet::new();
        let mut lines = 0;
        for line in fs::read_to_string(&out).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let id = row["id"].as_i64().unwrap();
            assert_eq!(row["even"], id % 2 == 0, "{line}");
            ids.insert(id);
            lines += 1;
        }
        assert_eq!(ids, (0..ROWS).collect());
        println!("{before} lines before it was killed, {lines} of {ROWS} rows at the end");
    });
}
