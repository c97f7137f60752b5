//! The slots of a task, each with the peer that holds it. Every task of every job has its own, mostly
//! of a few slots, and all of them are walked through whenever peers are shared anew: in one piece
//! of memory that is quick.

use crate::ids::{PeerId, SlotId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::iter::Map;
use std::ops::Index;
use std::{slice, vec};

/// Who holds each slot, in the order of the slots.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Slots {
    held: Vec<(SlotId, PeerId)>,
}

type Held<'a> =
    Map<slice::Iter<'a, (SlotId, PeerId)>, fn(&'a (SlotId, PeerId)) -> (&'a SlotId, &'a PeerId)>;

impl Slots {
    /// How many slots are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Who holds a slot.
    pub fn get(&self, slot: &SlotId) -> Option<&PeerId> {
        let place = self.held.binary_search_by_key(slot, |(slot, _)| *slot);
        Some(&self.held[place.ok()?].1)
    }

    /// Every slot and its holder.
    pub fn iter(&self) -> Held<'_> {
        self.held.iter().map(|(slot, peer)| (slot, peer))
    }

    /// Every slot.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &SlotId> + Clone {
        self.held.iter().map(|(slot, _)| slot)
    }

    /// Every holder, by slot.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &PeerId> + Clone {
        self.held.iter().map(|(_, peer)| peer)
    }

    /// Every holder, by slot.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = PeerId> {
        self.held.into_iter().map(|(_, peer)| peer)
    }
}

impl FromIterator<(SlotId, PeerId)> for Slots {
    /// Of several holders of one slot, the last counts.
    fn from_iter<I: IntoIterator<Item = (SlotId, PeerId)>>(held: I) -> Self {
        let mut held: Vec<(SlotId, PeerId)> = held.into_iter().collect();
        if !held.is_sorted_by(|(one, _), (next, _)| one < next) {
            let sorted: BTreeMap<SlotId, PeerId> = held.into_iter().collect();
            held = sorted.into_iter().collect();
        }
        Slots { held }
    }
}

impl<const N: usize> From<[(SlotId, PeerId); N]> for Slots {
    fn from(held: [(SlotId, PeerId); N]) -> Self {
        held.into_iter().collect()
    }
}

impl IntoIterator for Slots {
    type Item = (SlotId, PeerId);
    type IntoIter = vec::IntoIter<(SlotId, PeerId)>;

    fn into_iter(self) -> Self::IntoIter {
        self.held.into_iter()
    }
}

impl<'a> IntoIterator for &'a Slots {
    type Item = (&'a SlotId, &'a PeerId);
    type IntoIter = Held<'a>;

    fn into_iter(self) -> Held<'a> {
        self.iter()
    }
}

impl Index<&SlotId> for Slots {
    type Output = PeerId;

    fn index(&self, slot: &SlotId) -> &PeerId {
        self.get(slot).expect("somebody holds the slot")
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let held = BTreeMap::<SlotId, PeerId>::deserialize(deserializer)?;
        Ok(held.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{from_payload, to_payload};
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn they_are_a_map(said in proptest::collection::vec((0..9_u32, 0..9_u128), 0..12)) {
            let said = said.into_iter();
            let said: Vec<_> = said
                .map(|(slot, peer)| (SlotId(slot), PeerId(Uuid::from_u128(peer))))
                .collect();
            let slots: Slots = said.iter().copied().collect();
            let plain: BTreeMap<SlotId, PeerId> = said.into_iter().collect();
            prop_assert!(slots.iter().eq(plain.iter()));
            prop_assert!(slots.keys().eq(plain.keys()) && slots.values().eq(plain.values()));
            for slot in (0..9).map(SlotId) {
                prop_assert_eq!(slots.get(&slot), plain.get(&slot));
            }
            let payload = to_payload(&slots).unwrap();
            prop_assert_eq!(&payload, &to_payload(&plain).unwrap());
            prop_assert_eq!(from_payload::<Slots>(&payload).unwrap(), slots);
        }
    }
}
