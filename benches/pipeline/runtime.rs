//! The runtime: the same chain as a job on a whole node: embedded coordination, five virtual peers,
//! replica, scheduler, pipelines, acking daemon and all.

use crate::floor;
use onyx::api::JobOutcome;
use onyx::config::NodeConfig;
use onyx::job::vocabulary::{PluginSignature, Signature};
use onyx::job::{Job, Task, TaskKind};
use onyx::node::NodeBuilder;
use onyx::plugins::{Input, Output, PluginError, Polled, Position, ReadSegments};
use onyx::segment::Key;
use onyx::task::registry::Registry;
use onyx::{Segment, Value};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// What a run gave.
pub(crate) struct RuntimeResult {
    /// From the submission of the job to its completion.
    pub(crate) elapsed: Duration,
    /// Over all segments that reached the sink.
    pub(crate) checksum: i64,
    /// Roots completed.
    pub(crate) completed: u64,
    /// Roots played again; 0 when nothing failed.
    pub(crate) retried: u64,
}

/// Runs so many segments through.
pub(crate) fn run(segments: u64) -> RuntimeResult {
    let sum = Arc::new(AtomicI64::new(0));
    let registry = registry(segments, &sum);
    onyx::run(async {
        let mut config = NodeConfig::default();
        config.node.peers = NonZeroUsize::new(4).expect("four");
        let builder = NodeBuilder::new(config).registry(registry).without_http();
        let node = builder.start().await.expect("a node");
        #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
        let start = Instant::now();
        let id = node.handle().submit_job(job()).await.expect("a valid job");
        let outcome = node
            .handle()
            .await_job_completion(id)
            .await
            .expect("an outcome");
        let elapsed = start.elapsed();
        assert_eq!(outcome, JobOutcome::Completed);
        let totals = node.handle().job(id).await.expect("a report").totals();
        node.stop().await.expect("a clean stop");
        let (completed, retried) = (totals.completed, totals.retried);
        RuntimeResult {
            elapsed,
            checksum: sum.load(Ordering::Relaxed),
            completed,
            retried,
        }
    })
}

fn job() -> Job {
    let task = |name: &str, kind| {
        let mut task = Task::new(name, kind);
        task.batch_size = NonZeroU32::new(256).expect("not zero");
        task.max_pending = NonZeroU32::new(1 << 16).expect("not zero");
        task
    };
    let mut source = task("source", TaskKind::Input);
    source.plugin = Some("bench/source".into());
    let map = |name| {
        let mut map = task(name, TaskKind::Function);
        map.function = Some("bench/map".into());
        map
    };
    let mut sink = task("sink", TaskKind::Output);
    sink.plugin = Some("bench/sink".into());
    let edge = |from: &str, to: &str| (from.into(), to.into());
    Job {
        name: "pipeline".into(),
        workflow: vec![
            edge("source", "one"),
            edge("one", "two"),
            edge("two", "sink"),
        ],
        catalog: vec![source, map("one"), map("two"), sink],
        ..Job::new("", [], [])
    }
}

fn registry(segments: u64, sum: &Arc<AtomicI64>) -> Registry {
    let mut registry = Registry::with_built_in();
    let signature = |kind| PluginSignature {
        kind,
        max_peers: NonZeroU32::new(1),
        signature: Signature::default(),
    };
    registry
        .plugins
        .input("bench/source", signature(TaskKind::Input), move |_| {
            Ok(Source {
                next: 0,
                end: segments,
                keys: floor::keys(),
            })
        });
    let sum = sum.clone();
    registry
        .plugins
        .output("bench/sink", signature(TaskKind::Output), move |_| {
            Ok(Sink { sum: sum.clone() })
        });
    registry
        .functions
        .function("bench/map", |mut segment: Segment| {
            if let Some(Value::Float(value)) = segment.get_mut("value") {
                *value += 1.0;
            }
            segment
        });
    registry
}

struct Source {
    next: u64,
    end: u64,
    keys: [Key; 3],
}

impl Input for Source {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        let end = self.end.min(self.next + max as u64);
        read.segments
            .extend((self.next..end).map(|root| floor::segment(&self.keys, root)));
        self.next = end;
        match self.next < self.end {
            true => Ok(Polled::More),
            false => Ok(Polled::Exhausted),
        }
    }

    fn position(&self) -> Position {
        [("next", self.next as i64)].into_iter().collect()
    }
}

struct Sink {
    sum: Arc<AtomicI64>,
}

impl Output for Sink {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        let sum = segments
            .iter()
            .fold(0_i64, |sum, one| sum.wrapping_add(floor::checked(one)));
        self.sum.fetch_add(sum, Ordering::Relaxed);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}
