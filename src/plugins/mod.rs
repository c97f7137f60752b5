//! Plugins: where segments come from and go to.
//!
//! The runtime owns what is pending, retries, time-outs and checkpoints. An input only polls, says
//! where it is, is told how far everything has completed, and can start again at a position it
//! gave. An output writes and seals. Both are called by one thread at a time, not always the same, and
//! may block it for as long as one read or write takes: their task's neighbours go on elsewhere.

pub mod conformance;
mod file;
pub mod file_names;
mod registry;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use file::cut_torn_line;
pub use registry::PluginRegistry;
pub use worker::{Pieces, Worker, WorkerError, WorkerOut};

use crate::files::FileAccess;
use crate::ids::{JobId, SlotId};
use crate::job::Task;
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use std::sync::Arc;
use std::time::Duration;

/// Where an input is, in its own words: a line, an offset, a token. Stored by the runtime, understood
/// by the plugin alone.
pub type Position = Segment;

/// Reads segments from a medium.
pub trait Input: Send {
    /// Reads at most `max` segments and says what to do next. Waits for nothing: a source that has
    /// nothing yet says [`Polled::Idle`].
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError>;

    /// The position behind everything that was polled so far.
    fn position(&self) -> Position;

    /// Everything polled before `position` has been processed through the whole workflow, and the
    /// position has been saved. A queue may forget it now.
    fn completed(&mut self, position: &Position) -> Result<(), PluginError> {
        let _ = position;
        Ok(())
    }
}

/// What one poll read.
#[derive(Debug, Default)]
pub struct ReadSegments {
    /// Segments, in order.
    pub segments: Vec<Segment>,
    /// What could not become a segment. The runtime counts, logs and dead-letters them.
    pub rejected: Vec<Rejected>,
    /// Segments of earlier reads, for their memory.
    pub(crate) spare: Vec<Segment>,
}

impl ReadSegments {
    /// Appends a segment without fields, in the memory of one that was read earlier: a plugin that
    /// fills it in place makes no new one.
    pub fn place(&mut self) -> &mut Segment {
        let mut segment = self.spare.pop().unwrap_or_default();
        segment.clear();
        self.segments.push_mut(segment)
    }
}

/// A piece of the input that is not a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where, as "flights.csv line 17".
    pub place: String,
    /// Why, as "expected an integer in column `delay`, found `abc`".
    pub reason: String,
    /// The text itself.
    pub raw: String,
}

/// What an input says after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Poll again when there is room.
    More,
    /// Nothing for now; look again after this long.
    Idle(Duration),
    /// There will never be more.
    Exhausted,
}

/// Writes segments to a medium.
pub trait Output: Send {
    /// Writes segments in order. When it returns, they have left this process's own buffers: they
    /// are acknowledged next.
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError>;

    /// Nothing will follow on this slot. May be called again after a failure.
    fn seal(&mut self) -> Result<(), PluginError>;
}

/// What a plugin is given when it starts.
#[derive(Clone, Debug)]
pub struct PluginContext<'a> {
    /// The job.
    pub job: JobId,
    /// The catalog entry, with the plugin's own keys in `params`.
    pub task: &'a Task,
    /// Which of the task's slots this is. Slots keep their number when others go, so that there may
    /// be gaps: an output names its files by it.
    pub slot: SlotId,
    /// The how-manieth of the task's slots this is, from 0 and without gaps: an input that is read in
    /// parts reads part `rank` of `slots`.
    pub rank: u32,
    /// How many slots the task has.
    pub slots: u32,
    /// What the medium consisted of when the job began, for a plugin that is registered with a
    /// survey: the same for all slots and after every restart, whatever the medium has become.
    pub survey: Option<&'a Segment>,
    /// Whether this slot starts for the first time in this job.
    pub start: Start,
    /// Set when the slot's job has ended, when its node stops, or when its task was abandoned: a plugin
    /// keeps a clone and gives up whatever it waits for. What it returns then is dropped, an error as
    /// well.
    pub stop: StopFlag,
    /// The files that the job may read and write.
    pub files: FileAccess,
}

impl<'a> PluginContext<'a> {
    /// The only slot of a task that has one, without a survey: for the tests of a plugin.
    pub fn alone(task: &'a Task, start: Start) -> Self {
        PluginContext {
            job: JobId(uuid::Uuid::nil()),
            task,
            slot: SlotId(0),
            rank: 0,
            slots: 1,
            survey: None,
            start,
            stop: StopFlag::default(),
            files: FileAccess::default(),
        }
    }

    /// The name under which this slot holds what it writes: the same for all peers that have the slot, one
    /// after the other, and for no other slot.
    pub(crate) fn holder(&self) -> String {
        let (job, task, slot) = (self.job, &self.task.name, self.slot);
        format!("job {job}, task {task}, slot {slot}")
    }
}

/// How a slot starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// No peer has run this slot of this job before.
    Fresh,
    /// A peer has, and what it had completed is behind this position; an output has none.
    Resumed(Option<Position>),
}

/// Why a plugin cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PluginError(pub String);

/// Makes an input.
pub type InputFactory =
    Arc<dyn Fn(&PluginContext<'_>) -> Result<Box<dyn Input>, PluginError> + Send + Sync>;

/// Looks at what a task is to read, before its slots divide it. Made once in the life of a job, and
/// kept with it.
pub type Survey = Arc<dyn Fn(&Task, &FileAccess) -> Result<Segment, PluginError> + Send + Sync>;

/// Makes an output.
pub type OutputFactory =
    Arc<dyn Fn(&PluginContext<'_>) -> Result<Box<dyn Output>, PluginError> + Send + Sync>;

/// What makes a plugin; its kind is its signature's.
#[derive(Clone)]
pub enum PluginFactory {
    /// Of inputs.
    Input(InputFactory),
    /// Of outputs.
    Output(OutputFactory),
}

/// The example of the page about plugins, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/plugins.md")]
struct PluginsPage;
