//! Which acker keeps the ledger of a root.

use crate::ids::PeerId;
use std::collections::BTreeSet;

/// The ackers of a job, as one of its sources sees them.
#[derive(Clone, Debug)]
pub struct Ackers {
    me: PeerId,
    /// Those that the replica names; none when each source is its own.
    named: Vec<PeerId>,
    /// Those of them that could not be reached since they were named last.
    unreachable: BTreeSet<PeerId>,
    usable: Vec<PeerId>,
}

impl Ackers {
    /// The ackers of the source `me`.
    pub fn of(me: PeerId, named: &[PeerId]) -> Self {
        Ackers {
            me,
            named: named.to_vec(),
            unreachable: BTreeSet::new(),
            usable: named.to_vec(),
        }
    }

    /// Takes over newer ones, all of which are thought to be reachable. Roots stay where they are.
    pub fn rename(&mut self, named: &[PeerId]) {
        if self.named != named {
            *self = Ackers::of(self.me, named);
        }
    }

    /// Whose ledger roots that are sent together are kept in, given the first of them. The same for
    /// the same ackers, and each of them has its turn.
    pub fn keeper(&self, first_root: u64) -> PeerId {
        match self.usable.len() as u64 {
            0 => self.me,
            count => self.usable[(scatter(first_root) % count) as usize],
        }
    }

    /// Gives an acker no more roots. False when there is nothing to be gained by that: it was known,
    /// or is the source itself.
    pub fn avoid(&mut self, acker: PeerId) -> bool {
        let news = acker != self.me && self.unreachable.insert(acker);
        self.usable.retain(|usable| *usable != acker);
        news
    }
}

/// Spreads consecutive numbers, of which only every how-manieth may occur, over all of them.
pub(super) fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use std::collections::BTreeMap;

    fn peers(count: usize) -> Vec<PeerId> {
        let mut ids = IdSource::from_seed(1);
        (0..count).map(|_| ids.peer()).collect()
    }

    #[test]
    fn roots_are_spread_evenly_and_always_the_same_way() {
        let peers = peers(5);
        let ackers = Ackers::of(peers[0], &peers[1..]);
        let mut batches: BTreeMap<PeerId, usize> = BTreeMap::new();
        for batch in 0..10_000 {
            let keeper = ackers.keeper(1 + 256 * batch);
            assert_eq!(keeper, ackers.clone().keeper(1 + 256 * batch));
            *batches.entry(keeper).or_default() += 1;
        }
        assert_eq!(batches.len(), 4);
        assert!(
            batches.values().all(|count| (2_300..2_700).contains(count)),
            "{batches:?}"
        );
    }

    #[test]
    fn a_source_without_ackers_is_its_own() {
        let peers = peers(3);
        assert_eq!(Ackers::of(peers[0], &[]).keeper(7), peers[0]);
        let mut ackers = Ackers::of(peers[0], &peers[1..]);
        assert!(ackers.avoid(peers[1]) && !ackers.avoid(peers[1]));
        assert!((0..100).all(|root| ackers.keeper(root) == peers[2]));
        assert!(ackers.avoid(peers[2]) && !ackers.avoid(peers[0]));
        assert_eq!(ackers.keeper(7), peers[0]);
        ackers.rename(&peers[1..2]);
        assert_eq!(ackers.keeper(7), peers[1]);
    }
}
