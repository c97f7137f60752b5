//! The state machine: requests and time in, answers and notifications out. No IO, no clock.

mod access;
mod authentication;
#[cfg(test)]
mod gate_tests;
mod happening;
mod image;
mod keeper;
#[cfg(test)]
mod keeper_tests;
mod ledger;
mod node;
mod outcome;
mod path;
mod prepare;
mod read;
mod record;
#[cfg(test)]
pub(crate) mod sample;
mod sessions;
mod transaction;
mod tree;
mod watch_requests;
mod watches;

pub(crate) use authentication::Gate;
pub(crate) use image::{Assembly, pieces};
pub(crate) use keeper::{Keeper, SessionLimits};
pub(crate) use ledger::Ledger;
pub(crate) use outcome::{Attached, Connected, Effects, Fate};
pub(crate) use transaction::Transaction;

/// Milliseconds since the Unix epoch: the one kind of time that the state machine knows.
pub(crate) type Millis = i64;
