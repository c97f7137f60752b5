//! Jobs, registries and clusters that the tests share.

use crate::virtual_time::time_passes;
use onyx::Segment;
use onyx::job::{Job, Lifecycle, Task, TaskKind};
use onyx::task::registry::Registry;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::num::NonZeroU32;
use std::time::Duration;

/// A count that is not zero.
pub(crate) fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// `in`, from the plugin `source`.
pub(crate) fn input(name: &str) -> Task {
    Task {
        plugin: Some("source".into()),
        batch_size: count(10),
        max_peers: Some(count(1)),
        ..Task::new(name, TaskKind::Input)
    }
}

/// A task with a function.
pub(crate) fn function(name: &str, function: &str) -> Task {
    Task {
        function: Some(function.into()),
        ..Task::new(name, TaskKind::Function)
    }
}

/// A task that writes to the plugin `sink`.
pub(crate) fn output(name: &str) -> Task {
    Task {
        plugin: Some("sink".into()),
        ..Task::new(name, TaskKind::Output)
    }
}

/// A job whose edges are written `a>b`.
pub(crate) fn job(edges: &str, catalog: impl IntoIterator<Item = Task>) -> Job {
    let edge = |edge: &str| {
        let (from, to) = edge.split_once('>').unwrap();
        (from.into(), to.into())
    };
    Job {
        name: edges.into(),
        workflow: edges.split(' ').map(edge).collect(),
        catalog: catalog.into_iter().collect(),
        ..Job::new("", [], [])
    }
}

/// `in>work>out` with a function.
pub(crate) fn line(work: &str) -> Job {
    job(
        "in>work work>out",
        [input("in"), function("work", work), output("out")],
    )
}

/// The same job with lifecycle calls around one task.
pub(crate) fn with_calls(job: Job, task: &str, calls: &str) -> Job {
    let lifecycle = Lifecycle {
        task: onyx::ids::TaskName::from(task).into(),
        calls: calls.into(),
    };
    Job {
        lifecycles: vec![lifecycle],
        ..job
    }
}

/// What is built in, with a source and a sink.
pub(crate) fn registry(source: &Source, sink: &Sink) -> Registry {
    let mut registry = Registry::with_built_in();
    source.register(&mut registry, "source");
    sink.register(&mut registry, "sink");
    registry
}

/// A source of numbers that takes its time, and a sink for them.
pub(crate) fn slow(segments: i64) -> (Source, Sink) {
    (
        Source::numbers(segments).pausing(Duration::from_millis(20)),
        Sink::default(),
    )
}

/// Nodes whose peers have all joined.
pub(crate) async fn cluster_of(nodes: usize, peers: usize, registry: Registry) -> TestCluster {
    let cluster = TestCluster::start(Setup {
        nodes,
        peers,
        registry,
        ..Setup::default()
    });
    cluster.joined(nodes * peers).await.unwrap();
    cluster
}

/// Waits until so many segments are written.
pub(crate) async fn when_written(sink: &Sink, segments: usize) {
    while sink.segments().len() < segments {
        time_passes(Duration::from_millis(1)).await;
    }
}

/// Every number is written, at least once.
pub(crate) fn has_every_number(sink: &Sink, limit: i64) {
    let mut written = sink.ints("n");
    written.dedup();
    assert_eq!(written, all(limit), "every segment at least once");
}

/// `{n: 0}` … each once.
pub(crate) fn all(limit: i64) -> Vec<i64> {
    (0..limit).collect()
}

/// The integer of a segment.
pub(crate) fn n(segment: &Segment) -> i64 {
    segment.get("n").unwrap().as_int().unwrap()
}
