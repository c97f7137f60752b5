//! How many peers posts can have together, given what each class of peers can do.
//!
//! A set of demands is feasible when peers can be matched to it. The demands that are feasible form
//! a matroid: what cannot grow now cannot grow later either, so nobody has to ask twice, and asking
//! in an order of preference gives the best answer for that order.
//!
//! Peers of tasks that keep theirs are promised first and never exchanged, for as long as their job
//! is covered.

use super::roster::{Keeps, Roster};
use super::rows::Rows;
use std::cell::OnceCell;
use std::collections::VecDeque;

/// Peers promised to posts, by class; which ones is decided later.
#[derive(Debug)]
pub(super) struct Capacity<'a> {
    roster: &'a Roster<'a>,
    /// Peers promised: post, rank of the class at the post.
    promised: Rows<usize>,
    /// Those of them that are not exchanged.
    kept: Rows<usize>,
    /// Who can be at a class: post and rank of the class there. Found out when peers have to be
    /// exchanged.
    of_class: OnceCell<Rows<(usize, usize)>>,
    /// Peers of each class that are promised to no post.
    free: Vec<usize>,
    free_in_all: usize,
    /// Peers promised to each post.
    counts: Vec<usize>,
}

impl<'a> Capacity<'a> {
    pub(super) fn new(roster: &'a Roster<'a>) -> Self {
        let mut capacity = Capacity {
            roster,
            promised: roster.able.filled(0),
            kept: roster.able.filled(0),
            of_class: OnceCell::new(),
            free: roster.class_sizes.clone(),
            free_in_all: roster.peers.len(),
            counts: vec![0; roster.posts.len()],
        };
        for (index, post) in roster.posts.iter().enumerate() {
            if roster.tasks[post.task].keeps == Keeps::All {
                capacity.keep(index);
            }
        }
        capacity
    }

    /// Peers promised to each post.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Peers promised to a task.
    pub(super) fn of_task(&self, task: usize) -> usize {
        self.counts[self.roster.tasks[task].posts.clone()]
            .iter()
            .sum()
    }

    /// Peers promised to a job.
    pub(super) fn of_job(&self, job: usize) -> usize {
        self.counts[self.roster.posts_of(job)].iter().sum()
    }

    /// Peers that are promised to no post.
    pub(super) fn free(&self) -> usize {
        self.free_in_all
    }

    /// Who can be at a class: post and rank of the class there.
    pub(super) fn of_class(&self, class: usize) -> &[(usize, usize)] {
        let Roster {
            able, class_sizes, ..
        } = self.roster;
        let of_class = self.of_class.get_or_init(|| {
            let classes = able.iter().enumerate();
            let classes = classes.flat_map(|(post, classes)| {
                let ranks = classes.iter().enumerate();
                ranks.map(move |(rank, class)| (*class, (post, rank)))
            });
            Rows::grouped(class_sizes.len(), classes)
        });
        &of_class[class]
    }

    /// Of each class at a post, how many peers may not be moved away.
    pub(super) fn kept(&self, post: usize) -> &[usize] {
        &self.kept[post]
    }

    /// Promises one more peer to a post, if need be by exchanging the promises of others.
    pub(super) fn grow(&mut self, post: usize) -> Growth {
        if self.free_in_all == 0 {
            return Growth::Impossible;
        }
        let mut classes = self.roster.able[post].iter().enumerate();
        if let Some((rank, class)) = classes.find(|(_, class)| self.free[**class] > 0) {
            self.free[*class] -= 1;
            self.free_in_all -= 1;
            self.promised[post][rank] += 1;
            self.counts[post] += 1;
            return Growth::Grown;
        }
        self.grow_by_exchange(post)
    }

    /// Promises one more peer to a post that can have none of those that are free.
    fn grow_by_exchange(&mut self, post: usize) -> Growth {
        let Some(mut found) = self.nearest_free_class(post) else {
            return Growth::Impossible;
        };
        self.free[found.class] -= 1;
        self.free_in_all -= 1;
        while let Some((loser, given_up)) = found.exchanges.pop() {
            // The loser gets one of the class found behind it instead of the one it gives up.
            if let Some(rank) = self.roster.rank(loser, found.class) {
                self.promised[loser][rank] += 1;
            }
            self.promised[loser][given_up] -= 1;
            found.class = self.roster.able[loser][given_up];
        }
        if let Some(rank) = self.roster.rank(post, found.class) {
            self.promised[post][rank] += 1;
        }
        self.counts[post] += 1;
        Growth::Grown
    }

    /// Takes back promises to a post until it has so many; those that are kept stay.
    pub(super) fn shrink_to(&mut self, post: usize, count: usize) {
        for (rank, class) in self.roster.able[post].iter().enumerate().rev() {
            let spare = self.promised[post][rank] - self.kept[post][rank];
            let less = spare.min(self.counts[post].saturating_sub(count));
            self.promised[post][rank] -= less;
            self.counts[post] -= less;
            self.free[*class] += less;
            self.free_in_all += less;
        }
    }

    /// Takes back every promise to a job, also of those that would have been kept.
    pub(super) fn release(&mut self, job: usize) {
        for post in self.roster.posts_of(job) {
            self.kept[post].fill(0);
            self.shrink_to(post, 0);
        }
    }

    fn keep(&mut self, post: usize) {
        let Roster { able, held, .. } = self.roster;
        for (class, (rank, &held)) in able[post].iter().zip(held[post].iter().enumerate()) {
            self.promised[post][rank] = held;
            self.kept[post][rank] = held;
            self.free[*class] -= held;
            self.free_in_all -= held;
            self.counts[post] += held;
        }
    }

    /// The fewest exchanges that free a peer for a post, breadth first.
    fn nearest_free_class(&self, post: usize) -> Option<FreeClass> {
        // For each post reached: the post before it, and the rank of the class it would give up.
        let mut reached: Vec<Option<(usize, usize)>> = vec![None; self.counts.len()];
        let mut seen_class = vec![false; self.free.len()];
        let mut queue = VecDeque::from([post]);
        while let Some(at) = queue.pop_front() {
            for &class in &self.roster.able[at] {
                if std::mem::replace(&mut seen_class[class], true) {
                    continue;
                }
                if self.free[class] > 0 {
                    return Some(FreeClass {
                        class,
                        exchanges: path(&reached, at, post),
                    });
                }
                for &(holder, rank) in self.of_class(class) {
                    let gives = self.promised[holder][rank] > self.kept[holder][rank];
                    if gives && holder != post && reached[holder].is_none() {
                        reached[holder] = Some((at, rank));
                        queue.push_back(holder);
                    }
                }
            }
        }
        None
    }
}

/// A class with a free peer, and who gives up a peer of which class on the way to it, nearest to
/// the growing post first.
struct FreeClass {
    class: usize,
    exchanges: Vec<(usize, usize)>,
}

fn path(reached: &[Option<(usize, usize)>], mut at: usize, start: usize) -> Vec<(usize, usize)> {
    let mut exchanges = Vec::new();
    while at != start {
        let Some((before, rank)) = reached[at] else {
            break;
        };
        exchanges.push((at, rank));
        at = before;
    }
    exchanges.reverse();
    exchanges
}

/// Whether a post could get one more peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Grown,
    Impossible,
}
