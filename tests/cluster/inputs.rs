//! Inputs and outputs of several slots: whoever dies, every row is written, few of them twice, and
//! each slot is sealed.

use crate::flights::{config, passing};
use crate::in_virtual_time;
use crate::jobs::*;
use crate::virtual_time::time_passes;
use onyx::Segment;
use onyx::api::JobOutcome;
use onyx::job::{Job, Task, TaskKind};
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

const ROWS: i64 = 3_000;

fn setup(nodes: usize, peers: usize) -> Setup {
    let mut config = config();
    config.task.checkpoint_interval = Duration::from_millis(100);
    Setup {
        nodes,
        peers,
        config,
        ..Setup::default()
    }
}

/// Five files of different lengths.
fn five_files(folder: &Path) {
    let mut rows = 0..ROWS;
    fs::create_dir(folder.join("in")).unwrap();
    for (file, length) in [1_000, 50, 700, 1, ROWS].into_iter().enumerate() {
        let rows = rows.by_ref().take(length as usize);
        let text: String = rows.map(|n| format!("{n}\n")).collect();
        fs::write(folder.join(format!("in/{file}.csv")), format!("n\n{text}")).unwrap();
    }
}

fn params(fields: Vec<(&str, onyx::Value)>) -> Segment {
    fields.into_iter().collect()
}

/// From three slots over the folder, through a function, into two slots.
fn over_five_files(folder: &Path, split: &str) -> Job {
    five_files(folder);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let types: Segment = [("n", "int")].into_iter().collect();
    let read = Task {
        plugin: Some("file/csv".into()),
        batch_size: count(10),
        max_pending: count(50),
        min_peers: count(3),
        params: params(vec![
            ("path", path("in").into()),
            ("types", types.into()),
            ("split", split.into()),
        ]),
        ..Task::new("in", TaskKind::Input)
    };
    let write = Task {
        plugin: Some("file/json-lines".into()),
        min_peers: count(2),
        params: params(vec![("path", path("out/rows.jsonl").into())]),
        ..Task::new("out", TaskKind::Output)
    };
    let pass = Task {
        max_peers: Some(count(1)),
        ..function("work", "passes")
    };
    job("in>work work>out", [read, pass, write])
}

/// The rows of every file in a folder, which are all finished.
fn rows(folder: &Path) -> Vec<i64> {
    let mut rows = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        assert!(path.extension().unwrap() == "jsonl", "{path:?}");
        for line in fs::read_to_string(&path).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            rows.push(row["n"].as_i64().unwrap());
        }
    }
    rows
}

#[test]
fn three_slots_read_five_files_whoever_dies_in_the_middle() {
    for (victim, split) in [(0, "lines"), (1, "files"), (2, "lines")] {
        in_virtual_time(async move {
            let folder = tempfile::tempdir().unwrap();
            let (registry, passed) = passing(ROWS / 2);
            let mut cluster = TestCluster::start(Setup {
                registry,
                ..setup(3, 3)
            });
            cluster.joined(9).await.unwrap();
            let id = cluster
                .node(0)
                .submit_job(over_five_files(folder.path(), split))
                .await
                .unwrap();
            passed.notified().await;
            cluster.kill_node(victim).await;
            let outcome = cluster.await_job(id).await.unwrap();
            assert!(matches!(outcome, JobOutcome::Completed), "{outcome:?}");
            let rows = rows(&folder.path().join("out"));
            let distinct: BTreeSet<i64> = rows.iter().copied().collect();
            assert!(distinct.into_iter().eq(0..ROWS), "rows are missing");
        });
    }
}

#[test]
fn rows_before_the_last_checkpoint_are_not_read_again() {
    in_virtual_time(async {
        // Ten rows of each slot in ten milliseconds.
        let source = Source::numbers(ROWS).pausing(Duration::from_millis(10));
        let sink = Sink::default();
        let mut cluster = TestCluster::start(Setup {
            registry: registry(&source, &sink),
            ..setup(3, 3)
        });
        cluster.joined(9).await.unwrap();
        let read = Task {
            min_peers: count(3),
            max_peers: None,
            ..input("in")
        };
        let out = Task {
            max_peers: Some(count(1)),
            ..output("out")
        };
        let pass = Task {
            max_peers: Some(count(1)),
            ..function("work", "identity")
        };
        let id = cluster.submit(job("in>work work>out", [read, pass, out]));
        let id = id.await.unwrap();
        when_written(&sink, ROWS as usize / 2).await;
        cluster.kill_node(2).await;
        cluster.await_job(id).await.unwrap();
        let written = sink.ints("n");
        let distinct: BTreeSet<i64> = written.iter().copied().collect();
        assert!(distinct.into_iter().eq(0..ROWS), "rows are missing");
        // What three slots read between two checkpoints, and what was in flight: a batch each.
        let repeated = written.len() - ROWS as usize;
        assert!(repeated <= 3 * (100 + 2 * 10), "{repeated} rows again");
    });
}

#[test]
fn files_of_slots_that_nobody_holds_any_more_get_their_names() {
    in_virtual_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out/rows.jsonl");
        let source = Source::numbers(ROWS).pausing(Duration::from_millis(10));
        let mut cluster = TestCluster::start(Setup {
            registry: registry(&source, &Sink::default()),
            ..setup(3, 2)
        });
        cluster.joined(6).await.unwrap();
        let write = Task {
            plugin: Some("file/json-lines".into()),
            max_peers: Some(count(4)),
            params: params(vec![("path", path.to_str().unwrap().into())]),
            ..Task::new("out", TaskKind::Output)
        };
        let pass = Task {
            max_peers: Some(count(1)),
            ..function("work", "identity")
        };
        let id = cluster.submit(job("in>work work>out", [input("in"), pass, write]));
        let id = id.await.unwrap();
        // Everybody has written.
        let parts = || {
            let files = fs::read_dir(folder.path().join("out"))
                .into_iter()
                .flatten();
            let lengths = files.map(|file| file.unwrap().metadata().unwrap().len());
            lengths.filter(|length| *length > 0).count()
        };
        while parts() < 4 {
            time_passes(Duration::from_millis(1)).await;
        }
        cluster.kill_node(2).await;
        let outcome = cluster.await_job(id).await.unwrap();
        assert!(matches!(outcome, JobOutcome::Completed), "{outcome:?}");
        let files = fs::read_dir(folder.path().join("out")).unwrap().count();
        assert_eq!(files, 4);
        let rows: BTreeSet<i64> = rows(&folder.path().join("out")).into_iter().collect();
        assert!(rows.into_iter().eq(0..ROWS), "rows are missing");
    });
}

#[test]
fn a_job_that_does_not_start_leaves_what_is_there() {
    in_virtual_time(async {
        let folder = tempfile::tempdir().unwrap();
        let cluster = TestCluster::start(Setup {
            registry: passing(1).0,
            ..setup(1, 6)
        });
        cluster.joined(6).await.unwrap();
        let mut job = over_five_files(folder.path(), "lines");
        let letters = folder.path().join("letters.jsonl");
        let types: Segment = [("number", "int")].into_iter().collect();
        job.catalog[0].params.set("types", types);
        job.catalog[0].min_peers = count(1);
        job.catalog[0].dead_letter = Some(letters.to_str().unwrap().into());
        job.catalog[2].min_peers = count(1);
        let old = folder.path().join("out/rows.jsonl");
        fs::create_dir(folder.path().join("out")).unwrap();
        for path in [&old, &letters] {
            fs::write(path, "{}\n").unwrap();
        }
        let id = cluster.submit(job).await.unwrap();
        let outcome = cluster.await_job(id).await.unwrap();
        assert!(matches!(outcome, JobOutcome::Killed(_)), "{outcome:?}");
        for path in [&old, &letters] {
            assert_eq!(fs::read_to_string(path).unwrap(), "{}\n");
        }
    });
}
