//! The scheduling question in small numbers: peers, classes of peers that can do the same, tasks.

use crate::ids::{JobId, PeerId, SlotId};
use crate::job::TaskScheduler;
use crate::replica::{JobRecord, Replica, TaskRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Peers and live jobs. Peers, classes, tasks and jobs go by their index here.
#[derive(Debug)]
pub(super) struct Roster<'a> {
    /// Joined peers, sorted.
    pub(super) peers: Vec<RosterPeer>,
    /// How many peers each class has. Peers of a class can do the same tasks.
    pub(super) class_sizes: Vec<usize>,
    /// Live jobs in the order of their submission.
    pub(super) jobs: Vec<RosterJob>,
    /// The tasks of all of them, job by job, each in topological order.
    pub(super) tasks: Vec<RosterTask<'a>>,
}

#[derive(Debug)]
pub(super) struct RosterPeer {
    pub(super) id: PeerId,
    pub(super) class: usize,
    /// The task and slot it holds now.
    pub(super) holds: Option<(usize, SlotId)>,
}

#[derive(Debug)]
pub(super) struct RosterJob {
    pub(super) id: JobId,
    pub(super) tasks: Range<usize>,
    /// The fewest peers it runs with.
    pub(super) needs: u64,
    pub(super) state: RosterState,
    pub(super) task_scheduler: TaskScheduler,
}

/// Whether a job has its peers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RosterState {
    Running,
    Waiting,
}

#[derive(Debug)]
pub(super) struct RosterTask<'a> {
    pub(super) record: &'a TaskRecord,
    /// The most peers it may get: its maximum; for a task to which nothing more comes, those that
    /// it has, since nobody new could help.
    pub(super) most: usize,
    /// The classes that know its words, ascending.
    pub(super) classes: Vec<usize>,
}

impl RosterTask<'_> {
    pub(super) fn min(&self) -> usize {
        self.record.min_peers.max(1) as usize
    }
}

impl<'a> Roster<'a> {
    pub(super) fn new(replica: &'a Replica) -> Self {
        let jobs = replica.jobs.live.iter();
        let jobs: Vec<(JobId, &JobRecord)> = jobs
            .filter_map(|job| Some((*job, replica.record(*job)?.as_ref())))
            .collect();
        Self::of_jobs(replica, &jobs)
    }

    /// As if these were the live jobs.
    pub(super) fn of_jobs(replica: &'a Replica, records: &[(JobId, &'a JobRecord)]) -> Self {
        let mut jobs = Vec::with_capacity(records.len());
        let mut tasks = Vec::new();
        let mut held = BTreeMap::new();
        for (id, record) in records {
            let first = tasks.len();
            let allocation = replica.allocations.get(id);
            let progress = replica.progress.get(id);
            let finished = progress.map(|progress| progress.finished_tasks(record));
            for task in &record.tasks {
                let slots = allocation.and_then(|allocation| allocation.tasks.get(&task.name));
                for (slot, peer) in slots.into_iter().flatten() {
                    held.insert(*peer, (tasks.len(), *slot));
                }
                let has = slots.map_or(0, BTreeMap::len);
                let is_finished = finished.as_ref().is_some_and(|f| f.contains(&task.name));
                let most = task.max_peers.map_or(usize::MAX, |max| max as usize);
                let most = if is_finished { most.min(has) } else { most };
                tasks.push(RosterTask {
                    record: task,
                    most,
                    classes: Vec::new(),
                });
            }
            jobs.push(RosterJob {
                id: *id,
                tasks: first..tasks.len(),
                needs: record.min_peers(),
                task_scheduler: record.task_scheduler,
                state: match allocation {
                    Some(_) => RosterState::Running,
                    None => RosterState::Waiting,
                },
            });
        }
        let (peers, class_sizes) = classify(replica, &mut tasks, &held);
        Roster {
            peers,
            class_sizes,
            jobs,
            tasks,
        }
    }
}

/// Sorts peers into classes by what they can do, and tells the tasks which classes can do them.
fn classify(
    replica: &Replica,
    tasks: &mut [RosterTask<'_>],
    held: &BTreeMap<PeerId, (usize, SlotId)>,
) -> (Vec<RosterPeer>, Vec<usize>) {
    let mut by_words: BTreeMap<&BTreeSet<String>, usize> = BTreeMap::new();
    let mut by_ability: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
    let mut class_sizes = Vec::new();
    let mut peers = Vec::with_capacity(replica.membership.peers.len());
    let sorted: BTreeSet<PeerId> = replica.membership.peers.iter().copied().collect();
    let nothing = BTreeSet::new();
    for id in sorted {
        let member = replica.membership.members.get(&id);
        let words = member.map_or(&nothing, |member| member.words.as_ref());
        let class = *by_words.entry(words).or_insert_with(|| {
            let knows = |task: &RosterTask<'_>| task.record.words.is_subset(words);
            let ability = tasks.iter().map(knows).collect();
            *by_ability.entry(ability).or_insert_with(|| {
                class_sizes.push(0);
                class_sizes.len() - 1
            })
        });
        class_sizes[class] += 1;
        peers.push(RosterPeer {
            id,
            class,
            holds: held.get(&id).copied(),
        });
    }
    for (ability, class) in by_ability {
        let able = tasks.iter_mut().zip(ability).filter(|(_, able)| *able);
        able.for_each(|(task, _)| task.classes.push(class));
    }
    tasks
        .iter_mut()
        .for_each(|task| task.classes.sort_unstable());
    (peers, class_sizes)
}
