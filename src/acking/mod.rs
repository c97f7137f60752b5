//! Acking: which roots are pending at their source, and which trees are complete at their acker.
//!
//! Every segment that descends from a root carries a random draw. A task acks a root with the draw it
//! received and the draws it sent on, combined by XOR, so that the acks of a whole tree cancel out
//! in whatever order they arrive. For that, a draw stands for one segment on one way: a task that
//! forwards a segment untouched still gives it a new one.
//!
//! Values only: time is a parameter, and random draws are made by whoever calls.

mod acks;
mod fuse;
mod ledger;
mod open_roots;
mod pending;
mod ring;
mod sequence_window;
mod timeout_pool;

pub use acks::{Ack, AckGroup, AckMessage, Completions};
pub use fuse::{AckerAcks, Fuse};
pub use ledger::{Applied, Ledger, LedgerCounters};
pub use pending::{Pending, PendingCounters, Replay};
pub use timeout_pool::Timeouts;
