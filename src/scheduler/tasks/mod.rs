//! Task schedulers: which task of a job gets the next peer, and how its peers are shared in the end.

pub(super) mod balanced;
pub(super) mod colocated;
pub(super) mod percentage;

pub(super) use colocated::Copies;

use super::capacity::{Capacity, Growth};
use super::roster::Roster;
use crate::job::TaskScheduler;

/// A covered job that takes spare peers. For a percentage job it is only found out how many it can
/// have; see [`settle`].
#[derive(Debug)]
pub(super) struct Grower {
    job: usize,
    size: usize,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    /// One peer at a time; which tasks may still get one.
    Single { open: Vec<bool> },
    /// One copy of the job at a time.
    Copies(Copies),
}

/// Whether a job took more peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Grown,
    /// It takes no more, now or later.
    Full,
}

impl Grower {
    pub(super) fn of(roster: &Roster<'_>, capacity: &Capacity<'_>, job: usize) -> Self {
        let tasks = roster.jobs[job].tasks.clone();
        let rule = match roster.task_scheduler(job) {
            TaskScheduler::Colocated => Rule::Copies(Copies::of(roster, capacity, job)),
            TaskScheduler::Balanced | TaskScheduler::Percentage => Rule::Single {
                open: tasks
                    .map(|task| capacity.of_task(task) < roster.tasks[task].most)
                    .collect(),
            },
        };
        Grower {
            job,
            size: capacity.of_job(job),
            rule,
        }
    }

    /// How many peers it takes at once.
    pub(super) fn unit(&self) -> usize {
        match &self.rule {
            Rule::Single { .. } => 1,
            Rule::Copies(copies) => copies.size(),
        }
    }

    /// How many peers the job has when it has taken more.
    pub(super) fn size_after(&self) -> usize {
        self.size + self.unit()
    }

    /// Takes a peer for one of its tasks, or one for each.
    pub(super) fn grow(&mut self, roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Step {
        let grown = match &mut self.rule {
            Rule::Single { open } => grow_one(roster, capacity, self.job, open),
            Rule::Copies(copies) => copies.add(capacity),
        };
        match grown {
            Growth::Grown => {
                self.size += self.unit();
                Step::Grown
            }
            Growth::Impossible => Step::Full,
        }
    }
}

fn grow_one(
    roster: &Roster<'_>,
    capacity: &mut Capacity<'_>,
    job: usize,
    open: &mut [bool],
) -> Growth {
    let tasks = &roster.tasks[roster.jobs[job].tasks.clone()];
    loop {
        let count = |task: usize| capacity.counts()[tasks[task].posts.start];
        let Some(next) = balanced::next(open, count) else {
            return Growth::Impossible;
        };
        let post = tasks[next].posts.start;
        let growth = capacity.grow(post);
        open[next] = growth == Growth::Grown && capacity.counts()[post] < tasks[next].most;
        if growth == Growth::Grown {
            return growth;
        }
    }
}

/// Shares the peers of a covered job among its tasks for good.
pub(super) fn settle(roster: &Roster<'_>, capacity: &mut Capacity<'_>, job: usize) {
    if roster.task_scheduler(job) == TaskScheduler::Percentage {
        percentage::settle(roster, capacity, job);
    }
}
