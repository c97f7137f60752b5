//! What must be true of a cluster that was left alone until nobody had anything to do.

use crate::cluster::{Cluster, ITEMS};
use crate::coverage;
use onyx::ids::{LogPosition, PeerId};
use onyx::job::TaskKind;
use onyx::log::Step;
use onyx::replica::Replica;
use onyx::scheduler::reallocate;
use std::collections::BTreeSet;

pub(crate) fn check(cluster: &Cluster) {
    let replica = cluster.replica();
    check_nothing_moves(&replica);
    if cluster.peers.is_empty() {
        return;
    }
    check_ring(cluster, &replica);
    check_jobs(&replica);
}

/// With everybody in and ready, nobody waits for room that there is, and nothing moves.
pub(crate) fn check_shares(cluster: &Cluster) {
    let replica = cluster.replica();
    check_nothing_moves(&replica);
    coverage::check(&replica);
}

fn check_nothing_moves(replica: &Replica) {
    let again = reallocate(replica, LogPosition(u64::MAX));
    assert_eq!(
        again, *replica,
        "something moved though nothing had changed"
    );
}

/// However peers came and went, a job that completes with a step has read all of every input.
pub(crate) fn check_completed(cluster: &Cluster, step: &Step) {
    let completed = step.new.jobs.completed.iter();
    for job in completed.filter(|job| step.old.jobs.is_live(**job)) {
        let record = step.old.record(*job).expect("a live job has a record");
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
    coverage::check(replica);
    for job in &replica.jobs.live {
        let record = replica.record(*job).expect("a live job has a record");
        assert!(
            !coverage::could_run(replica, record),
            "{job} could run: {record:?}"
        );
    }
}
