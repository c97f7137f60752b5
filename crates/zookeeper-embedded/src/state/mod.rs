//! The state machine: requests and time in, answers and notifications out. No IO, no clock.

mod authentication;
mod keeper;
mod ledger;
mod node;
mod path;
mod prepare;
mod read;
mod sessions;
mod transaction;
mod tree;
mod watch_requests;
mod watches;

pub(crate) use keeper::{Attached, Connected, Effects, Fate, Keeper, SessionLimits};

/// Milliseconds since the Unix epoch: the one kind of time that the state machine knows.
pub(crate) type Millis = i64;
