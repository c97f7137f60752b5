//! The percentage task scheduler: the peers of a job by the percentage of each task, by largest
//! remainder, within minima and maxima.
//!
//! Percentages are weights: they need not come to 100. A task without one has the weight 0, and its
//! minimum.

use crate::scheduler::capacity::{Capacity, Growth};
use crate::scheduler::roster::Roster;
use std::cmp::Reverse;

/// What a task may have.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: usize,
    most: usize,
    weight: u64,
}

/// Shares the peers that a job was promised anew. Where too few can do a task, its share goes to
/// the others; the sum stays.
pub(super) fn settle(roster: &Roster<'_>, capacity: &mut Capacity<'_>, job: usize) {
    let tasks = roster.jobs[job].tasks.clone();
    let bounds: Vec<Bounds> = roster.tasks[tasks.clone()]
        .iter()
        .map(|task| Bounds {
            least: task.least,
            most: task.most,
            weight: task.record.percentage.map_or(0, |it| u64::from(it.parts())),
        })
        .collect();
    let peers = capacity.of_job(job);
    let targets = targets(peers, &bounds);
    let posts: Vec<usize> = tasks.map(|task| roster.tasks[task].posts.start).collect();
    for (post, bounds) in posts.iter().zip(&bounds) {
        capacity.shrink_to(*post, bounds.least);
    }
    let mut open = vec![true; posts.len()];
    for _ in capacity.of_job(job)..peers {
        while let Some(next) = furthest_below(&posts, &targets, &bounds, &open, capacity) {
            if capacity.grow(posts[next]) == Growth::Grown {
                break;
            }
            open[next] = false;
        }
    }
}

/// The open task that lacks most of its target, the earliest of equals.
fn furthest_below(
    posts: &[usize],
    targets: &[usize],
    bounds: &[Bounds],
    open: &[bool],
    capacity: &Capacity<'_>,
) -> Option<usize> {
    let count = |task: usize| capacity.counts()[posts[task]];
    let open = (0..posts.len()).filter(|task| open[*task] && count(*task) < bounds[*task].most);
    open.min_by_key(|task| (count(*task) as i64 - targets[*task] as i64, *task))
}

/// The peers of each task: shares by largest remainder. As long as shares are out of bounds, those
/// that are the more so, in sum, are set to their bounds, and the others share what is left.
fn targets(peers: usize, bounds: &[Bounds]) -> Vec<usize> {
    let mut fixed: Vec<Option<usize>> = vec![None; bounds.len()];
    loop {
        let taken: usize = fixed.iter().flatten().sum();
        let left = peers.saturating_sub(taken);
        let weights: Vec<u64> = bounds
            .iter()
            .zip(&fixed)
            .map(|(bounds, fixed)| if fixed.is_none() { bounds.weight } else { 0 })
            .collect();
        let shares = by_largest_remainder(left, &weights);
        let clamp = |task: usize| shares[task].clamp(bounds[task].least, bounds[task].most);
        let free: Vec<usize> = (0..bounds.len())
            .filter(|task| fixed[*task].is_none())
            .collect();
        let excess: i64 = free
            .iter()
            .map(|task| clamp(*task) as i64 - shares[*task] as i64)
            .sum();
        let mut out_of_bounds = free.iter().copied().filter(|task| match excess {
            1.. => clamp(*task) > shares[*task],
            0 => false,
            ..0 => clamp(*task) < shares[*task],
        });
        let Some(first) = out_of_bounds.next() else {
            free.iter()
                .for_each(|task| fixed[*task] = Some(clamp(*task)));
            return fixed.into_iter().flatten().collect();
        };
        for task in std::iter::once(first)
            .chain(out_of_bounds)
            .collect::<Vec<_>>()
        {
            fixed[task] = Some(clamp(task));
        }
    }
}

/// Nothing for anybody when all weights are 0.
fn by_largest_remainder(peers: usize, weights: &[u64]) -> Vec<usize> {
    let sum: u64 = weights.iter().sum::<u64>().max(1);
    let exact = weights.iter().map(|weight| peers as u64 * weight);
    let mut shares: Vec<usize> = exact.clone().map(|it| (it / sum) as usize).collect();
    let mut by_remainder: Vec<(Reverse<u64>, usize)> = exact
        .enumerate()
        .map(|(index, it)| (Reverse(it % sum), index))
        .filter(|(_, index)| weights[*index] > 0)
        .collect();
    by_remainder.sort_unstable();
    let left = peers - shares.iter().sum::<usize>().min(peers);
    for (_, index) in by_remainder.into_iter().take(left) {
        shares[index] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peers: usize, tasks: &[(usize, usize, u64)], expected: &[usize]) {
        let bounds: Vec<Bounds> = tasks
            .iter()
            .map(|(least, most, weight)| Bounds {
                least: *least,
                most: *most,
                weight: *weight,
            })
            .collect();
        assert_eq!(targets(peers, &bounds), expected, "{peers} by {tasks:?}");
    }

    const MANY: usize = usize::MAX;

    #[test]
    fn shares_are_rounded_by_largest_remainder() {
        check(
            10,
            &[(1, MANY, 20), (1, MANY, 30), (1, MANY, 50)],
            &[2, 3, 5],
        );
        check(
            7,
            &[(1, MANY, 20), (1, MANY, 30), (1, MANY, 50)],
            &[1, 2, 4],
        );
        check(4, &[(1, MANY, 1), (1, MANY, 1), (1, MANY, 1)], &[2, 1, 1]);
    }

    #[test]
    fn minima_and_maxima_go_before_percentages() {
        check(10, &[(1, MANY, 1), (1, MANY, 1), (1, MANY, 98)], &[1, 1, 8]);
        check(10, &[(1, 2, 80), (1, MANY, 10), (1, MANY, 10)], &[2, 4, 4]);
        check(10, &[(4, 4, 10), (1, 2, 80), (1, MANY, 10)], &[4, 2, 4]);
    }

    #[test]
    fn a_task_without_a_percentage_has_its_minimum() {
        check(6, &[(1, MANY, 0), (1, MANY, 50), (1, MANY, 50)], &[1, 3, 2]);
    }
}
