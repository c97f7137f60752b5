//! The greedy job scheduler: the earliest job gets all that it can use, what is left goes to the
//! next, and so on down the list.
//!
//! A job that cannot be covered with what the earlier ones leave does not block those behind it.
//! Running jobs keep their minima, so a job that is submitted later and runs already is not stopped
//! for an earlier one; it gives up what is spare.

use super::cover::{Cover, cover, running};
use crate::scheduler::capacity::Capacity;
use crate::scheduler::roster::Roster;
use crate::scheduler::tasks::{Grower, Step};

/// Promises peers to jobs. Answers with those that are covered.
pub(super) fn share(roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Vec<usize> {
    let keep = running(roster, capacity);
    let mut covered = Vec::new();
    for job in 0..roster.jobs.len() {
        if !keep.contains(&job) && cover(roster, capacity, job) == Cover::Impossible {
            continue;
        }
        covered.push(job);
        let mut grower = Grower::of(roster, capacity, job);
        while capacity.free() > 0 && grower.grow(roster, capacity) == Step::Grown {}
    }
    covered
}
