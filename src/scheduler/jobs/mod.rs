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
use super::reach::JobState;
use super::roster::{Roster, RosterJob, RosterTask};
use super::tasks::settle;
use crate::config::JobScheduler;
use crate::job::TaskScheduler;

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
    let found = || cover::running(roster, &mut Capacity::new(roster));
    if !everybody_has_enough(roster) {
        return found();
    }
    let all: Vec<usize> = (0..roster.jobs.len()).collect();
    debug_assert_eq!(all, found());
    all
}

/// Whether every job can go on because it still has what it needs: the peers where they are show how
/// all minima are met at once, so that none can be in the way of another. Copies are not looked at
/// closely enough to say so.
fn everybody_has_enough(roster: &Roster<'_>) -> bool {
    let has_enough = |task: &RosterTask<'_>| {
        let holders: usize = task.posts.clone().map(|post| roster.holders(post)).sum();
        holders >= task.least
    };
    let goes_on = |job: &RosterJob<'_>| {
        job.state == JobState::Running && job.record.task_scheduler != TaskScheduler::Colocated
    };
    roster.jobs.iter().all(goes_on) && roster.tasks.iter().all(has_enough)
}
