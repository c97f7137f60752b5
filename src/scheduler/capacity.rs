//! How many peers tasks can have together, given what each class of peers can do.
//!
//! A set of demands is feasible when peers can be matched to it. The demands that are feasible form
//! a matroid: what cannot grow now cannot grow later either, so nobody has to ask twice, and asking
//! in an order of preference gives the best answer for that order.

use super::roster::Roster;
use std::collections::VecDeque;

/// Peers promised to tasks, by class; which ones is decided later.
#[derive(Debug)]
pub(super) struct Capacity<'a> {
    roster: &'a Roster<'a>,
    /// Peers promised: task, class.
    promised: Vec<Vec<usize>>,
    /// Peers of each class that are promised to no task.
    free: Vec<usize>,
    /// Peers promised to each task.
    counts: Vec<usize>,
}

impl<'a> Capacity<'a> {
    pub(super) fn new(roster: &'a Roster<'a>) -> Self {
        Capacity {
            roster,
            promised: vec![vec![0; roster.class_sizes.len()]; roster.tasks.len()],
            free: roster.class_sizes.clone(),
            counts: vec![0; roster.tasks.len()],
        }
    }

    /// Peers promised to each task.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Peers that are promised to no task.
    pub(super) fn free(&self) -> usize {
        self.free.iter().sum()
    }

    /// Promises the minima of a job, all or none.
    pub(super) fn cover(&mut self, job: usize) -> Cover {
        let job = &self.roster.jobs[job];
        if job.needs > self.free() as u64 {
            return Cover::Impossible;
        }
        for task in job.tasks.clone() {
            for _ in 0..self.roster.tasks[task].min() {
                if self.grow(task) == Growth::Impossible {
                    job.tasks.clone().for_each(|task| self.release(task));
                    return Cover::Impossible;
                }
            }
        }
        Cover::Covered
    }

    /// Promises one more peer to a task, if need be by exchanging the promises of others.
    pub(super) fn grow(&mut self, task: usize) -> Growth {
        let Some(mut class) = self.nearest_free_class(task) else {
            return Growth::Impossible;
        };
        self.free[class.free] -= 1;
        while let Some((loser, from)) = class.exchanges.pop() {
            // The loser of a peer of `from` gets one of the class found behind it instead.
            self.promised[loser][class.free] += 1;
            self.promised[loser][from] -= 1;
            class.free = from;
        }
        self.promised[task][class.free] += 1;
        self.counts[task] += 1;
        Growth::Grown
    }

    fn release(&mut self, task: usize) {
        for (free, promised) in self.free.iter_mut().zip(&mut self.promised[task]) {
            *free += std::mem::take(promised);
        }
        self.counts[task] = 0;
    }

    /// The fewest exchanges that free a peer for a task, breadth first.
    fn nearest_free_class(&self, task: usize) -> Option<Exchange> {
        // For each task reached: the task before it, and the class it would give up a peer of.
        let mut reached: Vec<Option<(usize, usize)>> = vec![None; self.counts.len()];
        let mut seen_class = vec![false; self.free.len()];
        let mut queue = VecDeque::from([task]);
        while let Some(at) = queue.pop_front() {
            for &class in &self.roster.tasks[at].classes {
                if std::mem::replace(&mut seen_class[class], true) {
                    continue;
                }
                if self.free[class] > 0 {
                    return Some(Exchange {
                        free: class,
                        exchanges: path(&reached, at, task),
                    });
                }
                for (holder, promised) in self.promised.iter().enumerate() {
                    let new = holder != task && reached[holder].is_none();
                    if promised[class] > 0 && new {
                        reached[holder] = Some((at, class));
                        queue.push_back(holder);
                    }
                }
            }
        }
        None
    }
}

/// A class with a free peer, and who gives up a peer of which class on the way to it, nearest to
/// the growing task first.
struct Exchange {
    free: usize,
    exchanges: Vec<(usize, usize)>,
}

fn path(reached: &[Option<(usize, usize)>], mut at: usize, start: usize) -> Vec<(usize, usize)> {
    let mut exchanges = Vec::new();
    while at != start {
        let Some((before, class)) = reached[at] else {
            break;
        };
        exchanges.push((at, class));
        at = before;
    }
    exchanges.reverse();
    exchanges
}

/// Whether a job's minima could be promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    Covered,
    Impossible,
}

/// Whether a task could get one more peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Grown,
    Impossible,
}
