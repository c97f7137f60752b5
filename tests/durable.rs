//! What survives `kill -9`: the coordination server, a node with a data folder, and its jobs.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

#[path = "support/process.rs"]
mod process;

use futures_util::future::join_all;
use process::{Errors, Process, onyx, onyx_within};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// A process, and what it said when it was ready.
struct Started {
    process: Process,
    said: String,
}

impl Started {
    fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command, Errors::Kept);
        let said = process.line();
        Started { process, said }
    }

    fn coordination(data: &Path) -> Self {
        let words = ["coordination", "--listen", "127.0.0.1:0", "--data-dir"];
        Self::start(onyx(&words).arg(data))
    }

    /// Where it listens: the word behind "on".
    fn address(&self) -> &str {
        let mut words = self.said.split([' ', ',', '\n']);
        words.find(|word| *word == "on");
        words
            .next()
            .unwrap_or_else(|| panic!("listens where? {:?}", self.said))
    }

    /// `kill -9`.
    fn kill(mut self) {
        self.process.kill();
    }
}

/// Logs in with the secret in the data folder of the server.
async fn connect(server: &Started) -> Client {
    let (_, data) = server.said.trim_end().split_once("data in ").unwrap();
    let secret = fs::read_to_string(Path::new(data).join("secret")).unwrap();
    let login = format!("onyx:{}", secret.trim());
    let connector = Client::connector().with_auth("digest", login.as_bytes());
    connector.connect(server.address()).await.unwrap()
}

/// Creates pairs of nodes, several at a time, until the server is gone. Tells of each pair that was
/// acknowledged.
async fn write_pairs(client: Client, name: String, acknowledged: mpsc::UnboundedSender<String>) {
    for first in (0..).step_by(8) {
        let pairs = (first..first + 8).map(|number| format!("/{name}-{number}"));
        let written = join_all(pairs.map(|pair| write_pair(&client, pair))).await;
        let is_over = written.contains(&None);
        for pair in written.into_iter().flatten() {
            // The test may have seen enough.
            let _ = acknowledged.send(pair);
        }
        if is_over {
            return;
        }
    }
}

/// Answers with the pair if the server did.
async fn write_pair(client: &Client, pair: String) -> Option<String> {
    let mut writer = client.new_multi_writer();
    for half in ["a", "b"] {
        let path = format!("{pair}{half}");
        writer
            .add_create(&path, pair.as_bytes(), &PERSISTENT)
            .unwrap();
    }
    writer.commit().await.is_ok().then_some(pair)
}

/// Lets clients write until so many pairs are acknowledged, and answers with all that were by the
/// time the server had been ended.
async fn write_until(
    server: Started,
    round: usize,
    enough: usize,
    end: impl FnOnce(Started) + Send + 'static,
) -> Vec<String> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut writers = Vec::new();
    for writer in 0..5 {
        let client = connect(&server).await;
        let name = format!("{round}-{writer}");
        writers.push(tokio::spawn(write_pairs(client, name, sender.clone())));
    }
    drop(sender);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < enough {
        acknowledged.push(receiver.recv().await.expect("the writers go on"));
    }
    // Beside the writers, which go on until they notice.
    task::spawn_blocking(move || end(server)).await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    while let Some(pair) = receiver.recv().await {
        acknowledged.push(pair);
    }
    acknowledged
}

/// Every acknowledged pair is there, and of the others both halves or none.
async fn check_pairs(server: &Started, acknowledged: &[String]) {
    let client = connect(server).await;
    let children = client.list_children("/").await.unwrap();
    let children: BTreeSet<String> = children.into_iter().collect();
    for pair in acknowledged {
        let name = pair.trim_start_matches('/');
        assert!(children.contains(&format!("{name}a")), "{pair} is lost");
    }
    for name in children.iter().filter(|name| *name != "zookeeper") {
        let (pair, half) = name.split_at(name.len() - 1);
        let other = if half == "a" { "b" } else { "a" };
        assert!(children.contains(&format!("{pair}{other}")), "{name} alone");
    }
    let path = acknowledged.last().expect("somebody wrote");
    let (data, _) = client.get_data(&format!("{path}b")).await.unwrap();
    assert_eq!(data, path.as_bytes());
}

#[tokio::test]
async fn every_acknowledged_write_survives_kill_9_and_nothing_is_torn() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let server = Started::coordination(folder.path());
        acknowledged.extend(write_until(server, round, 200, Started::kill).await);
        check_pairs(&Started::coordination(folder.path()), &acknowledged).await;
    }
}

/// The command under a limit on the size of its files, which does what a full disk does.
fn limited(words: &[&str]) -> Command {
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"";
    onyx_within(&["sh", "-c", script], words)
}

#[tokio::test]
async fn a_full_disk_ends_the_server_with_the_reason_and_loses_nothing_acknowledged() {
    let folder = TempDir::new().unwrap();
    let words = ["coordination", "--listen", "127.0.0.1:0", "--data-dir"];
    let server = Started::start(limited(&words).arg(folder.path()));
    let segment = folder.path().join("log.0000000000000001");
    let ended = move |mut server: Started| {
        let (code, log) = server.process.end();
        assert_eq!(code, Some(3), "{log}");
        let reason = format!("cannot write to {}: File too large", segment.display());
        assert!(log.contains(&reason), "{log}");
    };
    let acknowledged = write_until(server, 0, 1, ended).await;
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    check_pairs(&Started::coordination(folder.path()), &acknowledged).await;
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_does_so_in_order() {
    let folder = TempDir::new().unwrap();
    let mut server = Started::coordination(folder.path());
    assert!(server.said.contains("data in "), "{}", server.said);
    let client = connect(&server).await;
    client.create("/kept", b"", &PERSISTENT).await.unwrap();
    let (code, log) = server.process.end_by("TERM");
    assert_eq!(code, Some(0), "{log}");
    let server = Started::coordination(folder.path());
    let client = connect(&server).await;
    assert!(client.check_stat("/kept").await.unwrap().is_some());

    let (code, log) = Started::coordination(folder.path()).process.end();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("is in use by another server"), "{log}");
}

/// What a node answers to a GET.
fn get(node: &Started, path: &str) -> Value {
    let url = format!("{}{path}", node.address());
    let mut answer = ureq::get(&url).call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

const ROWS: usize = 60_000;

const JOB: &str = "\
name: copy
workflow:
  - [read, keep]
  - [keep, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in.csv
    types: { number: int }
  - name: keep
    type: function
    fn: expr/filter
    where: number >= 0
  - name: write
    type: output
    plugin: file/json-lines
    path: out.jsonl
";

const NODE: &str = "\
[http]
port = 0
[coordination]
data-dir = \"data\"
session-timeout-ms = 1000
connection-timeout-ms = 500
[task]
checkpoint-interval-ms = 50
";

const START: [&str; 5] = ["start", "--config", "node.toml", "--log-level", "warn"];

fn node(folder: &Path) -> Started {
    Started::start(onyx(&START).current_dir(folder))
}

/// Submits a job; answers with its id if the node took it.
fn submit(node: &Started, job: &str) -> Result<String, ureq::Error> {
    let mut answer = ureq::post(format!("{}/jobs", node.address())).send(job)?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?).unwrap();
    Ok(answer["id"].as_str().unwrap().to_owned())
}

/// How far the node has read the log.
fn position(node: &Started) -> Option<u64> {
    get(node, "/replica")["position"].as_u64()
}

/// How many segments the job has read on this node.
fn read(job: &Value) -> u64 {
    job["tasks"][0]["counts"]["read"].as_u64().unwrap()
}

/// A folder with a configuration, and rows for the job.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut rows = String::from("number\n");
    (0..ROWS).for_each(|number| rows.push_str(&format!("{number}\n")));
    fs::write(folder.path().join("in.csv"), rows).unwrap();
    fs::write(folder.path().join("node.toml"), NODE).unwrap();
    folder
}

/// Kills a node while the job runs there, and starts it again; it has read the log as far.
fn killed_and_started(first: Started, job: &Value, folder: &Path) -> Started {
    assert_eq!(job["state"], "running", "{job}");
    let known = position(&first);
    first.kill();
    let second = node(folder);
    while position(&second) < known {}
    second
}

/// Waits for the end of a job.
fn completed(node: &Started, path: &str) -> Value {
    loop {
        let job = get(node, &format!("{path}?wait-ms=1000"));
        if job["state"] == "completed" {
            return job;
        }
        assert_ne!(job["state"], "killed", "{job}");
    }
}

#[test]
fn a_node_that_was_killed_goes_on_with_its_log_and_its_job() {
    let folder = folder();
    let first = node(folder.path());
    let path = format!("/jobs/{}", submit(&first, JOB).unwrap());
    let mut job = get(&first, &path);
    while read(&job) == 0 {
        job = get(&first, &path);
    }
    let mut second = killed_and_started(first, &job, folder.path());
    completed(&second, &path);
    let written = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    let written: BTreeSet<u64> = written
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["number"].as_u64())
        .collect();
    assert_eq!(written.len(), ROWS);
    let (code, log) = second.process.end_by("TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_node_that_was_killed_does_not_read_again_what_was_complete() {
    let folder = folder();
    let few = "types: { number: int }\n    max-pending: 20\n    batch-size: 10";
    let slow = JOB.replace("types: { number: int }", few);
    let counted = |job: &Value, what: &str| job["tasks"][0]["counts"][what].as_u64().unwrap();

    let first = node(folder.path());
    let path = format!("/jobs/{}", submit(&first, &slow).unwrap());
    let mut job = get(&first, &path);
    while counted(&job, "completed") < ROWS as u64 / 2 {
        job = get(&first, &path);
    }
    let second = killed_and_started(first, &job, folder.path());
    let again = counted(&completed(&second, &path), "read");
    assert!(
        again <= ROWS as u64 * 3 / 4,
        "{again} of {ROWS} rows were read again"
    );
    let text = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    let written: BTreeSet<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["number"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(written.len(), ROWS, "rows are missing");
    assert!(text.lines().count() < ROWS * 5 / 4);
    assert!(!folder.path().join("out.jsonl.part").exists());
}

#[test]
fn a_node_whose_disk_is_full_ends_with_the_reason_and_keeps_the_jobs_it_took() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in.csv"), "number\n1\n").unwrap();
    fs::write(folder.path().join("node.toml"), NODE).unwrap();
    let mut first = Started::start(limited(&START).current_dir(folder.path()));
    let jobs = (0..).map(|number| JOB.replace("out.jsonl", &format!("out-{number}.jsonl")));
    let taken = jobs.map_while(|job| submit(&first, &job).ok());
    let last = taken.last().expect("it takes some");
    let (code, log) = first.process.end();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("File too large"), "{log}");

    let second = node(folder.path());
    let is_known = || {
        let jobs = get(&second, "/jobs");
        let jobs = jobs["jobs"].as_array().unwrap();
        jobs.iter().any(|job| job["id"] == last.as_str())
    };
    while !is_known() {}
}
