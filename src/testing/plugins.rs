//! Plugins in memory: a source that reads what it is given, and a sink that keeps what it gets.

use crate::ids::SlotId;
use crate::job::TaskKind;
use crate::job::vocabulary::{PluginSignature, Signature};
use crate::plugins::{
    Input, Output, PluginContext, PluginError, Polled, Position, ReadSegments, Start,
};
use crate::segment::{Segment, Value};
use crate::task::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Segments for an input. Peer `rank` of `slots` peers reads every `slots`-th of them, and each can
/// start again anywhere.
#[derive(Clone, Debug)]
pub struct Source {
    segments: Arc<[Segment]>,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    AsAsked,
    PauseAfterPoll(Duration),
}

impl Source {
    /// These segments.
    pub fn new(segments: impl IntoIterator<Item = Segment>) -> Self {
        Source {
            segments: segments.into_iter().collect(),
            pace: Pace::AsAsked,
        }
    }

    /// The segments `{n: 0}`, `{n: 1}` … below a limit.
    pub fn numbers(limit: i64) -> Self {
        Source::new((0..limit).map(|n| [("n", n)].into_iter().collect()))
    }

    /// Has nothing for so long after every poll, so that the job takes its time.
    pub fn pausing(self, pause: Duration) -> Self {
        Source {
            pace: Pace::PauseAfterPoll(pause),
            ..self
        }
    }

    /// Makes jobs able to name it.
    pub fn register(&self, registry: &mut Registry, name: &str) {
        let source = self.clone();
        registry
            .plugins
            .input(name, signature(), move |context| Ok(source.open(context)));
    }

    /// The reader of one slot.
    pub fn open(&self, context: &PluginContext<'_>) -> SourceReader {
        let (rank, slots) = (context.rank as usize, context.slots as usize);
        let next = match &context.start {
            Start::Fresh | Start::Resumed(None) => None,
            Start::Resumed(Some(position)) => position.get("next").and_then(Value::as_int),
        };
        let next = next
            .and_then(|next| usize::try_from(next).ok())
            .unwrap_or(rank);
        SourceReader {
            source: self.clone(),
            next,
            step: slots.max(1),
        }
    }
}

fn signature() -> PluginSignature {
    // The kind follows from how it is registered.
    PluginSignature {
        kind: TaskKind::Input,
        max_peers: None,
        signature: Signature::default(),
    }
}

/// Reads every how-manieth segment of a [`Source`].
#[derive(Clone, Debug)]
pub struct SourceReader {
    source: Source,
    next: usize,
    step: usize,
}

impl Input for SourceReader {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        let segments = &self.source.segments;
        for _ in 0..max {
            let Some(segment) = segments.get(self.next) else {
                return Ok(Polled::Exhausted);
            };
            read.segments.push(segment.clone());
            self.next += self.step;
        }
        Ok(match self.source.pace {
            Pace::AsAsked => Polled::More,
            Pace::PauseAfterPoll(pause) => Polled::Idle(pause),
        })
    }

    fn position(&self) -> Position {
        [("next", self.next as i64)].into_iter().collect()
    }
}

/// Keeps the segments of an output. Clones keep them together.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    segments: Vec<Segment>,
    seals: BTreeMap<SlotId, usize>,
}

impl Sink {
    /// Makes jobs able to name it.
    pub fn register(&self, registry: &mut Registry, name: &str) {
        let sink = self.clone();
        registry.plugins.output(
            name,
            signature(),
            move |context| Ok(sink.open(context.slot)),
        );
    }

    /// The writer of one slot.
    pub fn open(&self, slot: SlotId) -> SinkWriter {
        SinkWriter {
            sink: self.clone(),
            slot,
        }
    }

    /// What was written so far, in order.
    pub fn segments(&self) -> Vec<Segment> {
        self.kept().segments.clone()
    }

    /// How often each slot was sealed.
    pub fn seals(&self) -> BTreeMap<SlotId, usize> {
        self.kept().seals.clone()
    }

    /// The integers that were written under a key, sorted, each as often as it was written.
    pub fn ints(&self, key: &str) -> Vec<i64> {
        let kept = self.kept();
        let values = kept
            .segments
            .iter()
            .filter_map(|segment| segment.get(key)?.as_int());
        let mut ints: Vec<i64> = values.collect();
        ints.sort_unstable();
        ints
    }

    // A lock is poisoned by a panic elsewhere, between two whole changes.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one slot of a [`Sink`].
#[derive(Clone, Debug)]
pub struct SinkWriter {
    sink: Sink,
    slot: SlotId,
}

impl Output for SinkWriter {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        self.sink.kept().segments.extend_from_slice(segments);
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        *self.sink.kept().seals.entry(self.slot).or_default() += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Task;
    use crate::plugins::conformance::{
        check_input_bounds, check_input_slots, check_output, check_output_slots, check_output_stop,
    };

    #[test]
    fn a_source_keeps_what_inputs_must_keep() {
        let source = Source::numbers(50);
        let task = Task::new("in", TaskKind::Input);
        let open = |start, (rank, slots)| -> Result<Box<dyn Input>, PluginError> {
            let alone = PluginContext::alone(&task, start);
            Ok(Box::new(source.open(&PluginContext {
                rank,
                slots,
                ..alone
            })))
        };
        let read = check_input_slots(open, 3, 42).unwrap();
        let ints: Vec<i64> = read
            .segments
            .iter()
            .filter_map(|segment| segment.get("n")?.as_int())
            .collect();
        assert_eq!(ints, (0..50).collect::<Vec<_>>());
        // What is in memory is not taken from anywhere.
        let held = || Arc::strong_count(&source.segments);
        check_input_bounds(|start| open(start, (0, 1)), || 0, held, 0).unwrap();
    }

    #[test]
    fn a_sink_keeps_what_outputs_must_keep() {
        let batches: Vec<Vec<Segment>> = (0..20)
            .map(|n| vec![[("n", n)].into_iter().collect(); 2])
            .collect();
        let open = |sink: &Sink, slot| -> Result<Box<dyn Output>, PluginError> {
            Ok(Box::new(sink.open(slot)))
        };
        let (sink, slot) = (Sink::default(), SlotId(0));
        check_output(|_| open(&sink, slot), || Ok(sink.segments()), &batches, 7).unwrap();
        let held = || Arc::strong_count(&sink.kept);
        check_output_stop(|_| open(&sink, slot), held, &batches[0]).unwrap();
        let sink = Sink::default();
        let of_slot = |_, slot| open(&sink, slot);
        check_output_slots(of_slot, || Ok(sink.segments()), 3, &batches, 7).unwrap();
        assert_eq!(sink.seals().len(), 3);
    }
}
