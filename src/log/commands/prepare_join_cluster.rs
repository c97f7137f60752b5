//! `prepare-join-cluster`: a peer wants to join. Into an empty cluster it joins at once; otherwise a
//! free peer of the ring becomes its observer.

use super::{AbortJoinCluster, Command, NotifyJoinCluster};
use crate::ids::{GroupId, LogPosition, NodeName, PeerId};
use crate::log::{Applied, Effect, LogCommand, PeerContext, Reason, ReplicaDiff, Step};
use crate::replica::{Member, Replica, Site};
use crate::scheduler::reallocate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A peer wants to join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "Introduction")]
pub struct PrepareJoinCluster {
    /// The peer.
    pub joiner: PeerId,
    /// What it says of itself.
    #[serde(flatten)]
    pub member: Member,
}

/// As it may be written by hand: only who joins has to be said.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Introduction {
    joiner: PeerId,
    #[serde(default)]
    group: Option<GroupId>,
    #[serde(default)]
    node_name: NodeName,
    #[serde(default)]
    peer_site: Option<Site>,
    #[serde(default)]
    words: Option<Arc<BTreeSet<String>>>,
    #[serde(default)]
    tags: Option<Arc<BTreeSet<String>>>,
}

impl From<Introduction> for PrepareJoinCluster {
    /// A peer that names no group is one of its own.
    fn from(said: Introduction) -> Self {
        let member = Member {
            group: said.group.unwrap_or(GroupId(said.joiner.0)),
            node: said.node_name,
            site: said.peer_site.unwrap_or_default(),
            words: said.words.unwrap_or_default(),
            tags: said.tags.unwrap_or_default(),
        };
        let joiner = said.joiner;
        PrepareJoinCluster { joiner, member }
    }
}

impl LogCommand for PrepareJoinCluster {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        if replica.membership.members.contains_key(&self.joiner) {
            return Applied::Ignored(Reason::AlreadyJoining);
        }
        let mut new = replica.clone();
        let membership = Arc::make_mut(&mut new.membership);
        if membership.peers.is_empty() {
            membership.found(self.joiner, self.member.clone());
            return Applied::Changed(reallocate(&new, position));
        }
        let Some(observer) = pick(membership.candidates(), position) else {
            return Applied::Ignored(Reason::NoCandidate);
        };
        membership.prepare(observer, self.joiner, self.member.clone());
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        let diff = ReplicaDiff::between(old, new);
        match new.membership.observer_of(self.joiner) {
            Some(observer) => diff
                .about("observer", observer)
                .about("subject", self.joiner),
            None => diff.about("instant-join", self.joiner),
        }
    }

    fn reactions(&self, step: &Step, me: &PeerContext) -> Vec<Command> {
        if step.ignored == Some(Reason::NoCandidate) && self.joiner == me.me {
            return vec![Command::AbortJoinCluster(AbortJoinCluster { id: me.me })];
        }
        let is_observer = step.new.membership.prepared.get(&me.me) == Some(&self.joiner);
        if step.ignored.is_none() && is_observer {
            let notify = NotifyJoinCluster {
                observer: self.joiner,
            };
            return vec![Command::NotifyJoinCluster(notify)];
        }
        Vec::new()
    }

    /// Where all observers are busy they may be ghosts, whom nobody alive watches: one is looked at.
    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        if step.ignored != Some(Reason::NoCandidate) || self.joiner != me.me {
            return Vec::new();
        }
        let suspect = pick(step.new.membership.disallowed(), step.position);
        suspect.map(Effect::EvictIfGhost).into_iter().collect()
    }
}

/// The choice that every peer makes alike: by the position, of the sorted ones.
fn pick(peers: impl IntoIterator<Item = PeerId>, position: LogPosition) -> Option<PeerId> {
    let mut peers: Vec<PeerId> = peers.into_iter().collect();
    let index = position.0.checked_rem(peers.len() as u64)?;
    let (_, picked, _) = peers.select_nth_unstable(index as usize);
    Some(*picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, me};
    use crate::replica::sample::{member, peer};

    fn prepare(name: &str) -> Command {
        Command::PrepareJoinCluster(PrepareJoinCluster {
            joiner: peer(name),
            member: member(),
        })
    }

    #[test]
    fn the_first_peer_joins_at_once() {
        let step = Cluster::of("").run(prepare("a"));
        assert_eq!(step.new.membership.peers, [peer("a")]);
        assert!(step.new.membership.pairs.is_empty());
        assert_eq!(step.reactions(&me("a")), []);
    }

    #[test]
    fn the_observer_is_chosen_by_position_and_notifies() {
        let step = Cluster::of("a b c").at(7).run(prepare("d"));
        assert_eq!(
            step.new.membership.prepared,
            [(peer("b"), peer("d"))].into()
        );
        let notify = NotifyJoinCluster {
            observer: peer("d"),
        };
        assert_eq!(
            step.reactions(&me("b")),
            [Command::NotifyJoinCluster(notify)]
        );
        assert_eq!(step.reactions(&me("d")), []);
    }

    #[test]
    fn whoever_finds_no_observer_aborts_and_looks_for_a_ghost() {
        let mut cluster = Cluster::of("a");
        cluster.run(prepare("b"));
        let step = cluster.run(prepare("c"));
        assert_eq!(step.ignored, Some(Reason::NoCandidate));
        let abort = AbortJoinCluster { id: peer("c") };
        assert_eq!(step.reactions(&me("c")), [Command::AbortJoinCluster(abort)]);
        assert_eq!(step.effects(&me("c")), [Effect::EvictIfGhost(peer("a"))]);
        assert_eq!(step.reactions(&me("a")), []);
    }

    #[test]
    fn who_is_joining_or_joined_need_not_ask_again() {
        let mut cluster = Cluster::of("a");
        cluster.run(prepare("b"));
        for name in ["a", "b"] {
            let step = cluster.run(prepare(name));
            assert_eq!(step.ignored, Some(Reason::AlreadyJoining));
            assert_eq!(step.reactions(&me(name)), []);
            assert_eq!(step.effects(&me(name)), []);
        }
    }
}
