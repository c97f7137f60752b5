//! The balanced job scheduler: as many jobs as possible, then evenly.
//!
//! What coverage leaves is spare: it goes to the covered job that has the fewest peers with it, up
//! to its saturation. A spare peer never stands in the way of another job's coverage.

use super::cover::as_many_as_possible;
use crate::scheduler::capacity::Capacity;
use crate::scheduler::roster::Roster;
use crate::scheduler::tasks::{Grower, Step};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Promises peers to jobs. Answers with those that are covered.
pub(super) fn share(roster: &Roster<'_>, capacity: &mut Capacity<'_>) -> Vec<usize> {
    let covered = as_many_as_possible(roster, capacity);
    let mut growers: Vec<Grower> = covered
        .iter()
        .map(|job| Grower::of(roster, capacity, *job))
        .collect();
    let sizes = growers.iter().enumerate();
    let mut turns: BinaryHeap<_> = sizes
        .map(|(index, grower)| Reverse((grower.size_after(), index)))
        .collect();
    while capacity.free() > 0
        && let Some(mut turn) = turns.peek_mut()
    {
        let Reverse((size, index)) = &mut *turn;
        let grower = &mut growers[*index];
        match grower.grow(roster, capacity) {
            Step::Grown => *size = grower.size_after(),
            Step::Full => {
                PeekMut::pop(turn);
            }
        }
    }
    covered
}
