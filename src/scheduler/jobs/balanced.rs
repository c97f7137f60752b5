//! The balanced job scheduler.
//!
//! Coverage first. A job is covered when every task has its minimum; anything less gives it nothing.
//! Running jobs keep their coverage in the order of their submission; then waiting jobs are covered,
//! the ones that need fewest peers first, so that as many as possible run. When every peer can do
//! every task that is the greatest number; when words divide the peers, finding it is a hard problem
//! and the answer is maximal: no job that waits could be covered beside those that run.
//!
//! What is left is spare: one peer at a time to the covered job with the fewest, up to its
//! saturation. A spare peer never stands in the way of another job's coverage.

use crate::scheduler::capacity::{Capacity, Cover, Growth};
use crate::scheduler::roster::{Roster, RosterState};
use crate::scheduler::tasks;

/// How many peers each task of the roster gets; a job that is not covered gets none.
pub(in crate::scheduler) fn plan(roster: &Roster<'_>) -> Vec<usize> {
    let mut capacity = Capacity::new(roster);
    let mut covered: Vec<usize> = Vec::new();
    for job in coverage_order(roster) {
        if capacity.cover(job) == Cover::Covered {
            covered.push(job);
        }
    }
    covered.sort_unstable();
    hand_out_spare(roster, &mut capacity, &covered);
    capacity.counts().to_vec()
}

fn coverage_order(roster: &Roster<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..roster.jobs.len()).collect();
    order.sort_by_key(|job| match roster.jobs[*job].state {
        RosterState::Running => (0, 0, *job),
        RosterState::Waiting => (1, roster.jobs[*job].needs, *job),
    });
    order
}

fn hand_out_spare(roster: &Roster<'_>, capacity: &mut Capacity<'_>, covered: &[usize]) {
    let is_open = |(task, count): (usize, &usize)| *count < roster.tasks[task].most;
    let mut open: Vec<bool> = capacity.counts().iter().enumerate().map(is_open).collect();
    let mut jobs = covered.to_vec();
    while capacity.free() > 0 && !jobs.is_empty() {
        let counts = capacity.counts();
        let size = |job: &usize| {
            counts[roster.jobs[*job].tasks.clone()]
                .iter()
                .sum::<usize>()
        };
        let Some(job) = jobs.iter().copied().min_by_key(|job| (size(job), *job)) else {
            return;
        };
        let Some(task) = next_task(roster, counts, job, &open) else {
            jobs.retain(|other| *other != job);
            continue;
        };
        let growth = capacity.grow(task);
        let full = capacity.counts()[task] >= roster.tasks[task].most;
        open[task] = growth == Growth::Grown && !full;
    }
}

fn next_task(roster: &Roster<'_>, counts: &[usize], job: usize, open: &[bool]) -> Option<usize> {
    let job = &roster.jobs[job];
    let first = job.tasks.start;
    let is_open = |task: usize| open[first + task];
    let next = tasks::balanced::next(&counts[job.tasks.clone()], is_open);
    next.map(|task| first + task)
}
