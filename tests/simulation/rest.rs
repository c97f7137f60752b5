//! What must be true of a cluster that was left alone until nobody had anything to do.

use crate::cluster::{Cluster, ITEMS};
use onyx::ids::{LogPosition, PeerId};
use onyx::job::TaskKind;
use onyx::log::step;
use onyx::replica::{Replica, TaskRecord};
use onyx::scheduler::reallocate;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) fn check(cluster: &Cluster) {
    let replica = cluster.replica();
    check_replay(cluster, &replica);
    let again = reallocate(&replica, LogPosition(u64::MAX));
    assert_eq!(
        again, *replica,
        "something moved though nothing had changed"
    );
    check_items(cluster, &replica);
    if cluster.peers.is_empty() {
        return;
    }
    check_ring(cluster, &replica);
    check_jobs(&replica);
}

/// However peers came and went, a completed job has read all of every input.
fn check_items(cluster: &Cluster, replica: &Replica) {
    for job in &replica.jobs.completed {
        let record = replica.record(*job).expect("a completed job has a record");
        for input in record.tasks_of(TaskKind::Input) {
            let read = cluster.items_read.get(&(*job, input.name.clone()));
            let count = read.map_or(0, BTreeSet::len);
            assert_eq!(
                count, ITEMS as usize,
                "items read of {} of {job}",
                input.name
            );
        }
    }
}

/// Whoever reads the log from its beginning comes to the same replica.
fn check_replay(cluster: &Cluster, replica: &Arc<Replica>) {
    let mut replayed = Arc::new(Replica::default());
    for position in 0..cluster.steps.len() {
        let payload = cluster.payload(position);
        replayed = step(LogPosition(position as u64), payload, replayed).new;
        assert_eq!(
            replayed, cluster.steps[position].new,
            "replayed to {position}"
        );
    }
    assert_eq!(replayed, *replica);
}

fn check_ring(cluster: &Cluster, replica: &Replica) {
    let membership = &replica.membership;
    assert!(
        membership.prepared.is_empty(),
        "still prepared: {:?}",
        membership.prepared
    );
    assert!(
        membership.accepted.is_empty(),
        "still accepted: {:?}",
        membership.accepted
    );
    let living: BTreeSet<PeerId> = cluster.peers.keys().copied().collect();
    let joined: BTreeSet<PeerId> = membership.peers.iter().copied().collect();
    assert_eq!(joined, living, "the ring has others than the living");
    for (id, peer) in &cluster.peers {
        let watched: BTreeSet<PeerId> = membership.pairs.get(id).copied().into_iter().collect();
        assert_eq!(peer.watches, watched, "the watches of {id}");
    }
}

/// Tasks of this model always get on, so every job that could run has run to its end.
fn check_jobs(replica: &Replica) {
    for job in &replica.jobs.live {
        let record = replica.record(*job).expect("a live job has a record");
        assert!(
            !could_run(replica, &record.tasks),
            "{job} could run: {record:?}"
        );
    }
}

/// Whether all peers together cover the minima: one peer after another finds its place, others
/// make room.
fn could_run(replica: &Replica, tasks: &[TaskRecord]) -> bool {
    let places: Vec<&TaskRecord> = tasks
        .iter()
        .flat_map(|task| vec![task; task.min_peers as usize])
        .collect();
    let mut holders: Vec<Option<PeerId>> = vec![None; places.len()];
    let peers = replica.membership.peers.iter();
    let found = peers.filter(|peer| {
        let mut tried = vec![false; places.len()];
        finds_place(replica, &places, **peer, &mut tried, &mut holders)
    });
    found.count() == places.len()
}

fn finds_place(
    replica: &Replica,
    places: &[&TaskRecord],
    peer: PeerId,
    tried: &mut [bool],
    holders: &mut [Option<PeerId>],
) -> bool {
    let words = &replica.membership.members[&peer].words;
    for (index, task) in places.iter().enumerate() {
        if !task.words.is_subset(words) || std::mem::replace(&mut tried[index], true) {
            continue;
        }
        let free = match holders[index] {
            None => true,
            Some(holder) => finds_place(replica, places, holder, tried, holders),
        };
        if free {
            holders[index] = Some(peer);
            return true;
        }
    }
    false
}
