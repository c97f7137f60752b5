//! The colocated task scheduler: whole copies of the job, each at one site, so that segments need
//! not leave it.
//!
//! A site with n peers has room for floor(n / tasks) copies. Copies stay where they are; new ones
//! begin where most peers idle.

use crate::scheduler::capacity::{Capacity, Growth};
use crate::scheduler::roster::Roster;
use std::cmp::Reverse;

/// A colocated job that gets copies.
#[derive(Debug)]
pub(in crate::scheduler) struct Copies {
    /// The first post of each task; those at one site have the same distance from it.
    posts: Vec<usize>,
    /// How many copies it may have.
    most: usize,
    /// The sites where it may get one, those to be asked first at the front.
    sites: Vec<CopySite>,
}

#[derive(Debug)]
struct CopySite {
    /// Which of the posts of each task is at this site.
    rank: usize,
    /// Copies that run here now.
    present: usize,
    /// Copies that are promised.
    promised: usize,
    room: Room,
}

/// Whether a site may have room for one more copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Maybe,
    /// What it has no room for now it will have no room for later.
    None,
}

impl Copies {
    /// Of a job, with the copies that it was promised already.
    pub(in crate::scheduler) fn of(
        roster: &Roster<'_>,
        capacity: &Capacity<'_>,
        job: usize,
    ) -> Self {
        let tasks = &roster.tasks[roster.jobs[job].tasks.clone()];
        let posts: Vec<usize> = tasks.iter().map(|task| task.posts.start).collect();
        let fewest = |rank: usize, count: &dyn Fn(usize) -> usize| {
            let counts = posts.iter().map(|first| count(first + rank));
            counts.min().unwrap_or(0)
        };
        let mut sites: Vec<(usize, CopySite)> = idle_by_site(roster, job)
            .into_iter()
            .enumerate()
            .map(|(rank, idle)| {
                let site = CopySite {
                    rank,
                    present: fewest(rank, &|post| roster.holders(post)),
                    promised: fewest(rank, &|post| capacity.counts()[post]),
                    room: Room::Maybe,
                };
                (idle, site)
            })
            .collect();
        sites.sort_by_key(|(idle, site)| (Reverse(site.present), Reverse(*idle), site.rank));
        Copies {
            most: tasks.iter().map(|task| task.most).min().unwrap_or(0),
            sites: sites.into_iter().map(|(_, site)| site).collect(),
            posts,
        }
    }

    /// How many peers a copy has.
    pub(super) fn size(&self) -> usize {
        self.posts.len()
    }

    /// How many copies are promised.
    pub(in crate::scheduler) fn promised(&self) -> usize {
        self.sites.iter().map(|site| site.promised).sum()
    }

    /// Whether every peer that is promised belongs to a copy. One that a task keeps may be alone when
    /// a copy has lost another.
    pub(in crate::scheduler) fn are_whole(&self, capacity: &Capacity<'_>) -> bool {
        self.sites.iter().all(|site| {
            let mut posts = self.posts.iter().map(|first| first + site.rank);
            posts.all(|post| capacity.counts()[post] == site.promised)
        })
    }

    /// Promises one more copy: where one is that would have to go, or else at the first site that
    /// can have one.
    pub(in crate::scheduler) fn add(&mut self, capacity: &mut Capacity<'_>) -> Growth {
        if self.promised() >= self.most {
            return Growth::Impossible;
        }
        while let Some(next) = self.next_site() {
            if self.add_at(next, capacity) == Growth::Grown {
                return Growth::Grown;
            }
            self.sites[next].room = Room::None;
        }
        Growth::Impossible
    }

    fn next_site(&self) -> Option<usize> {
        let open = |site: &CopySite| site.room == Room::Maybe;
        let stays = |site: &CopySite| open(site) && site.promised < site.present;
        let mut sites = self.sites.iter();
        let stay = sites.position(stays);
        stay.or_else(|| self.sites.iter().position(open))
    }

    fn add_at(&mut self, index: usize, capacity: &mut Capacity<'_>) -> Growth {
        let site = &mut self.sites[index];
        let posts = self.posts.iter().map(|first| first + site.rank);
        for post in posts.clone() {
            // A task that keeps its peers may have them already.
            if capacity.counts()[post] > site.promised {
                continue;
            }
            if capacity.grow(post) == Growth::Impossible {
                posts.for_each(|post| capacity.shrink_to(post, site.promised));
                return Growth::Impossible;
            }
        }
        site.promised += 1;
        Growth::Grown
    }
}

/// Of each site where the job has posts, how many peers hold nothing.
fn idle_by_site(roster: &Roster<'_>, job: usize) -> Vec<usize> {
    let Some(first) = roster.tasks.get(roster.jobs[job].tasks.start) else {
        return Vec::new();
    };
    let mut idle = vec![0; roster.class_sizes.len()];
    for peer in roster.peers.iter().filter(|peer| peer.holds.is_none()) {
        idle[peer.class] += 1;
    }
    let posts = first.posts.clone();
    posts
        .map(|post| roster.able[post].iter().map(|class| idle[*class]).sum())
        .collect()
}
