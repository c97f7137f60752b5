//! A node as it runs: its own threads, real time, files, and an embedded coordination server over
//! loopback.

use crate::jobs::{count, job};
use crate::reports::peer_report;
use onyx::Segment;
use onyx::api::{JobOutcome, NodeHandle};
use onyx::config::{ConnectString, CoordinationMode, NodeConfig};
use onyx::coordination::Layout;
use onyx::job::{Job, Task, TaskKind};
use onyx::messages::supervision::{Child, Exit};
use onyx::node::{Node, NodeBuilder};
use onyx::task::registry::Registry;
use onyx::testing::{Victim, crash};
use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;

const ROWS: i64 = 20_000;

/// Waits that are made for machines of people are too long for tests.
fn config() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.peer.restart_back_off_min = Duration::from_millis(10);
    config.peer.restart_back_off_max = Duration::from_millis(50);
    config.peer.join_failure_back_off = Duration::from_millis(20);
    config
}

/// A registry whose function `passes` says so at a row.
fn passing(row: i64) -> (Registry, Arc<Notify>) {
    let mut registry = Registry::with_built_in();
    let (passed, seen) = (Arc::new(Notify::new()), AtomicI64::new(0));
    let notify = Arc::clone(&passed);
    registry
        .functions
        .function("passes", move |segment: Segment| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == row {
                notify.notify_one();
            }
            segment
        });
    (registry, passed)
}

async fn start(config: NodeConfig, registry: Registry) -> Node {
    NodeBuilder::new(config)
        .registry(registry)
        .without_http()
        .start()
        .await
        .unwrap()
}

/// Flights from CSV to JSON lines, each with a flag more.
fn flights(folder: &Path) -> Job {
    let mut rows = String::from("id,delay\n");
    (0..ROWS).for_each(|id| rows.push_str(&format!("{id},{}\n", id % 97 - 20)));
    fs::write(folder.join("flights.csv"), rows).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let params = |fields: Vec<(&str, onyx::Value)>| fields.into_iter().collect::<Segment>();
    let types: Segment = [("id", "int"), ("delay", "int")].into_iter().collect();
    let read = Task {
        plugin: Some("file/csv".into()),
        max_pending: count(2_000),
        params: params(vec![
            ("path", path("flights.csv").into()),
            ("types", types.into()),
        ]),
        ..Task::new("read", TaskKind::Input)
    };
    let pass = Task {
        function: Some("passes".into()),
        ..Task::new("pass", TaskKind::Function)
    };
    let set: Segment = [("late", "delay > 15")].into_iter().collect();
    let flag = Task {
        function: Some("expr/map".into()),
        params: params(vec![("set", set.into())]),
        ..Task::new("flag", TaskKind::Function)
    };
    let write = Task {
        plugin: Some("file/json-lines".into()),
        params: params(vec![("path", path("flights.jsonl").into())]),
        ..Task::new("write", TaskKind::Output)
    };
    job("read>pass pass>flag flag>write", [read, pass, flag, write])
}

/// The ids that were written, each once, and how many lines there are.
fn written(folder: &Path) -> (BTreeSet<i64>, usize) {
    let text = fs::read_to_string(folder.join("flights.jsonl")).unwrap();
    let id = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["late"], row["delay"].as_i64() > Some(15), "{line}");
        row["id"].as_i64().unwrap()
    };
    (text.lines().map(id).collect(), text.lines().count())
}

/// Asks until so many peers have joined.
async fn joined(node: &NodeHandle, peers: usize) {
    while node.status().await.unwrap().peers_joined < peers {
        tokio::task::yield_now().await;
    }
}

async fn a_panic_is_healed(child: Child, index: usize) {
    let folder = TempDir::new().unwrap();
    let (registry, passed) = passing(ROWS / 4);
    let node = start(config(), registry).await;
    joined(node.handle(), 4).await;
    let job = node
        .handle()
        .submit_job(flights(folder.path()))
        .await
        .unwrap();
    passed.notified().await;
    assert!(crash(node.handle(), Victim::Peer { index, child }).await);
    let outcome = node.handle().await_job_completion(job).await.unwrap();
    assert_eq!(outcome, JobOutcome::Completed);
    let (ids, lines) = written(folder.path());
    assert_eq!(ids, (0..ROWS).collect());
    assert!(lines >= ids.len());
    joined(node.handle(), 4).await;
    let report = peer_report(node.handle(), index).await;
    assert_eq!(report.restarts, 1);
    let cause = report.last_cause.unwrap();
    assert!(cause.contains("panicked: crashed by a test"), "{cause}");
    node.stop().await.unwrap();
}

#[test]
fn a_running_node_heals_a_panic_of_each_of_its_actors() {
    let children = [
        Child::Outbox,
        Child::PulseWatcher,
        Child::AckingDaemon,
        Child::LogReader,
        Child::TaskPipeline,
        Child::VirtualPeer,
    ];
    for (at, child) in children.into_iter().enumerate() {
        println!("{child} of peer {}", at % 4);
        onyx::run(a_panic_is_healed(child, at % 4));
    }
}

#[test]
fn a_node_without_faults_writes_every_row_once() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let (registry, _) = passing(1);
        let node = start(config(), registry).await;
        let job = node
            .handle()
            .submit_job(flights(folder.path()))
            .await
            .unwrap();
        let outcome = node.handle().await_job_completion(job).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        assert_eq!(written(folder.path()), ((0..ROWS).collect(), ROWS as usize));
        node.stop().await.unwrap();
    });
}

#[test]
fn the_end_of_the_group_of_a_running_node_is_told_with_its_cause() {
    onyx::run(async {
        let mut node = start(config(), Registry::with_built_in()).await;
        crash(node.handle(), Victim::Group).await;
        let Exit::Panicked(cause) = node.failed().await else {
            panic!("it has panicked")
        };
        assert!(cause.contains("crashed by a test"), "{cause}");
    });
}

#[test]
fn a_cut_connection_is_nobodys_death() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let server = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(server).await.unwrap();
        let mut config = config();
        config.coordination.mode = CoordinationMode::ZooKeeper;
        config.coordination.connect = ConnectString::new(&server.connect_string()).unwrap();
        let (registry, passed) = passing(ROWS / 4);
        let node = start(config, registry).await;
        joined(node.handle(), 4).await;
        let job = node
            .handle()
            .submit_job(flights(folder.path()))
            .await
            .unwrap();
        passed.notified().await;
        server.cut_connections();
        let outcome = node.handle().await_job_completion(job).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        assert_eq!(written(folder.path()), ((0..ROWS).collect(), ROWS as usize));
        for index in 0..4 {
            assert_eq!(peer_report(node.handle(), index).await.restarts, 0);
        }
        node.stop().await.unwrap();
        server.stop().await;
    });
}

/// Ends the session of a node on a server, as if its time were up.
async fn expire_session(node: &NodeHandle, server: &zookeeper_embedded::Server) {
    let peer = node.status().await.unwrap().peers[0];
    let pulse = Layout::of("default").pulse(peer);
    let client = zookeeper_client::Client::connect(&server.connect_string())
        .await
        .unwrap();
    let stat = client.check_stat(&pulse).await.unwrap().unwrap();
    assert!(server.expire_session(stat.ephemeral_owner));
}

#[test]
fn a_running_node_that_loses_its_session_finishes_the_job_with_other_peers() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let server = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(server).await.unwrap();
        let mut config = config();
        config.coordination.mode = CoordinationMode::ZooKeeper;
        config.coordination.connect = ConnectString::new(&server.connect_string()).unwrap();
        let (registry, passed) = passing(ROWS / 4);
        let node = start(config, registry).await;
        joined(node.handle(), 4).await;
        let old: BTreeSet<_> = node
            .handle()
            .status()
            .await
            .unwrap()
            .peers
            .into_iter()
            .collect();
        let job = node
            .handle()
            .submit_job(flights(folder.path()))
            .await
            .unwrap();
        passed.notified().await;
        expire_session(node.handle(), &server).await;
        let outcome = node.handle().await_job_completion(job).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        assert_eq!(written(folder.path()).0, (0..ROWS).collect());
        joined(node.handle(), 4).await;
        let new: BTreeSet<_> = node
            .handle()
            .status()
            .await
            .unwrap()
            .peers
            .into_iter()
            .collect();
        assert!(old.is_disjoint(&new));
        node.stop().await.unwrap();
        server.stop().await;
    });
}

#[test]
fn a_node_whose_log_is_lost_ends_and_says_so() {
    onyx::run(async {
        let server = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(server).await.unwrap();
        let address = server.address();
        let mut config = config();
        config.coordination.mode = CoordinationMode::ZooKeeper;
        config.coordination.connect = ConnectString::new(&server.connect_string()).unwrap();
        config.coordination.session_timeout = Duration::from_secs(1);
        let mut node = start(config, Registry::with_built_in()).await;
        joined(node.handle(), 4).await;
        server.stop().await;
        // It comes back where it was, with nothing of what it had.
        let empty = zookeeper_embedded::Config {
            address,
            ..zookeeper_embedded::Config::default()
        };
        let server = zookeeper_embedded::Server::start(empty).await.unwrap();
        let exit = node.failed().await.to_string();
        assert!(exit.contains("coordination lost its data"), "{exit}");
        server.stop().await;
    });
}

#[test]
fn a_task_that_is_stuck_in_user_code_is_abandoned_and_its_peer_replaced() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let (mut registry, _) = passing(1);
        let (release, released) = mpsc::channel::<()>();
        let (released, stuck) = (std::sync::Mutex::new(released), Arc::new(Notify::new()));
        let notify = Arc::clone(&stuck);
        registry
            .functions
            .function("stuck", move |segment: Segment| {
                notify.notify_one();
                // Until the test ends.
                let _ = released.lock().map(|released| released.recv());
                segment
            });
        let mut config = config();
        config.peer.stuck_after = Duration::from_millis(500);
        config.node.peers = NonZeroUsize::new(4).unwrap();
        let node = start(config, registry).await;
        joined(node.handle(), 4).await;
        let next = flights(folder.path());
        let mut hangs = next.clone();
        hangs.catalog[1].function = Some("stuck".into());
        hangs.catalog[1].max_peers = Some(count(1));
        let hangs = node.handle().submit_job(hangs).await.unwrap();
        stuck.notified().await;
        node.handle().kill_job(hangs).await.unwrap();
        let next = node.handle().submit_job(next).await.unwrap();
        let outcome = node.handle().await_job_completion(next).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        assert_eq!(written(folder.path()).0, (0..ROWS).collect());
        let mut causes = Vec::new();
        for index in 0..4 {
            causes.extend(peer_report(node.handle(), index).await.last_cause);
        }
        assert_eq!(causes, ["a task was stuck in user code; it is abandoned"]);
        drop(release);
        node.stop().await.unwrap();
    });
}
