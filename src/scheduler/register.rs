//! Where peers stand in a list that is sorted by id. Ids are random, so that the first bits of one say
//! nearly where it stands: everybody who holds a slot is found by a look and a step or two.

use super::roster::RosterPeer;
use crate::ids::PeerId;

/// A list of peers, divided by the first bits of their ids.
#[derive(Debug)]
pub(super) struct Register {
    /// Where the peers with each first bits begin in the list, and behind the last where they end.
    starts: Vec<usize>,
    /// How many bits come behind the first ones.
    shift: u32,
}

impl Register {
    /// About as many divisions as peers.
    pub(super) fn of(peers: &[RosterPeer]) -> Self {
        let divisions = peers.len().next_power_of_two().max(2);
        let mut register = Register {
            starts: Vec::with_capacity(divisions + 1),
            shift: u128::BITS - divisions.ilog2(),
        };
        for (index, peer) in peers.iter().enumerate() {
            let division = register.division(peer.id);
            while register.starts.len() <= division {
                register.starts.push(index);
            }
        }
        register.starts.resize(divisions + 1, peers.len());
        register
    }

    /// The place of a peer in that same list.
    pub(super) fn find(&self, peers: &[RosterPeer], id: PeerId) -> Option<usize> {
        let division = self.division(id);
        let (start, end) = (self.starts[division], self.starts[division + 1]);
        let found = peers[start..end].binary_search_by_key(&id, |peer| peer.id);
        found.ok().map(|place| start + place)
    }

    fn division(&self, id: PeerId) -> usize {
        (id.0.as_u128() >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn id(first: u8, last: u8) -> PeerId {
        PeerId(Uuid::from_u128(u128::from(first) << 120 | u128::from(last)))
    }

    proptest! {
        #[test]
        fn everybody_is_found_and_nobody_else(
            listed in proptest::collection::btree_set((any::<u8>(), 0..3_u8), 0..100),
            asked in proptest::collection::vec((any::<u8>(), 0..3_u8), 0..100),
        ) {
            let ids: BTreeSet<PeerId> = listed.iter().map(|(a, b)| id(*a, *b)).collect();
            let peer = |id: &PeerId| RosterPeer { id: *id, class: 0, holds: None };
            let peers: Vec<RosterPeer> = ids.iter().map(peer).collect();
            let register = Register::of(&peers);
            for (place, id) in ids.iter().enumerate() {
                prop_assert_eq!(register.find(&peers, *id), Some(place));
            }
            for (first, last) in asked {
                let id = id(first, last);
                prop_assert_eq!(register.find(&peers, id).is_some(), ids.contains(&id));
            }
        }
    }
}
