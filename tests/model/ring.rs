//! The ring as a state machine that can be explored: peers that join, crash and are missed, with
//! the functions that nodes run.

use crate::cluster::{Cluster, Rules};
use crate::rest;
use onyx::ids::{GroupId, LogPosition, PeerId};
use onyx::log::commands::Command;
use onyx::log::{Effect, Step};
use onyx::replica::invariants::violations;
use onyx::replica::{Member, Membership, Site};
use stateright::{Model, Property};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

/// Peers belong to so many processes, in turn.
const GROUPS: u32 = 2;

/// Returning peers are numbered from here, downwards.
const FIRST_RETURN: u32 = 100;

/// What to explore.
pub(crate) struct Ring {
    /// Peers that are joined already when it begins, in a ring.
    pub(crate) joined: u32,
    /// Peers that want to join.
    pub(crate) joiners: u32,
    /// How often one of them dies.
    pub(crate) crashes: u32,
    /// After how many of the deaths another incarnation follows, under another id.
    pub(crate) returns: u32,
    /// Entries after which nothing is explored any more: from there everybody is left alone.
    pub(crate) entries: usize,
    pub(crate) rules: Rules,
}

/// One state of it. Two that differ only in what nobody will look at any more are the same.
#[derive(Clone)]
pub(crate) struct Moment {
    pub(crate) cluster: Cluster,
    crashes: u32,
    /// How many incarnations are still to come.
    returns: u32,
    /// Whether somebody who lives was told to end.
    banished: Option<PeerId>,
}

/// What somebody can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Read(PeerId),
    Write(PeerId),
    Notice(PeerId),
    Rejoin(PeerId),
    Crash(PeerId),
    Expire(PeerId),
}

impl Ring {
    fn begin(&self) -> Moment {
        let mut cluster = Cluster::with(self.rules);
        for number in 1..=self.joined {
            cluster.start(peer(number), member(number));
            rest::settle(&mut cluster);
        }
        for number in self.joined + 1..=self.joined + self.joiners {
            cluster.start(peer(number), member(number));
        }
        let mut moment = Moment {
            cluster,
            crashes: self.crashes,
            returns: self.returns,
            banished: None,
        };
        moment.skip();
        moment
    }
}

impl Model for Ring {
    type State = Moment;
    type Action = Act;

    fn init_states(&self) -> Vec<Moment> {
        vec![self.begin()]
    }

    fn actions(&self, moment: &Moment, acts: &mut Vec<Act>) {
        let cluster = &moment.cluster;
        if cluster.steps.len() >= self.entries {
            return;
        }
        for (id, peer) in &cluster.peers {
            if peer.next < cluster.steps.len() {
                acts.push(Act::Read(*id));
            }
            if peer.next_to_write().is_some() {
                acts.push(Act::Write(*id));
            }
            if cluster.unreported(*id).next().is_some() {
                acts.push(Act::Notice(*id));
            }
            if cluster.can_rejoin(*id) {
                acts.push(Act::Rejoin(*id));
            }
            if moment.crashes > 0 {
                acts.push(Act::Crash(*id));
            }
        }
        acts.extend(cluster.lingering().into_iter().map(Act::Expire));
    }

    fn next_state(&self, moment: &Moment, act: Act) -> Option<Moment> {
        let mut moment = moment.clone();
        moment.perform(act);
        moment.skip();
        Some(moment)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(
                "the invariants of the replica hold",
                |_, moment: &Moment| {
                    let position = LogPosition(moment.cluster.steps.len() as u64);
                    violations(&moment.cluster.replica(), position).is_empty()
                },
            ),
            Property::always("nobody who lives is told to end", |_, moment: &Moment| {
                moment.banished.is_none()
            }),
            Property::always(
                "at rest the ring is one of the living",
                |_, moment: &Moment| {
                    !rest::is_at_rest(&moment.cluster) || rest::ring_of_the_living(&moment.cluster)
                },
            ),
            Property::always(
                "left alone it comes to rest",
                |ring: &Ring, moment: &Moment| {
                    moment.cluster.steps.len() < ring.entries
                        || rest::comes_to_rest(&moment.cluster)
                },
            ),
            Property::sometimes("everybody is joined", |ring: &Ring, moment: &Moment| {
                let peers = moment.cluster.replica().membership.peers.len() as u32;
                peers == ring.joined + ring.joiners
            }),
            Property::sometimes("a joiner loses its observer", |_, moment: &Moment| {
                let membership = &moment.cluster.replica().membership;
                let alive = |id: &PeerId| moment.cluster.peers.contains_key(id);
                let mut joins = membership.accepted.iter().chain(&membership.prepared);
                joins.any(|(observer, joiner)| !alive(observer) && alive(joiner))
            }),
        ];
        // A ring of two has room for one at a time.
        if self.joiners >= 2 && self.joined + self.joiners >= 4 {
            properties.push(Property::sometimes(
                "two join at once",
                |_, moment: &Moment| {
                    let membership = &moment.cluster.replica().membership;
                    membership.prepared.len() + membership.accepted.len() == 2
                },
            ));
        }
        properties
    }
}

impl Moment {
    fn perform(&mut self, act: Act) {
        let cluster = &mut self.cluster;
        match act {
            Act::Read(peer) => {
                let events = cluster.read(peer).unwrap_or_default();
                if rest::is_banished(&events) {
                    self.banished = Some(peer);
                }
            }
            Act::Write(peer) => {
                cluster.write(peer);
            }
            Act::Notice(peer) => {
                cluster.speak_up(peer);
            }
            Act::Rejoin(peer) => cluster.rejoin(peer),
            Act::Crash(peer) => {
                cluster.crash(peer);
                self.crashes -= 1;
                if self.returns > 0 {
                    let number = FIRST_RETURN + self.returns;
                    self.returns -= 1;
                    cluster.start(self::peer(number), member(number));
                }
            }
            Act::Expire(peer) => {
                cluster.pulses.remove(&peer);
            }
        }
    }

    /// Everybody reads on where it makes no difference when: where reading changes nothing for a
    /// peer, and where the peer has nothing else to do, since nobody sees that it has read before
    /// it writes, which it may do at any time. So the orders of such reads need not be explored.
    fn skip(&mut self) {
        let peers: Vec<PeerId> = self.cluster.peers.keys().copied().collect();
        for peer in peers {
            while self.cluster.next_is_silent(peer) || self.only_reading_is_left(peer) {
                self.perform(Act::Read(peer));
            }
        }
    }

    fn only_reading_is_left(&self, id: PeerId) -> bool {
        let cluster = &self.cluster;
        let Some(peer) = cluster.peers.get(&id) else {
            return false;
        };
        let Some(next) = cluster.steps.get(peer.next) else {
            return false;
        };
        // What a look at the pulses finds depends on when it is taken.
        let looks = |effect: &Effect| matches!(effect, Effect::EvictIfGhost(_));
        peer.next_to_write().is_none()
            && !cluster.can_rejoin(id)
            && cluster.unreported(id).next().is_none()
            && !next.effects(&peer.me).iter().any(looks)
    }

    /// Entries that somebody has still to read.
    fn unread(&self) -> &[Arc<Step>] {
        let peers = self.cluster.peers.values();
        let read_by_all = peers.map(|peer| peer.next).min();
        &self.cluster.steps[read_by_all.unwrap_or(self.cluster.steps.len())..]
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        let essence = |moment: &Moment| {
            let mut hasher = std::hash::DefaultHasher::new();
            moment.hash(&mut hasher);
            hasher.finish()
        };
        essence(self) == essence(other)
    }
}

/// Only what somebody will look at: not what all have read, and not whose sequences stand where,
/// since nothing is written twice here.
impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let cluster = &self.cluster;
        cluster.steps.len().hash(state);
        hash_membership(&cluster.replica().membership, state);
        for step in self.unread() {
            step.ignored.is_some().hash(state);
            if let Ok(entry) = &step.entry {
                hash_command(&entry.command, state);
            }
            hash_membership(&step.old.membership, state);
        }
        for (id, peer) in &cluster.peers {
            (id, peer.next, peer.rejoin_is_due).hash(state);
            peer.outbox.len().hash(state);
            peer.outbox
                .iter()
                .for_each(|said| hash_command(said, state));
            peer.watches.hash(state);
            peer.reported.hash(state);
        }
        cluster.pulses.hash(state);
        (self.crashes, self.returns, self.banished).hash(state);
    }
}

/// Jobs do not come up here; which they are need not be told apart.
fn hash_command<H: Hasher>(command: &Command, state: &mut H) {
    std::mem::discriminant(command).hash(state);
    match command {
        Command::PrepareJoinCluster(said) => said.joiner.hash(state),
        Command::NotifyJoinCluster(said) => said.observer.hash(state),
        Command::AcceptJoinCluster(said) => {
            (said.subject, said.accepted_observer, said.accepted_joiner).hash(state);
        }
        Command::AbortJoinCluster(said) => said.id.hash(state),
        Command::LeaveCluster(said) => (said.id, &said.also).hash(state),
        _ => {}
    }
}

fn hash_membership<H: Hasher>(membership: &Membership, state: &mut H) {
    membership.peers.hash(state);
    membership.prepared.hash(state);
    membership.accepted.hash(state);
    membership.pairs.iter().for_each(|pair| pair.hash(state));
    membership.members.len().hash(state);
    membership.members.keys().for_each(|id| id.hash(state));
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.cluster.steps.last();
        let last = last.map(|step| (step.position, &step.entry, step.ignored));
        write!(f, "{last:?} {:?}", self.cluster.replica().membership)
    }
}

fn peer(number: u32) -> PeerId {
    PeerId(Uuid::from_u128(u128::from(number)))
}

fn member(number: u32) -> Member {
    Member {
        group: GroupId(Uuid::from_u128(u128::from(number % GROUPS))),
        node: Default::default(),
        site: Site(String::new()),
        words: Arc::default(),
        tags: Arc::default(),
    }
}
