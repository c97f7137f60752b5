//! The scheduling question of one crew in small numbers: peers, classes of peers that can do the
//! same, jobs, tasks, and the posts to which peers are assigned.

use super::classes::{Classes, Kinds};
use super::reach::{Candidate, Crew, JobState};
use super::register::Register;
use super::rows::Rows;
use crate::config::JobScheduler;
use crate::ids::{JobId, PeerId, SlotId};
use crate::job::{FluxPolicy, TaskScheduler};
use crate::replica::{JobRecord, Replica, Slots, TaskRecord};
use std::ops::Range;

/// Peers and jobs. Peers, classes, posts, tasks and jobs go by their index here.
#[derive(Debug, PartialEq)]
pub(super) struct Roster<'a> {
    pub(super) job_scheduler: JobScheduler,
    /// Joined peers, sorted.
    pub(super) peers: Vec<RosterPeer>,
    /// How many peers each class has. Peers of a class can do the same tasks, at the same site
    /// where sites matter.
    pub(super) class_sizes: Vec<usize>,
    /// Live jobs in the order of their submission.
    pub(super) jobs: Vec<RosterJob<'a>>,
    /// The tasks of all of them, job by job, each in topological order.
    pub(super) tasks: Vec<RosterTask<'a>>,
    /// The posts of all tasks, task by task.
    pub(super) posts: Vec<Post>,
    /// Of each post, the classes that can do it, those that can do little else first.
    pub(super) able: Rows<usize>,
    /// Of each of these classes, how many peers hold the post now.
    pub(super) held: Rows<usize>,
}

#[derive(Debug, PartialEq)]
pub(super) struct RosterPeer {
    pub(super) id: PeerId,
    pub(super) class: usize,
    /// The post and slot it holds now.
    pub(super) holds: Option<(usize, SlotId)>,
}

#[derive(Debug, PartialEq)]
pub(super) struct RosterJob<'a> {
    pub(super) id: JobId,
    pub(super) record: &'a JobRecord,
    pub(super) tasks: Range<usize>,
    /// The fewest peers it runs with.
    pub(super) needs: u64,
    pub(super) state: JobState,
}

#[derive(Debug, PartialEq)]
pub(super) struct RosterTask<'a> {
    pub(super) record: &'a TaskRecord,
    pub(super) job: usize,
    pub(super) posts: Range<usize>,
    /// The fewest peers it may have: its minimum; while it is frozen, those that it has.
    pub(super) least: usize,
    /// The most peers it may get: its maximum; for a task to which nothing more comes and for one
    /// that is frozen, those that it has.
    pub(super) most: usize,
    /// Slots that it has now, those of peers that are gone included.
    pub(super) slots: usize,
    pub(super) keeps: Keeps,
}

/// Whether a task lets its peers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Any may be moved away.
    None,
    /// As long as its job runs, whoever is there stays.
    All,
}

/// Places of one task that are as good as each other: all of them, or those at one site.
#[derive(Debug, PartialEq)]
pub(super) struct Post {
    pub(super) task: usize,
}

impl<'a> Roster<'a> {
    /// The question of one crew, if these are the jobs.
    pub(super) fn new(replica: &'a Replica, crew: &Crew<'a>, candidates: &[Candidate<'a>]) -> Self {
        let amount = candidates.iter().map(|it| it.record.tasks.len()).sum();
        let mut jobs = Vec::with_capacity(candidates.len());
        let mut tasks = Vec::with_capacity(amount);
        let mut holders = Vec::with_capacity(crew.peers.len());
        for candidate in candidates {
            let first = tasks.len();
            add_tasks(replica, candidate, jobs.len(), &mut tasks, &mut holders);
            jobs.push(RosterJob {
                id: candidate.id,
                record: candidate.record,
                needs: needs(candidate.record, &tasks[first..]),
                tasks: first..tasks.len(),
                state: candidate.state,
            });
        }
        let kinds = match candidates.iter().any(|it| is_colocated(it.record)) {
            true => Kinds::OfSites,
            false => Kinds::Anywhere,
        };
        let classes = Classes::of(crew, &tasks, kinds);
        let (posts, able) = posts(&jobs, &mut tasks, &classes);
        let peers = crew.peers.iter().zip(&classes.of_peers);
        let peers = peers.map(|((id, _), class)| RosterPeer {
            id: *id,
            class: *class,
            holds: None,
        });
        let mut roster = Roster {
            job_scheduler: replica.agreed.job_scheduler,
            peers: peers.collect(),
            class_sizes: classes.sizes,
            jobs,
            tasks,
            posts,
            held: able.filled(0),
            able,
        };
        roster.seat(holders);
        roster
    }

    /// Whether these are its jobs: of one replica and crew, they alone make the question.
    pub(super) fn is_about(&self, candidates: &[Candidate<'_>]) -> bool {
        let jobs = self.jobs.iter().map(|job| (job.id, job.state));
        jobs.eq(candidates.iter().map(|job| (job.id, job.state)))
    }

    pub(super) fn task_scheduler(&self, job: usize) -> TaskScheduler {
        self.jobs[job].record.task_scheduler
    }

    /// The posts of a job, task by task.
    pub(super) fn posts_of(&self, job: usize) -> Range<usize> {
        let tasks = &self.tasks[self.jobs[job].tasks.clone()];
        match (tasks.first(), tasks.last()) {
            (Some(first), Some(last)) => first.posts.start..last.posts.end,
            _ => 0..0,
        }
    }

    /// Where a class stands among those that can do a post.
    pub(super) fn rank(&self, post: usize, class: usize) -> Option<usize> {
        self.able[post].iter().position(|able| *able == class)
    }

    /// How many peers hold a post now.
    pub(super) fn holders(&self, post: usize) -> usize {
        self.held[post].iter().sum()
    }

    /// Notes what each peer holds. Who is not of this crew, or gone, holds nothing here.
    fn seat(&mut self, holders: Vec<Holder>) {
        let register = Register::of(&self.peers);
        for Holder { peer, task, slot } in holders {
            let Some(index) = register.find(&self.peers, peer) else {
                continue;
            };
            if self.peers[index].holds.is_none() {
                let post = self.hold(task, self.peers[index].class);
                self.peers[index].holds = post.map(|post| (post, slot));
            }
        }
    }

    /// The post at which a peer of a class holds a task.
    fn hold(&mut self, task: usize, class: usize) -> Option<usize> {
        let posts = self.tasks[task].posts.clone();
        posts.into_iter().find_map(|post| {
            let rank = self.rank(post, class)?;
            self.held[post][rank] += 1;
            Some(post)
        })
    }
}

/// A peer, and what the replica says that it holds.
struct Holder {
    peer: PeerId,
    task: usize,
    slot: SlotId,
}

fn add_tasks<'a>(
    replica: &'a Replica,
    candidate: &Candidate<'a>,
    job: usize,
    tasks: &mut Vec<RosterTask<'a>>,
    holders: &mut Vec<Holder>,
) {
    let Candidate {
        id,
        record,
        allocation,
        state,
        ..
    } = candidate;
    let progress = replica.progress.get(id);
    let finished = progress.map(|progress| progress.finished_tasks(record));
    let copies = match is_colocated(record) {
        true => record.min_copies() as usize,
        false => 0,
    };
    for task in &record.tasks {
        let slots = allocation.and_then(|allocation| allocation.tasks.get(&task.name));
        for (slot, peer) in slots.into_iter().flatten() {
            holders.push(Holder {
                peer: *peer,
                task: tasks.len(),
                slot: *slot,
            });
        }
        let has = slots.map_or(0, Slots::len);
        let policy = task.flux_policy.filter(|_| *state == JobState::Running);
        let is_finished = finished.as_ref().is_some_and(|f| f.contains(&task.name));
        let is_frozen = policy == Some(FluxPolicy::Kill);
        let min = task.min_peers.max(1) as usize;
        let max = match task.flux_policy {
            // Each slot is one of a fixed number.
            Some(FluxPolicy::Recover) => min,
            _ => task.max_peers.map_or(usize::MAX, |max| max as usize),
        };
        tasks.push(RosterTask {
            record: task,
            job,
            posts: 0..0,
            least: if is_frozen { min.max(has) } else { min },
            // A copy has a peer of every task, whether that has anything left to do or not.
            most: match is_finished || is_frozen {
                true => max.min(has.max(min).max(copies)),
                false => max,
            },
            slots: has,
            keeps: match policy {
                Some(FluxPolicy::Kill | FluxPolicy::Recover) => Keeps::All,
                Some(FluxPolicy::Continue) | None => Keeps::None,
            },
        });
    }
}

fn is_colocated(record: &JobRecord) -> bool {
    record.task_scheduler == TaskScheduler::Colocated
}

/// The sum of the minima; for a colocated job, whole copies until the last minimum is met.
fn needs(record: &JobRecord, tasks: &[RosterTask<'_>]) -> u64 {
    let least = tasks.iter().map(|task| task.least as u64);
    match is_colocated(record) {
        true => least.max().unwrap_or(0) * tasks.len() as u64,
        false => least.sum(),
    }
}

/// One post for each task; for colocated jobs, one at each site that has room for a copy. And the
/// classes that can do each.
fn posts(
    jobs: &[RosterJob<'_>],
    tasks: &mut [RosterTask<'_>],
    classes: &Classes,
) -> (Vec<Post>, Rows<usize>) {
    let mut posts = Vec::with_capacity(tasks.len());
    let mut able = Rows::with_capacity(tasks.len());
    for job in jobs {
        let anywhere = [None];
        let here: Vec<Option<usize>>;
        let sites: &[Option<usize>] = match is_colocated(job.record) {
            true => {
                here = classes.sites_of(job.tasks.len()).map(Some).collect();
                &here
            }
            false => &anywhere,
        };
        for index in job.tasks.clone() {
            let first = posts.len();
            for &site in sites {
                able.push(classes.able(index, site));
                posts.push(Post { task: index });
            }
            tasks[index].posts = first..posts.len();
        }
    }
    (posts, able)
}
