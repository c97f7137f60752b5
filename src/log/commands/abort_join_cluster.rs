//! `abort-join-cluster`: a join is given up; the peer backs off and tries again.

use crate::ids::{LogPosition, PeerId};
use crate::log::{Applied, Effect, LogCommand, PeerContext, Reason, ReplicaDiff, Step};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A join is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AbortJoinCluster {
    /// The joiner.
    pub id: PeerId,
}

impl LogCommand for AbortJoinCluster {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        if !replica.membership.is_joining(self.id) {
            return Applied::Ignored(Reason::NotJoining);
        }
        let mut new = replica.clone();
        Arc::make_mut(&mut new.membership).forget_joiner(self.id);
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new).about("aborted", self.id)
    }

    /// Also when there was nothing to take back: an abort answers a prepare that was refused.
    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        if self.id != me.me || step.new.membership.is_joined(me.me) {
            return Vec::new();
        }
        vec![Effect::RejoinAfterBackOff]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::log::commands::sample::{Cluster, me};
    use crate::replica::sample::{member, peer};

    fn abort(name: &str) -> Command {
        Command::AbortJoinCluster(AbortJoinCluster { id: peer(name) })
    }

    #[test]
    fn the_joiner_is_forgotten_and_backs_off() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        let step = cluster.run(abort("c"));
        assert_eq!(step.new.membership, Cluster::of("a b").replica.membership);
        assert_eq!(step.effects(&me("c")), [Effect::RejoinAfterBackOff]);
        assert_eq!(step.effects(&me("a")), []);
    }

    #[test]
    fn a_refused_peer_backs_off_though_nothing_is_to_be_forgotten() {
        let step = Cluster::of("a").run(abort("c"));
        assert_eq!(step.ignored, Some(Reason::NotJoining));
        assert_eq!(step.effects(&me("c")), [Effect::RejoinAfterBackOff]);
    }

    #[test]
    fn a_joined_peer_cannot_be_aborted() {
        let step = Cluster::of("a b").run(abort("b"));
        assert_eq!(step.ignored, Some(Reason::NotJoining));
        assert_eq!(step.effects(&me("b")), []);
    }
}
