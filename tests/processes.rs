//! Several processes on one log, as they run: what happens to their work when one of them is killed,
//! or paused for longer than its session lives.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

#[path = "support/aside.rs"]
#[allow(
    dead_code,
    reason = "of other tests, what it says at its end is asked for"
)]
mod aside;
#[cfg(feature = "aeron")]
#[path = "processes/cluster_script.rs"]
mod cluster_script;
#[path = "processes/events.rs"]
mod events;
#[path = "support/process.rs"]
mod process;
#[cfg(feature = "aeron")]
#[path = "processes/silent.rs"]
mod silent;
#[cfg(feature = "aeron")]
#[path = "processes/standing.rs"]
mod standing;
#[path = "processes/watched.rs"]
mod watched;

use aside::Aside;
use process::{Errors, Node, Process, onyx, pause};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

fn look_again() {
    pause(Duration::from_millis(5));
}

const ROWS: usize = 6_000;
const PEERS: u64 = 5;

/// One segment after the other, so that the job takes its time.
const JOB: &str = "\
name: slow
workflow:
  - [read, keep]
  - [keep, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in.csv
    types: { n: int }
    max-pending: 2
    batch-size: 1
  - name: keep
    type: function
    fn: expr/filter
    where: n >= 0
    max-peers: 1
  - name: write
    type: output
    plugin: file/json-lines
    path: out.jsonl
";

/// Coordination that outlives every node.
fn coordination() -> Aside<()> {
    Aside::start(|tell, stopped| async move {
        let config = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(config).await.unwrap();
        tell.send(server.connect_string()).unwrap();
        let _ = stopped.await;
        server.stop().await;
    })
}

/// A node of five peers, in a folder.
fn start(coordination: &Aside<()>, folder: &Path, carrier: &str) -> Node {
    start_with(coordination, folder, carrier, &[])
}

/// The same with more options.
fn start_with(
    coordination: &Aside<()>,
    folder: &Path,
    carrier: &str,
    more: &[(&str, String)],
) -> Node {
    let mut command = node_command(coordination.address(), folder, carrier, more);
    let mut node = Node::start(&mut command, Errors::In(&folder.join("log")));
    node.listens();
    node
}

fn node_command(
    coordination: &str,
    folder: &Path,
    carrier: &str,
    more: &[(&str, String)],
) -> Command {
    let options = [
        ("NODE__PEERS", PEERS.to_string()),
        ("HTTP__PORT", "0".into()),
        ("COORDINATION__MODE", "zookeeper".into()),
        ("COORDINATION__CONNECT", coordination.into()),
        ("COORDINATION__SESSION_TIMEOUT_MS", "2000".into()),
        ("COORDINATION__CONNECTION_TIMEOUT_MS", "1000".into()),
        ("TASK__CHECKPOINT_INTERVAL_MS", "20".into()),
        ("MESSAGING__TRANSPORT", carrier.into()),
    ];
    let mut command = onyx(&["start"]);
    for (name, value) in options.iter().chain(more) {
        command.env(format!("ONYX_{name}"), value);
    }
    command.current_dir(folder);
    command
}

impl Node {
    fn answer(&self, path: &str) -> Value {
        self.get(path).expect("it answers")
    }

    /// Asks until the answer will do.
    fn until(&self, path: &str, will_do: impl Fn(&Value) -> bool) -> Value {
        loop {
            let answer = self.answer(path);
            if will_do(&answer) {
                return answer;
            }
            look_again();
        }
    }

    fn joined(&self) {
        self.until("/health/ready", |health| health["peers-joined"] == PEERS);
    }

    /// How many segments the tasks of a job have written on this node.
    fn written(&self, job: &str) -> u64 {
        self.counted(job, "written")
    }

    fn counted(&self, job: &str, what: &str) -> u64 {
        let report = self.answer(&format!("/jobs/{job}"));
        let tasks = report["tasks"].as_array().cloned().unwrap_or_default();
        let counts = tasks
            .iter()
            .map(|task| task["counts"][what].as_u64().unwrap());
        counts.sum()
    }

    /// The peers that the cluster knows of, as this node sees it.
    fn cluster(&self) -> BTreeSet<String> {
        let replica = self.answer("/replica/peers");
        let peers = replica["peers"].as_array().unwrap().iter();
        peers
            .map(|peer| peer.as_str().unwrap().to_owned())
            .collect()
    }

    /// Those of its own.
    fn mine(&self) -> BTreeSet<String> {
        let report = self.answer("/peers");
        let children = report["children"].as_array().unwrap().iter();
        let ids = children.filter_map(|child| child["detail"]["id"].as_str());
        ids.map(str::to_owned).collect()
    }
}

/// Two nodes, the first of which is in the middle of the job.
struct Scene {
    works: Node,
    other: Node,
    job: String,
    folder: TempDir,
    _coordination: Aside<()>,
}

fn scene() -> Scene {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..ROWS).map(|n| format!("{n}\n")).collect();
    fs::write(folder.path().join("in.csv"), format!("n\n{rows}")).unwrap();
    let path = folder.path().join("in.csv").display().to_string();
    scene_of(folder, &JOB.replace("in.csv", &path), ROWS as u64 / 20)
}

/// Five files, of which one is far larger than the others, in the middle of being read.
fn scene_of_slots() -> Scene {
    let folder = TempDir::new().unwrap();
    let files = folder.path().join("in");
    fs::create_dir(&files).unwrap();
    let mut rows = 0..ROWS;
    for (file, length) in [50, 1_000, 1, 200, ROWS].into_iter().enumerate() {
        let rows: String = rows
            .by_ref()
            .take(length)
            .map(|n| format!("{n}\n"))
            .collect();
        fs::write(files.join(format!("{file}.csv")), format!("n\n{rows}")).unwrap();
    }
    // Three slots over the files.
    let slots = "types: { n: int }\n    split: lines\n    n-peers: 3";
    let job = JOB
        .replace("in.csv", &files.display().to_string())
        .replace("types: { n: int }", slots);
    scene_of(folder, &job, ROWS as u64 / 2)
}

/// The job, when it has written so much.
fn scene_of(folder: TempDir, job: &str, begun: u64) -> Scene {
    let at = |name: &str| folder.path().join(name);
    let job = job.replace("out.jsonl", &at("out.jsonl").display().to_string());
    let coordination = coordination();
    let nodes = [0, 1].map(|_| start(&coordination, folder.path(), "local"));
    nodes.iter().for_each(Node::joined);
    let job = nodes[0].submit(&job);
    let [one, two] = nodes;
    loop {
        let (by_one, by_two) = (one.written(&job), two.written(&job));
        if by_one.max(by_two) >= begun {
            let (works, other) = if by_one > by_two {
                (one, two)
            } else {
                (two, one)
            };
            return Scene {
                works,
                other,
                job,
                folder,
                _coordination: coordination,
            };
        }
        look_again();
    }
}

impl Scene {
    fn output(&self) -> PathBuf {
        self.folder.path().join("out.jsonl")
    }

    /// Waits for the end of the job, and looks for every row.
    fn completes(&self) {
        let path = format!("/jobs/{}", self.job);
        let ended = self.other.until(&path, |job| job["state"] == "completed");
        // Whoever died, each row counts once.
        let counted = |key: &str| ended["account"][key].as_u64().unwrap();
        assert_eq!(counted("in"), ROWS as u64, "{ended}");
        assert_eq!(counted("out"), counted("in"), "{ended}");
        let text = fs::read_to_string(self.output()).unwrap();
        let rows = text.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            row["n"].as_u64().unwrap()
        });
        let rows: BTreeSet<u64> = rows.collect();
        assert_eq!(rows.len(), ROWS, "rows are missing");
    }
}

#[test]
fn a_process_that_wakes_up_after_its_session_writes_nothing_and_joins_again() {
    let mut scene = scene();
    let old = scene.works.mine();
    scene.works.process().signal("STOP");
    scene.completes();
    assert!(
        scene.other.written(&scene.job) > 0,
        "the job was over before"
    );
    let gone = |peers: &BTreeSet<String>| peers.is_disjoint(&old);
    assert!(gone(&scene.other.cluster()));
    let written = fs::read_to_string(scene.output()).unwrap();
    scene.works.process().signal("CONT");
    // It has peers again, and none of them is one of those.
    let ready = |health: &Value| health["peers-joined"] == PEERS;
    while !gone(&scene.works.mine()) {
        look_again();
    }
    scene.works.until("/health/ready", ready);
    assert_eq!(scene.other.cluster().len() as u64, 2 * PEERS);
    assert!(scene.other.cluster().is_superset(&scene.works.mine()));
    let text = fs::read_to_string(scene.output()).unwrap();
    let more = text.strip_prefix(&written);
    assert_eq!(more, Some(""), "it has written after its session was over");
}

#[test]
fn the_work_of_a_process_that_is_killed_is_finished_by_another() {
    let mut scene = scene();
    scene.works.process().signal("KILL");
    scene.completes();
    assert!(
        scene.other.written(&scene.job) > 0,
        "the job was over before"
    );
    assert_eq!(scene.other.cluster().len() as u64, PEERS);
}

#[test]
fn the_slots_of_a_process_that_is_killed_go_on_where_they_had_saved() {
    let mut scene = scene_of_slots();
    scene.works.process().signal("KILL");
    scene.completes();
    let again = scene.other.counted(&scene.job, "read");
    assert!(again > 0, "the job was over before");
    // Half of the rows were written, and their positions saved every twenty milliseconds.
    assert!(
        again < ROWS as u64 * 3 / 4,
        "{again} of {ROWS} rows were read again"
    );
    let lines = fs::read_to_string(scene.output()).unwrap().lines().count();
    assert!(lines < ROWS * 5 / 4, "{lines} lines of {ROWS} rows");
    assert!(!scene.output().with_extension("jsonl.part").exists());
}

#[test]
fn the_work_of_a_process_that_stops_is_finished_by_another() {
    let mut scene = scene();
    let (code, log) = scene.works.process().end_by("TERM");
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(scene.other.cluster().len() as u64, PEERS);
    scene.completes();
    assert!(
        scene.other.written(&scene.job) > 0,
        "the job was over before"
    );
}

/// A job that needs more peers than one process has, all of which keep ledgers.
#[cfg(feature = "aeron")]
const SPREAD: &str = "\
name: spread
acker-percentage: 100
workflow:
  - [read, keep]
  - [keep, write]
catalog:
  - name: read
    type: input
    plugin: file/csv
    path: in.csv
    types: { n: int }
    batch-size: 50
  - name: keep
    type: function
    fn: expr/filter
    where: n % 3 != 0
    n-peers: 4
  - name: write
    type: output
    plugin: file/json-lines
    path: out.jsonl
";

#[cfg(feature = "aeron")]
#[test]
fn ledgers_are_kept_in_two_processes_and_the_account_of_both_is_even() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..ROWS).map(|n| format!("{n}\n")).collect();
    fs::write(folder.path().join("in.csv"), format!("n\n{rows}")).unwrap();
    let at = |name: &str| folder.path().join(name);
    let job = SPREAD
        .replace("in.csv", &at("in.csv").display().to_string())
        .replace("out.jsonl", &at("out.jsonl").display().to_string());
    let coordination = coordination();
    let nodes = [0, 1].map(|_| start(&coordination, folder.path(), "aeron"));
    nodes.iter().for_each(Node::joined);
    let job = nodes[0].submit(&job);
    let path = format!("/jobs/{job}");
    let sum = |key: &str| -> u64 {
        let of = |node: &Node| node.answer(&path)["account-here"][key].as_u64().unwrap();
        nodes.iter().map(of).sum()
    };
    for node in &nodes {
        let ended = node.until(&path, |job| job["state"] == "completed");
        let told = |key: &str| ended["account"][key].as_u64().unwrap();
        assert_eq!(told("in"), ROWS as u64, "{ended}");
        assert_eq!(told("out") + told("filtered"), told("in"), "{ended}");
    }
    assert!(sum("out") + sum("filtered") >= ROWS as u64);
    for node in &nodes {
        let keys = ["in", "out", "filtered", "in-flight", "relinquished"];
        node.until(&path, |job| {
            keys.iter().all(|key| job["account"][key] == sum(key))
        });
    }
    assert_eq!((sum("in-flight"), sum("dead-lettered")), (0, 0));
    let text = fs::read_to_string(at("out.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["n"].as_u64().unwrap()
    });
    let rows: BTreeSet<u64> = rows.collect();
    assert_eq!(rows, (0..ROWS as u64).filter(|n| n % 3 != 0).collect());
    for node in &nodes {
        let report = node.answer("/peers");
        let peers = report["children"].as_array().unwrap().iter();
        let actors = peers.flat_map(|peer| peer["children"].as_array().unwrap());
        let daemons = actors.filter(|actor| actor["actor"] == "acking-daemon");
        let completed = daemons.map(|it| it["detail"]["completed"].as_u64().unwrap());
        assert!(completed.sum::<u64>() > 0, "it kept no ledgers");
    }
}

#[test]
fn a_node_waits_for_coordination_and_a_signal_ends_the_wait() {
    let folder = TempDir::new().unwrap();
    let onyx = |words: &[&str]| {
        let mut command = onyx(words);
        command.current_dir(folder.path());
        command
    };
    // A port that was free a moment ago: nobody listens there yet.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let coordination = format!("[coordination]\nmode = \"zookeeper\"\nconnect = \"{address}\"\n");
    fs::write(
        folder.path().join("node.toml"),
        "[http]\nport = 0\n".to_owned() + &coordination,
    )
    .unwrap();
    let start = || {
        let mut command = onyx(&["start", "--config", "node.toml"]);
        let mut node = Node::start(&mut command, Errors::Kept);
        node.takes_port();
        loop {
            let line = node.process().warns();
            assert!(!line.is_empty(), "it has ended");
            if line.contains("waiting for coordination") {
                break;
            }
        }
        node
    };
    assert_eq!(start().process().end_by("TERM").0, Some(143));

    let mut node = start();
    let mut command = onyx(&["coordination", "--listen", &address.to_string()]);
    let log = folder.path().join("log");
    let mut server = Process::start(&mut command, Errors::In(&log));
    node.listens();
    assert_eq!(node.process().end_by("TERM").0, Some(0));

    // Whoever looks at a tenancy that is not there is told those that are, and makes none.
    let connect = address.to_string();
    for _ in 0..2 {
        let mut command = onyx(&["log", "tail", "--connect", &connect]);
        let told = command
            .env("ONYX_NODE__TENANCY_ID", "defualt")
            .output()
            .unwrap();
        assert_eq!(told.status.code(), Some(2));
        let told = String::from_utf8(told.stderr).unwrap();
        let expected = format!(
            "no node has used a log of tenancy `defualt` at {address}; did you mean `default`? there \
             is only `default`; "
        );
        assert!(told.starts_with(&expected), "{told}");
    }
    assert_eq!(server.end_by("TERM").0, Some(0));
}
