//! The task pipeline: a batch passes the phases in order, over and over.
//!
//! [`TaskRun::turn`] is one round and waits for nothing; [`TaskRun::wait`] is where a task sleeps.
//! Who drives the two, and what becomes of an exception, is the business of an actor above.

mod acks;
mod beat;
mod checkpoint;
mod context;
pub mod counters;
mod dead_letters;
pub mod exception;
pub mod lifecycles;
mod medium;
mod outbound;
pub mod phases;
mod reached;
pub mod registry;
mod rejections;
mod replays;
mod retries;
mod roots;
mod run;
mod seal;
mod start;
mod survey;
pub mod trace_pages;
pub mod traces;

pub use beat::Beat;
pub use checkpoint::{Checkpoint, CheckpointError, InputProgress, progress_of};
pub use reached::Reached;
pub use rejections::InputTotals;
pub use replays::{ReplayCause, SlotReplay, SlotReplays};
pub use run::{TaskRun, Turn, WaitFor};
pub use start::{StartFailed, TaskServices};

#[cfg(test)]
mod tests;
