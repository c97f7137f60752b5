//! Which jobs could run: slow and plain answers, independent of the scheduler's, to compare with
//! what the scheduler did and with why it says so.

use onyx::config::{JobScheduler, Transport};
use onyx::ids::{GroupId, JobId, PeerId};
use onyx::job::{FluxPolicy, TaskScheduler};
use onyx::replica::{JobRecord, JobState, Replica, Site, TaskRecord};
use onyx::scheduler::{Explanation, explain};
use std::collections::{BTreeMap, BTreeSet};

/// No job waits that could be covered beside those that run, and each that waits is told why.
pub(crate) fn check(replica: &Replica) {
    for job in &replica.jobs.live {
        if replica.job_state(*job) != Some(JobState::Waiting) {
            continue;
        }
        let record = replica.record(*job).expect("a live job has a record");
        let alone = could_run(replica, record);
        match explain(replica, *job) {
            Explanation::Busy { .. } => assert!(alone, "{job} is not kept from running by others"),
            Explanation::Unknown
            | Explanation::Completed
            | Explanation::Killed { .. }
            | Explanation::Allocated(_) => panic!("{job} waits, which explain does not know"),
            reason => assert!(!alone, "{job} could run, though {reason:?}"),
        }
        for crew in crews(replica) {
            assert!(
                !fits_beside_others(replica, record, &crew),
                "{job} waits though there is room: {record:?}"
            );
        }
    }
}

/// Whether a job could run if there were no others.
pub(crate) fn could_run(replica: &Replica, record: &JobRecord) -> bool {
    let crews = crews(replica);
    crews.iter().any(|crew| has_room(replica, record, crew))
}

/// Whether these peers, who can work together, are enough for a job.
fn has_room(replica: &Replica, record: &JobRecord, crew: &[PeerId]) -> bool {
    match record.task_scheduler {
        TaskScheduler::Colocated => {
            // Every task has one peer of each copy.
            let least = record.tasks.iter().map(|task| task.min_peers).max();
            // A task that recovers has as many as it needs, and no more.
            let most = record
                .tasks
                .iter()
                .filter_map(|task| match task.flux_policy {
                    Some(FluxPolicy::Recover) => Some(task.min_peers),
                    _ => task.max_peers,
                });
            let (least, most) = (least.unwrap_or(0), most.min().unwrap_or(u32::MAX));
            least <= most && copies(replica, record, crew) >= least
        }
        TaskScheduler::Balanced | TaskScheduler::Percentage => {
            all_found(replica, &minima(record).collect::<Vec<_>>(), crew)
        }
    }
}

/// Peers that can work together: all, or those of each process.
fn crews(replica: &Replica) -> Vec<Vec<PeerId>> {
    let membership = &replica.membership;
    match replica.agreed.messaging {
        Transport::Aeron => vec![membership.peers.clone()],
        Transport::Local => {
            let mut crews: BTreeMap<GroupId, Vec<PeerId>> = BTreeMap::new();
            for peer in &membership.peers {
                let group = membership.members[peer].group;
                crews.entry(group).or_default().push(*peer);
            }
            crews.into_values().collect()
        }
    }
}

/// Copies of a whole job, each at one site.
fn copies(replica: &Replica, record: &JobRecord, crew: &[PeerId]) -> u32 {
    let mut sites: BTreeMap<&Site, Vec<PeerId>> = BTreeMap::new();
    for peer in crew {
        let site = &replica.membership.members[peer].site;
        sites.entry(site).or_default().push(*peer);
    }
    let room = |peers: &Vec<PeerId>| {
        let fits = |copies: &u32| {
            let places = record.tasks.iter().flat_map(|task| times(task, *copies));
            all_found(replica, &places.collect::<Vec<_>>(), peers)
        };
        (1..=peers.len() as u32).take_while(fits).count() as u32
    };
    sites.values().map(room).sum()
}

/// Whether a waiting job fits beside what the running jobs of the crew cannot do without. With the
/// greedy scheduler these are all that they have. So it is here when one of them is colocated: what
/// it cannot do without depends on where its copies are, but who idles is nobody's.
fn fits_beside_others(replica: &Replica, record: &JobRecord, crew: &[PeerId]) -> bool {
    let running: Vec<(JobId, &JobRecord)> = replica
        .allocations
        .iter()
        .filter(|(_, allocation)| allocation.peers().any(|peer| crew.contains(&peer)))
        .filter_map(|(job, _)| Some((*job, replica.record(*job)?.as_ref())))
        .collect();
    let colocated = |record: &JobRecord| record.task_scheduler == TaskScheduler::Colocated;
    let with_copies = colocated(record) || running.iter().any(|(_, record)| colocated(record));
    if with_copies || replica.agreed.job_scheduler == JobScheduler::Greedy {
        let idle: BTreeSet<PeerId> = replica.unassigned().into_iter().collect();
        let idle: Vec<PeerId> = crew
            .iter()
            .filter(|it| idle.contains(it))
            .copied()
            .collect();
        return has_room(replica, record, &idle);
    }
    let mut places: Vec<&TaskRecord> = minima(record).collect();
    let mut movable: BTreeSet<PeerId> = crew.iter().copied().collect();
    for (job, record) in running {
        for task in &record.tasks {
            let slots = replica.allocations[&job].tasks.get(&task.name);
            let holders: Vec<PeerId> = slots
                .into_iter()
                .flat_map(|it| it.values().copied())
                .collect();
            match task.flux_policy {
                // Whoever holds a slot of these stays in it.
                Some(FluxPolicy::Kill | FluxPolicy::Recover) => {
                    let missing = task.min_peers.saturating_sub(holders.len() as u32);
                    places.extend(times(task, missing));
                    holders.iter().for_each(|peer| {
                        movable.remove(peer);
                    });
                }
                Some(FluxPolicy::Continue) | None => places.extend(times(task, task.min_peers)),
            }
        }
    }
    let crew: Vec<PeerId> = movable.into_iter().collect();
    let crew = &crew;
    all_found(replica, &places, crew)
}

/// A place for each peer that a job cannot do without.
fn minima(record: &JobRecord) -> impl Iterator<Item = &TaskRecord> {
    let tasks = record.tasks.iter();
    tasks.flat_map(|task| times(task, task.min_peers))
}

fn times(task: &TaskRecord, count: u32) -> impl Iterator<Item = &TaskRecord> {
    (0..count).map(move |_| task)
}

/// Whether every place finds a peer: one after another takes one, and others make room.
fn all_found(replica: &Replica, places: &[&TaskRecord], peers: &[PeerId]) -> bool {
    if places.len() > peers.len() {
        return false;
    }
    let mut taken: BTreeMap<PeerId, usize> = BTreeMap::new();
    (0..places.len()).all(|place| {
        let mut tried = BTreeSet::new();
        finds_peer(replica, places, peers, place, &mut tried, &mut taken)
    })
}

fn finds_peer(
    replica: &Replica,
    places: &[&TaskRecord],
    peers: &[PeerId],
    place: usize,
    tried: &mut BTreeSet<PeerId>,
    taken: &mut BTreeMap<PeerId, usize>,
) -> bool {
    let task = places[place];
    for peer in peers {
        let member = &replica.membership.members[peer];
        let able =
            task.words.is_subset(&member.words) && task.required_tags.is_subset(&member.tags);
        if !able || !tried.insert(*peer) {
            continue;
        }
        let holder = taken.get(peer).copied();
        let free =
            holder.is_none_or(|holder| finds_peer(replica, places, peers, holder, tried, taken));
        if free {
            taken.insert(*peer, place);
            return true;
        }
    }
    false
}
