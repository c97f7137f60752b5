//! Which peers: exact counts with as few moves as possible.
//!
//! A peer that stays where it is costs nothing, any other placement costs one; the cheapest way to
//! meet the counts is a flow of least cost. Peers that can do the same and hold the same are one
//! node of it, so its size follows the number of tasks rather than of peers. Everybody who can stay
//! stays at first, which costs nothing and is therefore optimal for what it places; every augmenting
//! path of least cost keeps it so.

use super::roster::Roster;
use std::collections::{BTreeMap, VecDeque};

/// The peers of each task of the roster: those that stay first, then the ones that come, each in
/// a fixed order.
pub(super) fn place(roster: &Roster<'_>, counts: &[usize]) -> Vec<Vec<usize>> {
    let mut flow = Flow::new(roster, counts);
    for task in 0..counts.len() {
        while flow.missing[task] > 0 && flow.augment(task) == Augmented::Yes {}
    }
    flow.peers_of_tasks()
}

struct Flow<'a> {
    roster: &'a Roster<'a>,
    groups: Vec<Group>,
    /// Groups of each class.
    of_class: Vec<Vec<usize>>,
    /// Peers placed: task, group.
    placed: Vec<Vec<usize>>,
    /// Peers that each task still lacks.
    missing: Vec<usize>,
}

/// Peers that can do the same and hold the same task.
struct Group {
    holds: Option<usize>,
    /// Those with the smallest slots, then those with the smallest ids, first.
    peers: Vec<usize>,
    unplaced: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Augmented {
    Yes,
    No,
}

/// A node of the flow.
#[derive(Clone, Copy)]
enum Node {
    Task(usize),
    Group(usize),
}

impl<'a> Flow<'a> {
    /// Everybody who can stay stays.
    fn new(roster: &'a Roster<'a>, counts: &[usize]) -> Self {
        let mut members: BTreeMap<(usize, Option<usize>), Vec<_>> = BTreeMap::new();
        for (index, peer) in roster.peers.iter().enumerate() {
            let wanted = peer.holds.filter(|(task, _)| counts[*task] > 0);
            let able = wanted.filter(|(task, _)| roster.tasks[*task].classes.contains(&peer.class));
            let slot = able.map(|(_, slot)| slot);
            let group = members
                .entry((peer.class, able.map(|(task, _)| task)))
                .or_default();
            group.push((slot, index));
        }
        let mut flow = Flow {
            roster,
            of_class: vec![Vec::new(); roster.class_sizes.len()],
            placed: vec![vec![0; members.len()]; counts.len()],
            groups: Vec::with_capacity(members.len()),
            missing: counts.to_vec(),
        };
        for ((class, holds), mut peers) in members {
            peers.sort_unstable();
            let group = flow.groups.len();
            let mut unplaced = peers.len();
            if let Some(task) = holds {
                let stay = unplaced.min(flow.missing[task]);
                flow.placed[task][group] = stay;
                flow.missing[task] -= stay;
                unplaced -= stay;
            }
            let peers = peers.into_iter().map(|(_, index)| index).collect();
            flow.of_class[class].push(group);
            flow.groups.push(Group {
                holds,
                peers,
                unplaced,
            });
        }
        flow
    }

    fn cost(&self, task: usize, group: usize) -> i64 {
        i64::from(self.groups[group].holds != Some(task))
    }

    /// Places as many more peers at the task as one cheapest path brings.
    fn augment(&mut self, task: usize) -> Augmented {
        let paths = self.cheapest_paths(task);
        let reached = (0..self.groups.len()).filter(|group| self.groups[*group].unplaced > 0);
        let reached = reached.filter_map(|group| Some((paths.to_groups[group]?.0, group)));
        let Some((_, end)) = reached.min() else {
            return Augmented::No;
        };
        // From the end back to the task: each group is entered from a task, which may itself be
        // entered from a group it gives back peers of.
        let mut steps = Vec::new();
        let mut amount = self.missing[task].min(self.groups[end].unplaced);
        let mut group = end;
        while let Some((_, taker)) = paths.to_groups[group] {
            let given_back = paths.to_tasks[taker].and_then(|(_, given_back)| given_back);
            steps.push((taker, group, given_back));
            let Some(before) = given_back else { break };
            amount = amount.min(self.placed[taker][before]);
            group = before;
        }
        for (taker, taken, given_back) in steps {
            self.placed[taker][taken] += amount;
            if let Some(given_back) = given_back {
                self.placed[taker][given_back] -= amount;
            }
        }
        self.groups[end].unplaced -= amount;
        self.missing[task] -= amount;
        Augmented::Yes
    }

    /// Cheapest ways from a task to every group; costs may be negative where a move is undone.
    fn cheapest_paths(&self, start: usize) -> Paths {
        let mut paths = Paths {
            to_tasks: vec![None; self.missing.len()],
            to_groups: vec![None; self.groups.len()],
        };
        paths.to_tasks[start] = Some((0, None));
        let mut queue = VecDeque::from([Node::Task(start)]);
        while let Some(node) = queue.pop_front() {
            match node {
                Node::Task(task) => self.relax_task(task, &mut paths, &mut queue),
                Node::Group(group) => self.relax_group(group, &mut paths, &mut queue),
            }
        }
        paths
    }

    fn relax_task(&self, task: usize, paths: &mut Paths, queue: &mut VecDeque<Node>) {
        let Some((so_far, _)) = paths.to_tasks[task] else {
            return;
        };
        let classes = self.roster.tasks[task].classes.iter();
        for &group in classes.flat_map(|class| &self.of_class[*class]) {
            let cost = so_far + self.cost(task, group);
            if paths.to_groups[group].is_none_or(|(known, _)| cost < known) {
                paths.to_groups[group] = Some((cost, task));
                queue.push_back(Node::Group(group));
            }
        }
    }

    fn relax_group(&self, group: usize, paths: &mut Paths, queue: &mut VecDeque<Node>) {
        let Some((so_far, _)) = paths.to_groups[group] else {
            return;
        };
        for task in 0..self.placed.len() {
            if self.placed[task][group] == 0 {
                continue;
            }
            let cost = so_far - self.cost(task, group);
            if paths.to_tasks[task].is_none_or(|(known, _)| cost < known) {
                paths.to_tasks[task] = Some((cost, Some(group)));
                queue.push_back(Node::Task(task));
            }
        }
    }

    fn peers_of_tasks(&self) -> Vec<Vec<usize>> {
        let mut tasks = vec![Vec::new(); self.placed.len()];
        for (index, group) in self.groups.iter().enumerate() {
            let mut peers = group.peers.iter().copied();
            let others = (0..tasks.len()).filter(|task| group.holds != Some(*task));
            for task in group.holds.into_iter().chain(others) {
                tasks[task].extend(peers.by_ref().take(self.placed[task][index]));
            }
        }
        tasks
    }
}

/// Cost and node before, of every node that is reached.
struct Paths {
    to_tasks: Vec<Option<(i64, Option<usize>)>>,
    to_groups: Vec<Option<(i64, usize)>>,
}
