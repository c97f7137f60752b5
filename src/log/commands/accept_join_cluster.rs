//! `accept-join-cluster`: the joiner watches on, so the ring can be stitched around it.

use crate::ids::{LogPosition, PeerId};
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::{Membership, Replica};
use crate::scheduler::reallocate;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The joiner watches on: it is joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AcceptJoinCluster {
    /// The joiner, an observer from now on. For people: the ring decides.
    pub observer: PeerId,
    /// Whom it watched when it wrote this. For people: the ring decides.
    pub subject: PeerId,
    /// The peer that helped it in.
    pub accepted_observer: PeerId,
    /// The joiner.
    pub accepted_joiner: PeerId,
}

impl AcceptJoinCluster {
    /// As the joiner writes it; none when it is not joining.
    pub fn of(membership: &Membership, joiner: PeerId) -> Option<Self> {
        let observer = membership.observer_of(joiner)?;
        Some(AcceptJoinCluster {
            observer: joiner,
            subject: membership.pairs.get(&observer).copied().unwrap_or(observer),
            accepted_observer: observer,
            accepted_joiner: joiner,
        })
    }
}

impl LogCommand for AcceptJoinCluster {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        let behind = replica.membership.accepted.get(&self.accepted_observer);
        if behind != Some(&self.accepted_joiner) {
            return Applied::Ignored(Reason::NotJoining);
        }
        let mut new = replica.clone();
        Arc::make_mut(&mut new.membership).stitch(self.accepted_observer, self.accepted_joiner);
        Applied::Changed(reallocate(&new, position))
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new)
            .about("observer", self.accepted_observer)
            .about("subject", self.accepted_joiner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::log::commands::sample::{Cluster, me, submit};
    use crate::replica::sample::{job_id, member, peer};

    fn accept(observer: &str, joiner: &str) -> Command {
        Command::AcceptJoinCluster(AcceptJoinCluster {
            observer: peer(joiner),
            subject: peer("stale"),
            accepted_observer: peer(observer),
            accepted_joiner: peer(joiner),
        })
    }

    #[test]
    fn the_joiner_is_stitched_in_behind_its_observer() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        cluster.membership().promote(peer("a"), peer("c"));
        let new = cluster.run(accept("a", "c")).new;
        let ring = [("a", "c"), ("c", "b"), ("b", "a")].map(|(x, y)| (peer(x), peer(y)));
        assert_eq!(new.membership.pairs, ring.into());
        assert_eq!(new.membership.peers, ["a", "b", "c"].map(peer));
        assert!(new.membership.accepted.is_empty());
    }

    #[test]
    fn the_second_peer_makes_a_ring_of_two() {
        let mut cluster = Cluster::of("a");
        cluster.membership().prepare(peer("a"), peer("b"), member());
        cluster.membership().promote(peer("a"), peer("b"));
        let new = cluster.run(accept("a", "b")).new;
        let ring = [("a", "b"), ("b", "a")].map(|(x, y)| (peer(x), peer(y)));
        assert_eq!(new.membership.pairs, ring.into());
    }

    #[test]
    fn an_accept_before_its_notify_or_of_another_changes_nothing() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        for (observer, joiner) in [("a", "c"), ("b", "c"), ("a", "d")] {
            let step = cluster.run(accept(observer, joiner));
            assert_eq!(step.ignored, Some(Reason::NotJoining));
            assert_eq!(step.reactions(&me(joiner)), []);
        }
    }

    #[test]
    fn a_newcomer_never_joins_a_task_that_its_loss_would_kill() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>f:1-1 f:f>out!~kill out:o!~continue"));
        cluster.membership().prepare(peer("a"), peer("d"), member());
        cluster.membership().promote(peer("a"), peer("d"));
        let new = cluster.run(accept("a", "d")).new;
        let counts = [("in", 1), ("f", 1), ("out", 2)].map(|(task, n)| (task.into(), n));
        assert_eq!(new.task_counts(job_id(0)), counts.into());
    }
}
