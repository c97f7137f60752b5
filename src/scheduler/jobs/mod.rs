//! Job schedulers: which jobs are covered and how many peers each gets.
//!
//! A job is covered when every task has its minimum; anything less gives it nothing. Running jobs
//! keep their coverage in the order of their submission, whatever the scheduler.

mod balanced;
mod cover;
mod greedy;
pub(super) mod percentage;

pub(super) use cover::{Cover, cover};

use super::capacity::Capacity;
use super::roster::Roster;
use super::tasks::settle;
use crate::config::JobScheduler;

/// How many peers each post of the roster gets; a job that is not covered gets none.
pub(super) fn plan<'a>(roster: &'a Roster<'a>) -> Capacity<'a> {
    let mut capacity = Capacity::new(roster);
    let covered = match roster.job_scheduler {
        JobScheduler::Balanced => balanced::share(roster, &mut capacity),
        JobScheduler::Greedy => greedy::share(roster, &mut capacity),
        JobScheduler::Percentage => percentage::share(roster, &mut capacity),
    };
    for job in covered {
        settle(roster, &mut capacity, job);
    }
    capacity
}

/// The running jobs that a crew can go on with, by their index.
pub(super) fn kept(roster: &Roster<'_>) -> Vec<usize> {
    cover::running(roster, &mut Capacity::new(roster))
}
