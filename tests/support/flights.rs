//! A job from a file to a file, and a running node that can do it.

#![allow(dead_code, reason = "every test program uses a part of it")]

use onyx::Segment;
use onyx::api::NodeHandle;
use onyx::config::NodeConfig;
use onyx::job::{Job, Task, TaskKind};
use onyx::node::{Node, NodeBuilder};
use onyx::task::registry::Registry;
use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

pub(crate) const ROWS: i64 = 20_000;

/// Waits that are made for machines of people are too long for tests.
pub(crate) fn config() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.peer.restart_back_off_min = Duration::from_millis(10);
    config.peer.restart_back_off_max = Duration::from_millis(50);
    config.peer.join_failure_back_off = Duration::from_millis(20);
    config
}

/// A registry whose function `passes` says so at a row.
pub(crate) fn passing(row: i64) -> (Registry, Arc<Notify>) {
    passing_with(row, Duration::ZERO)
}

/// The same, with a job that takes some seconds.
pub(crate) fn passing_slowly(row: i64) -> (Registry, Arc<Notify>) {
    passing_with(row, Duration::from_micros(200))
}

fn passing_with(row: i64, pause: Duration) -> (Registry, Arc<Notify>) {
    let mut registry = Registry::with_built_in();
    let (passed, seen) = (Arc::new(Notify::new()), AtomicI64::new(0));
    let notify = Arc::clone(&passed);
    registry
        .functions
        .function("passes", move |segment: Segment| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == row {
                notify.notify_one();
            }
            if !pause.is_zero() {
                std::thread::park_timeout(pause);
            }
            segment
        });
    (registry, passed)
}

pub(crate) async fn start(config: NodeConfig, registry: Registry) -> Node {
    NodeBuilder::new(config)
        .registry(registry)
        .without_http()
        .start()
        .await
        .unwrap()
}

/// Flights from CSV to JSON lines, each with a flag more.
pub(crate) fn flights(folder: &Path) -> Job {
    let mut rows = String::from("id,delay\n");
    (0..ROWS).for_each(|id| rows.push_str(&format!("{id},{}\n", id % 97 - 20)));
    fs::write(folder.join("flights.csv"), rows).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let params = |fields: Vec<(&str, onyx::Value)>| fields.into_iter().collect::<Segment>();
    let types: Segment = [("id", "int"), ("delay", "int")].into_iter().collect();
    let read = Task {
        plugin: Some("file/csv".into()),
        max_pending: NonZeroU32::new(2_000).unwrap(),
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
    let edges = [("read", "pass"), ("pass", "flag"), ("flag", "write")];
    Job::new("flights", edges, [read, pass, flag, write])
}

/// The ids that were written, each once, and how many lines there are.
pub(crate) fn written(folder: &Path) -> (BTreeSet<i64>, usize) {
    let text = fs::read_to_string(folder.join("flights.jsonl")).unwrap();
    let id = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["late"], row["delay"].as_i64() > Some(15), "{line}");
        row["id"].as_i64().unwrap()
    };
    (text.lines().map(id).collect(), text.lines().count())
}

/// Asks until so many peers have joined.
pub(crate) async fn joined(node: &NodeHandle, peers: usize) {
    while node.status().await.unwrap().peers_joined < peers {
        tokio::task::yield_now().await;
    }
}
