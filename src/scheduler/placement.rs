//! Which peers: exact counts with as few moves as possible.
//!
//! A peer that stays where it is costs nothing, any other placement costs one; the cheapest way to
//! meet the counts is a flow of least cost from posts to classes of peers. A class can be had at no
//! cost for as many peers of it as hold the post now, and for one each beyond. Everybody who can
//! stay stays at first, which costs nothing and is therefore optimal for what it places; every
//! augmenting path of least cost keeps it so.

use super::capacity::Capacity;
use super::roster::{Roster, RosterTask};
use super::rows::Rows;
use std::collections::VecDeque;

/// Who is at each post of the jobs that change, each row in a fixed order.
#[derive(Debug)]
pub(super) struct Placed {
    /// What becomes of each job.
    pub(super) fates: Vec<Fate>,
    /// Those that stay, by index.
    pub(super) stay: Rows<usize>,
    /// Those that come.
    pub(super) come: Rows<usize>,
}

/// What becomes of the peers of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Everybody who holds a slot stays, and nobody comes.
    Unchanged,
    Changed,
}

/// The peers of each post of the roster.
pub(super) fn place(roster: &Roster<'_>, capacity: &Capacity<'_>) -> Placed {
    let mut flow = Flow::new(roster, capacity);
    for post in 0..roster.posts.len() {
        while flow.missing[post] > 0 && flow.augment(post) == Augmented::Yes {}
    }
    name_peers(roster, &flow.placed)
}

struct Flow<'a> {
    roster: &'a Roster<'a>,
    capacity: &'a Capacity<'a>,
    /// Peers placed: post, rank of the class at the post.
    placed: Rows<usize>,
    /// Peers that each post still lacks.
    missing: Vec<usize>,
    /// Peers of each class that are not placed.
    unplaced: Vec<usize>,
    displaced: Displaced,
}

/// Whether somebody has made room for another. Until then nothing is cheaper than a peer that is
/// not placed yet, and no path has to be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Displaced {
    Nobody,
    Somebody,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Augmented {
    Yes,
    No,
}

/// A node of the flow.
#[derive(Clone, Copy)]
enum Node {
    Post(usize),
    Class(usize),
}

/// One step of a path: a post takes more of the class with the rank `takes`, and of the one with
/// the rank `gives`, unless it is the one that grows, less.
#[derive(Clone, Copy)]
struct Exchange {
    post: usize,
    takes: usize,
    gives: Option<usize>,
}

impl<'a> Flow<'a> {
    /// Everybody who can stay stays.
    fn new(roster: &'a Roster<'a>, capacity: &'a Capacity<'a>) -> Self {
        let mut unplaced = roster.class_sizes.clone();
        let mut missing = capacity.counts().to_vec();
        let mut placed = roster.held.clone();
        for (post, missing) in missing.iter_mut().enumerate() {
            for (class, stay) in roster.able[post].iter().zip(&mut placed[post]) {
                *stay = (*stay).min(*missing);
                *missing -= *stay;
                unplaced[*class] -= *stay;
            }
        }
        Flow {
            roster,
            capacity,
            placed,
            missing,
            unplaced,
            displaced: Displaced::Nobody,
        }
    }

    /// Places as many more peers at the post as one cheapest path brings.
    fn augment(&mut self, post: usize) -> Augmented {
        if self.displaced == Displaced::Nobody
            && let Some(rank) = self.free_rank(post)
        {
            let class = self.roster.able[post][rank];
            let amount = self.missing[post].min(self.unplaced[class]);
            self.placed[post][rank] += amount;
            self.unplaced[class] -= amount;
            self.missing[post] -= amount;
            return Augmented::Yes;
        }
        self.displaced = Displaced::Somebody;
        let paths = self.cheapest_paths(post);
        let free = (0..self.unplaced.len()).filter(|class| self.unplaced[*class] > 0);
        let reached = free.filter_map(|class| Some((paths.to_classes[class]?.0, class)));
        let Some((_, end)) = reached.min() else {
            return Augmented::No;
        };
        let steps = self.steps(&paths, end);
        let mut amount = self.missing[post].min(self.unplaced[end]);
        for step in &steps {
            amount = amount.min(self.most_at_this_cost(step));
        }
        for step in steps {
            self.placed[step.post][step.takes] += amount;
            if let Some(gives) = step.gives {
                self.placed[step.post][gives] -= amount;
            }
        }
        self.unplaced[end] -= amount;
        self.missing[post] -= amount;
        Augmented::Yes
    }

    fn free_rank(&self, post: usize) -> Option<usize> {
        let mut classes = self.roster.able[post].iter();
        classes.position(|class| self.unplaced[*class] > 0)
    }

    /// From the end back to the growing post: each class is entered from a post, which is itself
    /// entered from a class it gives back peers of.
    fn steps(&self, paths: &Paths, end: usize) -> Vec<Exchange> {
        let mut steps = Vec::new();
        let mut class = end;
        while let Some((_, post, takes)) = paths.to_classes[class] {
            let gives = paths.to_posts[post].and_then(|(_, gives)| gives);
            steps.push(Exchange { post, takes, gives });
            let Some(gives) = gives else { break };
            class = self.roster.able[post][gives];
        }
        steps
    }

    /// How many peers can be exchanged before one of them costs something else.
    fn most_at_this_cost(&self, step: &Exchange) -> usize {
        let Exchange { post, takes, gives } = *step;
        let held = &self.roster.held[post];
        let taken = match held[takes].saturating_sub(self.placed[post][takes]) {
            0 => usize::MAX,
            back_home => back_home,
        };
        let given = gives.map_or(usize::MAX, |gives| {
            let placed = self.placed[post][gives];
            match placed.saturating_sub(held[gives]) {
                // A post that keeps its peers gives newcomers alone.
                0 => placed,
                newcomers => newcomers,
            }
        });
        taken.min(given)
    }

    /// What one more peer of a class costs a post.
    fn cost_of_taking(&self, post: usize, rank: usize) -> i64 {
        i64::from(self.placed[post][rank] >= self.roster.held[post][rank])
    }

    /// What giving one back saves; none when nobody may go.
    fn saved_by_giving(&self, post: usize, rank: usize) -> Option<i64> {
        let placed = self.placed[post][rank];
        let gives = placed > self.capacity.kept(post)[rank];
        gives.then(|| i64::from(placed > self.roster.held[post][rank]))
    }

    /// Cheapest ways from a post to every class; costs may be negative where a move is undone.
    fn cheapest_paths(&self, start: usize) -> Paths {
        let mut paths = Paths {
            to_posts: vec![None; self.missing.len()],
            to_classes: vec![None; self.unplaced.len()],
        };
        paths.to_posts[start] = Some((0, None));
        let mut queue = VecDeque::from([Node::Post(start)]);
        while let Some(node) = queue.pop_front() {
            match node {
                Node::Post(post) => self.relax_post(post, &mut paths, &mut queue),
                Node::Class(class) => self.relax_class(class, &mut paths, &mut queue),
            }
        }
        paths
    }

    fn relax_post(&self, post: usize, paths: &mut Paths, queue: &mut VecDeque<Node>) {
        let Some((so_far, _)) = paths.to_posts[post] else {
            return;
        };
        for (rank, &class) in self.roster.able[post].iter().enumerate() {
            let cost = so_far + self.cost_of_taking(post, rank);
            if paths.to_classes[class].is_none_or(|(known, _, _)| cost < known) {
                paths.to_classes[class] = Some((cost, post, rank));
                queue.push_back(Node::Class(class));
            }
        }
    }

    fn relax_class(&self, class: usize, paths: &mut Paths, queue: &mut VecDeque<Node>) {
        let Some((so_far, _, _)) = paths.to_classes[class] else {
            return;
        };
        for &(post, rank) in self.capacity.of_class(class) {
            let Some(saved) = self.saved_by_giving(post, rank) else {
                continue;
            };
            let cost = so_far - saved;
            if paths.to_posts[post].is_none_or(|(known, _)| cost < known) {
                paths.to_posts[post] = Some((cost, Some(rank)));
                queue.push_back(Node::Post(post));
            }
        }
    }
}

/// Cost and node before, of every node that is reached.
struct Paths {
    /// The rank of the class that the post gives back.
    to_posts: Vec<Option<(i64, Option<usize>)>>,
    /// The post that takes, and the rank of the class there.
    to_classes: Vec<Option<(i64, usize, usize)>>,
}

/// What becomes of each job when so many peers of each class are at each post.
fn fates(roster: &Roster<'_>, placed: &Rows<usize>) -> Vec<Fate> {
    let is_unchanged = |task: &RosterTask<'_>| {
        let posts = task.posts.clone();
        let holders: usize = posts.clone().map(|post| roster.holders(post)).sum();
        holders == task.slots
            && posts
                .into_iter()
                .all(|post| placed[post] == roster.held[post])
    };
    let jobs = roster.jobs.iter();
    jobs.map(
        |job| match roster.tasks[job.tasks.clone()].iter().all(is_unchanged) {
            true => Fate::Unchanged,
            false => Fate::Changed,
        },
    )
    .collect()
}

/// From numbers to peers: those with the smallest slots stay, those with the smallest ids come.
/// Nearly always most jobs go on as they are, and those who work for them need no names.
fn name_peers(roster: &Roster<'_>, placed: &Rows<usize>) -> Placed {
    let fates = fates(roster, placed);
    let fate_of = |post: usize| fates[roster.tasks[roster.posts[post].task].job];
    let mut seated = Vec::new();
    let mut idle = Vec::new();
    for (index, peer) in roster.peers.iter().enumerate() {
        match peer.holds {
            Some((post, _)) if fate_of(post) == Fate::Unchanged => {}
            Some((post, slot)) => seated.push((post, (slot, index))),
            None => idle.push((peer.class, index)),
        }
    }
    let mut holders = Rows::grouped(placed.len(), seated.iter().copied());
    let mut stay = Rows::with_capacity(placed.len());
    let mut comers = placed.clone();
    for post in 0..placed.len() {
        holders[post].sort_unstable();
        stay.push(holders[post].iter().filter_map(|(_, index)| {
            let class = roster.peers[*index].class;
            let rank = roster.rank(post, class);
            let stays = rank.and_then(|rank| {
                comers[post][rank] = comers[post][rank].checked_sub(1)?;
                Some(*index)
            });
            if stays.is_none() {
                idle.push((class, *index));
            }
            stays
        }));
    }
    // Those who leave a post are at their place among the others again.
    idle.sort_unstable_by_key(|(_, index)| *index);
    let idle = Rows::grouped(roster.class_sizes.len(), idle.iter().copied());
    let mut taken = vec![0; idle.len()];
    let mut come = Rows::with_capacity(placed.len());
    for (post, (classes, comers)) in roster.able.iter().zip(comers.iter()).enumerate() {
        if fate_of(post) == Fate::Unchanged {
            come.push([]);
            continue;
        }
        come.push(classes.iter().zip(comers).flat_map(|(&class, amount)| {
            let first = taken[class];
            taken[class] = idle[class].len().min(first + amount);
            idle[class][first..taken[class]].iter().copied()
        }));
    }
    Placed { fates, stay, come }
}
