//! The log: entries, the commands they carry, and what follows from each for a replica and a peer.
//!
//! A command answers three questions with values and does nothing. What a peer *wants* is not
//! patched from entry to entry but derived from the replica: see [`wants()`](wants::wants).
//!
//! A join is three entries: prepare (by the joiner), notify (by its observer), accept (by the
//! joiner). Whoever removes a joiner before the third (an abort, or the leave of its observer) tells
//! it so in the same step, by an effect; so a notify or accept that comes too late needs no answer.

pub mod account;
pub mod admission;
mod command;
pub mod commands;
pub mod departures;
mod diff;
mod entry;
mod history;
pub mod incident;
#[cfg(test)]
mod laws;
mod step;
pub mod wants;

pub use command::{Applied, Effect, LogCommand, PeerContext, Reason};
pub use diff::ReplicaDiff;
pub use entry::{Entry, Unreadable};
pub use step::{Step, step};
