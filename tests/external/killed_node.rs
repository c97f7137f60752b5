//! The command, killed in the middle of a job and started again on the same log.

use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
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

fn onyx(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onyx-node"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command
}

/// A node of its own process. It is killed when it is dropped.
struct Node {
    child: Child,
    url: String,
}

impl Node {
    fn start(folder: &Path) -> Self {
        let mut command = onyx(folder, &["start", "--config", "node.toml"]);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line
            .trim()
            .strip_prefix("onyx-node listens on ")
            .map(str::to_owned);
        let log = || fs::read_to_string(folder.join("log")).unwrap();
        let url = url.unwrap_or_else(|| panic!("it does not listen: {}", log()));
        Node { child, url }
    }

    /// What it answers; nothing when it refuses.
    fn ask(&self, folder: &Path, words: &[&str]) -> String {
        let mut command = onyx(folder, &[words, &["--node", &self.url]].concat());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

        let node = Node::start(folder);
        let job = node.ask(folder, &["submit", "job.yaml"]).trim().to_owned();
        let out = folder.join("out.jsonl");
        let part = folder.join("out.jsonl.part");
        let some = || fs::metadata(&part).is_ok_and(|file| file.len() > 100_000);
        while !some() {
            tokio::task::yield_now().await;
        }
        drop(node);
        let before = fs::read_to_string(&part).unwrap().lines().count();
        assert!((before as i64) < ROWS, "the job was done already");

        let node = Node::start(folder);
        // It knows the job as soon as it has read the log.
        while !node
            .ask(folder, &["jobs", &job])
            .contains("state: completed")
        {
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
