//! The replica: everything the cluster has agreed on, as one value. Every peer that has played the
//! same entries holds the same one.
//!
//! Sections are shared, so that applying an entry copies what it changes and nothing else. Nothing
//! here reads a clock, a network or a random number.

mod events;
pub mod flat_job;
pub mod invariants;
mod jobs;
mod membership;
mod queries;
#[cfg(test)]
pub(crate) mod sample;
mod shared_map;
mod slots;
mod state_logs;
#[cfg(test)]
mod task_words;
mod value;
pub mod view;
mod writers;

pub use events::{Events, JobEvent, JobEvents, NodeDeparture, PeerChange};
pub use jobs::Outcome;
pub use queries::{JobState, Place};
pub use shared_map::{RandomId, SharedMap};
pub use slots::Slots;
pub use value::{
    Agreed, Allocation, JobRecord, Jobs, Loss, Member, Membership, Progress, Replica, Site,
    StateLogs, TaskRecord, Tombstone, Writers,
};
