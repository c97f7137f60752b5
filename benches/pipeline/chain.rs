//! What is run: source → maps → sink, as a job, and the plugins and the function that it names.

use crate::floor;
use onyx::job::vocabulary::{PluginSignature, Signature};
use onyx::job::{Job, Task, TaskKind};
use onyx::plugins::{Input, Output, PluginContext, PluginError, Polled, Position, ReadSegments};
use onyx::segment::Key;
use onyx::task::registry::Registry;
use onyx::{Segment, Value};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// At most so many segments in a batch and under way, and so many bytes of a batch. What may be under
/// way in bytes is left at its default.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
const PENDING: usize = 1 << 16;

/// The shape of a chain.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    /// How many segments go through it.
    pub(crate) segments: u64,
    /// How many tasks are between source and sink.
    pub(crate) maps: usize,
    /// How many peers each task has.
    pub(crate) peers: usize,
    /// How long the text in a segment is.
    pub(crate) text: usize,
}

impl Chain {
    /// The chain of the targets: two maps, one peer each, segments of some 40 bytes.
    pub(crate) fn standard(segments: u64) -> Self {
        Chain {
            segments,
            maps: 2,
            peers: 1,
            text: floor::TEXT_MIN,
        }
    }

    /// How many segments make a batch.
    pub(crate) fn batch(&self) -> usize {
        (BATCH_BYTES / self.text).clamp(1, BATCH)
    }

    /// How many peers the job needs.
    pub(crate) fn peers_needed(&self) -> usize {
        (self.maps + 2) * self.peers
    }

    /// The job. With tags, its tasks take them in turn.
    pub(crate) fn job(&self, tags: &[&str]) -> Job {
        let count = |n: usize| NonZeroU32::new(n as u32).expect("above zero");
        let task = |at: usize, name: &str, kind| {
            let mut task = Task::new(name, kind);
            task.batch_size = count(self.batch());
            task.max_pending = count(PENDING);
            task.min_peers = count(self.peers);
            task.max_peers = Some(count(self.peers));
            let tag = tags.get(at % tags.len().max(1));
            task.required_tags = tag.map(|tag| tag.to_string()).into_iter().collect();
            task
        };
        let mut catalog = vec![task(0, "source", TaskKind::Input)];
        catalog[0].plugin = Some("bench/source".into());
        for at in 1..=self.maps {
            let mut map = task(at, &format!("map-{at}"), TaskKind::Function);
            map.function = Some("bench/map".into());
            catalog.push(map);
        }
        let mut sink = task(self.maps + 1, "sink", TaskKind::Output);
        sink.plugin = Some("bench/sink".into());
        catalog.push(sink);
        let names = catalog.iter().map(|task| task.name.clone());
        let workflow = names.clone().zip(names.skip(1)).collect();
        Job {
            name: "pipeline".into(),
            workflow,
            catalog,
            ..Job::new("", [], [])
        }
    }

    /// What the job names; the sinks add to `sum`.
    pub(crate) fn registry(self, sum: &Arc<AtomicI64>) -> Registry {
        let mut registry = Registry::with_built_in();
        let source = move |context: &PluginContext<'_>| {
            let share = |rank: u32| self.segments * u64::from(rank) / u64::from(context.slots);
            Ok(Source {
                left: share(context.rank)..share(context.rank + 1),
                keys: floor::keys(),
                text: self.text,
            })
        };
        let plugins = &mut registry.plugins;
        plugins.input("bench/source", signature(TaskKind::Input), source);
        let sum = sum.clone();
        let sink = move |_: &PluginContext<'_>| Ok(Sink { sum: sum.clone() });
        plugins.output("bench/sink", signature(TaskKind::Output), sink);
        add_map(&mut registry);
        registry
    }
}

/// Of a plugin without options of its own.
pub(crate) fn signature(kind: TaskKind) -> PluginSignature {
    PluginSignature {
        kind,
        max_peers: None,
        signature: Signature::default(),
    }
}

/// Adds one to the value of every segment.
pub(crate) fn add_map(registry: &mut Registry) {
    registry
        .functions
        .function("bench/map", |mut segment: Segment| {
            if let Some(Value::Float(value)) = segment.get_mut("value") {
                *value += 1.0;
            }
            segment
        });
}

struct Source {
    left: Range<u64>,
    keys: [Key; 3],
    text: usize,
}

impl Input for Source {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        for root in self.left.by_ref().take(max) {
            floor::fill(read.place(), &self.keys, root, self.text);
        }
        Ok(match self.left.is_empty() {
            false => Polled::More,
            true => Polled::Exhausted,
        })
    }

    fn position(&self) -> Position {
        [("next", self.left.start as i64)].into_iter().collect()
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
