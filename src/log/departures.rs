//! What to write about peers that have no pulse: one entry for each group, so that the end of a
//! process costs one reallocation; and which process writes it, so that it is written once.

use super::commands::LeaveCluster;
use crate::ids::{GroupId, PeerId};
use crate::replica::Membership;
use std::collections::{BTreeMap, BTreeSet};

/// Peers of one group that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Their group.
    pub group: GroupId,
    /// Which of its peers: all that are gone, and perhaps not all there are.
    pub gone: BTreeSet<PeerId>,
    /// Who is to say so. Whoever else knows of it speaks up when nobody has after a while.
    pub speaker: Speaker,
}

/// Whose word it is that peers are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A group that watches one of them.
    Group(GroupId),
    /// Nobody who lives watches any of them: whoever found out.
    Anybody,
}

/// The departures of a membership, of whose peers `living` have a pulse. The pulses have to be
/// younger than the membership: what was seen before a peer joined says nothing about it.
pub fn departures(membership: &Membership, living: &BTreeSet<PeerId>) -> Vec<Departure> {
    let mut by_group: BTreeMap<GroupId, BTreeSet<PeerId>> = BTreeMap::new();
    for (peer, member) in membership.members.iter() {
        if !living.contains(peer) {
            by_group.entry(member.group).or_default().insert(*peer);
        }
    }
    let speakers = speakers(membership, living);
    let speaker = |group: &GroupId| match speakers.get(group) {
        Some(speaker) => Speaker::Group(*speaker),
        None => Speaker::Anybody,
    };
    let departures = by_group.into_iter().map(|(group, gone)| Departure {
        speaker: speaker(&group),
        group,
        gone,
    });
    departures.collect()
}

/// For each group of which somebody is gone, a group that watches one of them, or would once those
/// between them have left the ring.
fn speakers(membership: &Membership, living: &BTreeSet<PeerId>) -> BTreeMap<GroupId, GroupId> {
    let mut speakers = BTreeMap::new();
    let group_of = |peer: &PeerId| membership.members.get(peer).map(|member| member.group);
    for watcher in membership.pairs.keys().filter(|peer| living.contains(peer)) {
        let Some(speaker) = group_of(watcher) else {
            continue;
        };
        let mut watched = membership.pairs.get(watcher);
        while let Some(gone) = watched.filter(|peer| !living.contains(peer)) {
            if let Some(group) = group_of(gone) {
                speakers.entry(group).or_insert(speaker);
            }
            watched = membership.pairs.get(gone);
        }
    }
    speakers
}

impl Departure {
    /// The entry that says so, about those whom the cluster still knows; none when it knows nobody.
    pub fn leave(&self, membership: &Membership) -> Option<LeaveCluster> {
        let known = |peer: &&PeerId| membership.members.contains_key(peer);
        LeaveCluster::of_all(self.gone.iter().filter(known).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::{joined, member, peer};
    use uuid::Uuid;

    fn group(n: u128) -> GroupId {
        GroupId(Uuid::from_u128(n))
    }

    /// A ring in this order; the digit behind each name is its group.
    fn ring(text: &str) -> Membership {
        let mut membership = joined(text);
        for name in text.split_whitespace() {
            let digit = name.chars().last().and_then(|last| last.to_digit(10));
            let member = membership.members.get_mut(&peer(name)).expect("joined");
            member.group = group(digit.expect("a digit").into());
        }
        membership
    }

    fn found(membership: &Membership, living: &str) -> Vec<Departure> {
        departures(membership, &living.split_whitespace().map(peer).collect())
    }

    fn departure<const N: usize>(of: u128, gone: [&str; N], speaker: Speaker) -> Departure {
        Departure {
            group: group(of),
            gone: gone.map(peer).into(),
            speaker,
        }
    }

    #[test]
    fn a_dead_process_is_one_departure_and_one_of_its_watchers_says_so() {
        let membership = ring("a1 b2 c3 d2 e1");
        let expected = departure(2, ["b2", "d2"], Speaker::Group(group(1)));
        let found = found(&membership, "a1 c3 e1");
        assert_eq!(found, std::slice::from_ref(&expected));
        let leave = LeaveCluster {
            id: peer("b2"),
            also: vec![peer("d2")],
        };
        assert_eq!(expected.leave(&membership), Some(leave));
    }

    #[test]
    fn what_is_known_already_is_not_said_again() {
        let departed = departure(2, ["b2", "d2"], Speaker::Anybody);
        let leave = departed.leave(&ring("a1 d2"));
        assert_eq!(leave, Some(LeaveCluster::of(peer("d2"))));
        assert_eq!(departed.leave(&ring("a1")), None);
    }

    #[test]
    fn of_a_ring_in_which_nobody_lives_anybody_may_say_so() {
        let expected = [1, 2].map(|of| match of {
            1 => departure(1, ["a1", "c1"], Speaker::Anybody),
            _ => departure(2, ["b2"], Speaker::Anybody),
        });
        assert_eq!(found(&ring("a1 b2 c1"), "z"), expected);
    }

    #[test]
    fn who_watches_the_first_of_several_in_a_row_speaks_for_all() {
        let expected = [
            departure(2, ["b2", "e2"], Speaker::Group(group(1))),
            departure(3, ["c3"], Speaker::Group(group(1))),
        ];
        assert_eq!(found(&ring("a1 b2 c3 d1 e2"), "a1 d1"), expected);
    }

    #[test]
    fn a_dead_joiner_departs_too() {
        let mut membership = joined("a b");
        membership.prepare(peer("a"), peer("x"), member());
        let expected = Departure {
            group: member().group,
            gone: [peer("x")].into(),
            speaker: Speaker::Anybody,
        };
        assert_eq!(found(&membership, "a b"), [expected]);
        assert_eq!(found(&membership, "a b x"), []);
    }
}
