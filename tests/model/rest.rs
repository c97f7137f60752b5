//! What a cluster does that is left alone, and what must be true of it then.

use crate::cluster::{Cluster, Event};
use onyx::ids::PeerId;
use onyx::log::Effect;
use std::collections::BTreeSet;

/// Rounds in which a cluster that is left alone comes to rest, if it ever does.
const ROUNDS: usize = 60;

/// Whether nobody has anything to do.
pub(crate) fn is_at_rest(cluster: &Cluster) -> bool {
    let idle = cluster.peers.iter().all(|(id, peer)| {
        peer.next == cluster.steps.len()
            && peer.next_to_write().is_none()
            && !cluster.can_rejoin(*id)
            && cluster.unreported(*id).next().is_none()
    });
    idle && cluster.lingering().is_empty()
}

/// Nobody is joining, all who live are joined, and each watches whom the ring says.
pub(crate) fn ring_of_the_living(cluster: &Cluster) -> bool {
    let replica = cluster.replica();
    let membership = &replica.membership;
    // With nobody left there is nobody who could say so.
    if cluster.peers.is_empty() {
        return true;
    }
    let joined: BTreeSet<PeerId> = membership.peers.iter().copied().collect();
    let is_ring = membership.prepared.is_empty()
        && membership.accepted.is_empty()
        && joined.iter().eq(cluster.peers.keys());
    is_ring
        && cluster.peers.iter().all(|(id, peer)| {
            let watched: BTreeSet<PeerId> = membership.pairs.get(id).copied().into_iter().collect();
            peer.watches == watched
        })
}

/// Whether a cluster to which nothing happens any more becomes a ring of the living.
pub(crate) fn comes_to_rest(cluster: &Cluster) -> bool {
    let mut alone = cluster.clone();
    settle(&mut alone);
    is_at_rest(&alone) && ring_of_the_living(&alone)
}

/// One peer after another does what it can.
pub(crate) fn settle(cluster: &mut Cluster) {
    for _ in 0..ROUNDS {
        if is_at_rest(cluster) {
            return;
        }
        for pulse in cluster.lingering() {
            cluster.pulses.remove(&pulse);
        }
        let peers: Vec<PeerId> = cluster.peers.keys().copied().collect();
        for peer in peers {
            while let Some(events) = cluster.read(peer) {
                if is_banished(&events) {
                    cluster.crash(peer);
                }
            }
            cluster.speak_up(peer);
            cluster.rejoin(peer);
            while cluster.write(peer).is_some() {}
        }
    }
}

/// Whether a peer read that it has left.
pub(crate) fn is_banished(events: &[Event]) -> bool {
    events.contains(&Event::Effect(Effect::Restart))
}
