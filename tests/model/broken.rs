//! Rules with one mistake each. A search that does not find it would not have found it in the real
//! ones either.

use crate::cluster::Rules;
use onyx::ids::{LogPosition, PeerId};
use onyx::log::commands::Command;
use onyx::log::wants::{LocalFacts, Wants, wants};
use onyx::log::{Entry, PeerContext, Step, Unreadable, step};
use onyx::replica::{Membership, Replica};
use std::sync::Arc;

type Payload = Result<Entry, Unreadable>;

/// Whoever watched a peer that leaves does not take over whom it watched.
pub(crate) fn leave_without_inheritance() -> Rules {
    fn apply(position: LogPosition, payload: Payload, old: Arc<Replica>) -> Step {
        change(position, payload, old, |command, old, new| {
            if let Command::LeaveCluster(leave) = command {
                let watched = old.pairs.get(&leave.id);
                let watches = new.pairs.iter().filter(|(_, to)| Some(*to) != watched);
                new.pairs = watches.map(|(from, to)| (*from, *to)).collect();
            }
        })
    }
    Rules {
        apply,
        ..Rules::default()
    }
}

/// An accept is believed though its join was undone.
pub(crate) fn accept_of_anybody() -> Rules {
    fn apply(position: LogPosition, payload: Payload, old: Arc<Replica>) -> Step {
        change(position, payload, old, |command, _, new| {
            let Command::AcceptJoinCluster(accept) = command else {
                return;
            };
            let (observer, joiner) = (accept.accepted_observer, accept.accepted_joiner);
            let known = |peer: &PeerId| new.peers.contains(peer);
            if !known(&joiner) && !new.members.contains_key(&joiner) {
                let watched = new.pairs.insert(observer, joiner).unwrap_or(observer);
                new.pairs.insert(joiner, watched);
                new.peers.push(joiner);
            }
        })
    }
    Rules {
        apply,
        ..Rules::default()
    }
}

/// A leave forgets the peer but not the join that went through it.
pub(crate) fn leave_that_keeps_the_join() -> Rules {
    fn apply(position: LogPosition, payload: Payload, old: Arc<Replica>) -> Step {
        change(position, payload, old, |command, old, new| {
            if let Command::LeaveCluster(leave) = command {
                let behind = old.prepared.get(&leave.id);
                new.prepared
                    .extend(behind.map(|joiner| (leave.id, *joiner)));
            }
        })
    }
    Rules {
        apply,
        ..Rules::default()
    }
}

/// A joiner does not watch the peer that helps it in.
pub(crate) fn joiner_that_does_not_look() -> Rules {
    fn derive(replica: &Replica, me: &PeerContext, facts: &LocalFacts) -> Wants {
        let mut wanted = wants(replica, me, facts);
        if let Some(observer) = replica.membership.observer_of(me.me) {
            wanted.watches.remove(&observer);
        }
        wanted
    }
    Rules {
        derive,
        ..Rules::default()
    }
}

/// An observer does not watch the joiner that it helps in.
pub(crate) fn observer_that_does_not_look() -> Rules {
    fn derive(replica: &Replica, me: &PeerContext, facts: &LocalFacts) -> Wants {
        let mut wanted = wants(replica, me, facts);
        let membership = &replica.membership;
        for joins in [&membership.prepared, &membership.accepted] {
            if let Some(joiner) = joins.get(&me.me) {
                wanted.watches.remove(joiner);
            }
        }
        wanted
    }
    Rules {
        derive,
        ..Rules::default()
    }
}

/// The real step with its new membership spoiled.
fn change(
    position: LogPosition,
    payload: Payload,
    old: Arc<Replica>,
    spoil: impl FnOnce(&Command, &Membership, &mut Membership),
) -> Step {
    let mut step = step(position, payload, old);
    if let Ok(entry) = &step.entry {
        let new = Arc::make_mut(&mut step.new);
        let membership = Arc::make_mut(&mut new.membership);
        spoil(&entry.command, &step.old.membership, membership);
    }
    step
}
