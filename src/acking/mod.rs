//! Acking: which roots are pending at their source, and which trees are complete at their acker.
//!
//! Every segment that descends from a root carries a random draw. A task acks a root with the draw it
//! received and the draws it sent on, combined by XOR, so that the acks of a whole tree cancel out
//! in whatever order they arrive. For that, a draw stands for one segment on one way: a task that
//! forwards a segment untouched still gives it a new one.
//!
//! Values only: time is a parameter, and random draws are made by whoever calls.

mod ackers;
mod acks;
mod byte_limit;
mod fuse;
mod latency;
mod ledger;
mod limit;
mod open_roots;
mod pending;
mod retry_rule;
mod ring;
mod sequence_window;
#[cfg(test)]
mod simulation;
mod timeout_pool;
mod troubles;

pub use ackers::Ackers;
pub use acks::{Ack, AckGroup, AckMessage, Cause, Completions, Inquiry, NoRootId, Progress};
pub use acks::{Reach, Retries, RootId};
pub use fuse::{AckerAcks, Fuse};
pub use latency::{BOUNDS_MS, Latencies};
pub use ledger::{Applied, Ledger, LedgerCounters};
pub use open_roots::Ends;
pub use pending::overdue::Question;
pub use pending::{Condemned, Pending, PendingCounters, PendingRules, Replay, Settled};
pub use retry_rule::RetryRule;
pub use timeout_pool::Timeouts;
