//! The percentage job scheduler: as many jobs as possible, then by the percentage of each.
//!
//! The shares of the covered jobs are those of the peers by largest remainder, in integers; if the
//! percentages of all come to more than 100, they are taken in proportion. A job without a
//! percentage gets its minimum. What a job cannot use of its share goes to the others. Peers that
//! belong to nobody's percentage stay idle: they are there for the jobs to come.

use super::cover::as_many_as_possible;
use crate::job::percent::Percent;
use crate::scheduler::capacity::Capacity;
use crate::scheduler::roster::Roster;
use crate::scheduler::tasks::{Grower, Step};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Promises peers to jobs. Answers with those that are covered.
pub(super) fn share(roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Vec<usize> {
    let covered = as_many_as_possible(roster, capacity);
    let weights: Vec<u64> = covered
        .iter()
        .map(|job| weight(roster.jobs[*job].record.percentage))
        .collect();
    let shares = shares(roster.peers.len(), &weights);
    let all: usize = shares.iter().sum();
    let mut growers: Vec<Grower> = covered
        .iter()
        .map(|job| Grower::of(roster, capacity, *job))
        .collect();
    let beyond = |grower: &Grower, share: usize| grower.size_after() as i64 - share as i64;
    let mut turns: BinaryHeap<_> = (0..covered.len())
        .filter(|index| weights[*index] > 0)
        .map(|index| Reverse((beyond(&growers[index], shares[index]), index)))
        .collect();
    while let Some(Reverse((_, index))) = turns.pop() {
        let grower = &mut growers[index];
        let promised = roster.peers.len() - capacity.free();
        let within_share = grower.size_after() <= shares[index];
        if !within_share && promised + grower.unit() > all {
            continue;
        }
        if grower.grow(roster, capacity) == Step::Grown {
            turns.push(Reverse((beyond(grower, shares[index]), index)));
        }
    }
    covered
}

/// What a job asks for, in hundredths of a percent.
pub(in crate::scheduler) fn weight(percentage: Option<Percent>) -> u64 {
    percentage.map_or(0, |percent| u64::from(percent.parts()))
}

/// The peers of each job, by largest remainder; the earliest of equal ones first.
pub(in crate::scheduler) fn shares(peers: usize, weights: &[u64]) -> Vec<usize> {
    let sum: u64 = weights.iter().sum();
    let whole = sum.max(u64::from(Percent::WHOLE.parts()));
    let exact = weights.iter().map(|weight| peers as u64 * weight);
    let mut shares: Vec<usize> = exact.clone().map(|it| (it / whole) as usize).collect();
    let mut by_remainder: Vec<(Reverse<u64>, usize)> = exact
        .enumerate()
        .map(|(index, it)| (Reverse(it % whole), index))
        .collect();
    by_remainder.sort_unstable();
    let all = (peers as u64 * sum / whole) as usize;
    let left = all - shares.iter().sum::<usize>();
    for (_, index) in by_remainder.into_iter().take(left) {
        shares[index] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peers: usize, percent: &[u64], expected: &[usize]) {
        let weights: Vec<u64> = percent.iter().map(|percent| percent * 100).collect();
        assert_eq!(shares(peers, &weights), expected, "{peers} by {percent:?}");
    }

    #[test]
    fn remainders_go_to_the_largest_and_the_earliest_of_equals() {
        check(10, &[70, 20, 10], &[7, 2, 1]);
        check(11, &[70, 20, 10], &[8, 2, 1]);
        check(10, &[33, 33, 34], &[3, 3, 4]);
        check(3, &[50, 50], &[2, 1]);
    }

    #[test]
    fn what_is_nobodys_stays_and_too_much_is_taken_in_proportion() {
        check(10, &[50, 30], &[5, 3]);
        check(7, &[25, 25], &[2, 1]);
        check(10, &[100, 100], &[5, 5]);
        check(10, &[0, 0], &[0, 0]);
    }
}
