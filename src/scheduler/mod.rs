//! Who works where: a pure function of the replica, run inside `apply`, so that every peer comes to
//! the same answer and nobody has to be asked.
//!
//! First, who can work together at all: `reach`. Then three questions, one after the other. Which
//! jobs are covered, and how many peers does each task get: `jobs` and `tasks`, over the `capacity`
//! that words and tags of the peers leave. Which peers are these: `placement`, so that as few as
//! possible move. What becomes of the allocations: `allocate`.

mod ackers;
mod allocate;
mod capacity;
mod classes;
mod explain;
mod jobs;
#[cfg(test)]
mod laws;
mod placement;
mod reach;
mod register;
mod roster;
mod rows;
mod tasks;

pub use allocate::reallocate;
pub use explain::{
    Beyond, ByPercentage, Explanation, JobShare, Serving, Shares, Shortage, TaskReason, TaskShare,
    explain,
};
