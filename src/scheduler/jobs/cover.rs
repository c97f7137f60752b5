//! Coverage: the minima of jobs, all or none.

use crate::job::TaskScheduler;
use crate::scheduler::capacity::{Capacity, Growth};
use crate::scheduler::reach::JobState;
use crate::scheduler::roster::Roster;
use crate::scheduler::tasks::Copies;

/// Whether a job's minima could be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) enum Cover {
    Covered,
    Impossible,
}

/// Promises the minima of a job, all or none.
pub(in crate::scheduler) fn cover(
    roster: &Roster<'_>,
    capacity: &mut Capacity<'_>,
    job: usize,
) -> Cover {
    let needs = roster.jobs[job].needs;
    let possible = needs <= (capacity.free() + capacity.of_job(job)) as u64;
    let covered = possible
        && match roster.task_scheduler(job) {
            TaskScheduler::Colocated => cover_copies(roster, capacity, job),
            TaskScheduler::Balanced | TaskScheduler::Percentage => {
                cover_tasks(roster, capacity, job)
            }
        };
    if covered {
        return Cover::Covered;
    }
    capacity.release(job);
    Cover::Impossible
}

fn cover_tasks(roster: &Roster<'_>, capacity: &mut Capacity<'_>, job: usize) -> bool {
    roster.posts_of(job).all(|post| {
        let least = roster.tasks[roster.posts[post].task].least;
        (capacity.counts()[post]..least).all(|_| capacity.grow(post) == Growth::Grown)
    })
}

fn cover_copies(roster: &Roster<'_>, capacity: &mut Capacity<'_>, job: usize) -> bool {
    let tasks = roster.jobs[job].tasks.clone();
    let least = tasks.map(|task| roster.tasks[task].least).max();
    let mut copies = Copies::of(roster, capacity, job);
    let missing = least.unwrap_or(0).saturating_sub(copies.promised());
    (0..missing).all(|_| copies.add(capacity) == Growth::Grown) && copies.are_whole(capacity)
}

/// Promises their minima to the running jobs, in the order of their submission. Answers with those
/// that keep them.
pub(super) fn running(roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Vec<usize> {
    let jobs = 0..roster.jobs.len();
    let running = jobs.filter(|job| roster.jobs[*job].state == JobState::Running);
    running
        .filter(|job| cover(roster, capacity, *job) == Cover::Covered)
        .collect()
}

/// As many jobs as possible: the running ones first, then the others, those that need fewest peers
/// first. Answers with those that are covered, in the order of their submission.
///
/// When every peer can do every task that is the greatest number; when words and tags divide the
/// peers, finding it is a hard problem and the answer is maximal: no job that waits could be
/// covered beside those that run.
pub(super) fn as_many_as_possible(roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Vec<usize> {
    let mut covered = running(roster, capacity);
    // A running job that lost its peers may still find others, when one like it has lost its own.
    let mut others: Vec<usize> = (0..roster.jobs.len())
        .filter(|job| !covered.contains(job))
        .collect();
    others.sort_by_key(|job| match roster.jobs[*job].state {
        JobState::Running => (0, 0, *job),
        JobState::Waiting => (1, roster.jobs[*job].needs, *job),
    });
    let found = others
        .into_iter()
        .filter(|job| cover(roster, capacity, *job) == Cover::Covered);
    covered.extend(found.collect::<Vec<usize>>());
    covered.sort_unstable();
    covered
}
