//! A map whose copies share what they have in common: a change copies one part of it.
//!
//! Every step of the log keeps the replica before and after its entry, so that whatever an entry
//! changes is copied. What grows with the life of the cluster must not be copied whole.

use crate::ids::{JobId, PeerId, WriterId};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::ops::Index;
use std::sync::Arc;
use uuid::Uuid;

/// A map by random ids, in the order of the ids.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// Empty, or one for each value of an id's first five bits.
    parts: Arc<Vec<Arc<Part<K, V>>>>,
    len: usize,
}

/// Sorted by key. A part is copied more often than it is changed in place, and walked through more
/// often than either: both are quickest when it is one piece of memory.
type Part<K, V> = Vec<(K, V)>;

/// What the map is ordered by.
pub trait RandomId: Copy + Ord {
    /// The id, whose first bits are spread evenly.
    fn uuid(&self) -> Uuid;
}

impl RandomId for JobId {
    fn uuid(&self) -> Uuid {
        self.0
    }
}

impl RandomId for PeerId {
    fn uuid(&self) -> Uuid {
        self.0
    }
}

impl RandomId for WriterId {
    fn uuid(&self) -> Uuid {
        self.0
    }
}

/// A change copies a part, and the list of all parts: this many are a balance of the two for maps
/// of some hundreds to some thousands.
const PARTS: usize = 32;

fn part_of<K: RandomId>(key: &K) -> usize {
    usize::from(key.uuid().as_bytes()[0] >> 3)
}

/// Where a key stands in its part, or would stand.
fn place_in<K: RandomId, V>(part: &Part<K, V>, key: &K) -> Result<usize, usize> {
    part.binary_search_by(|(other, _)| other.cmp(key))
}

/// Puts a new entry into a part. When it is shared, the copy is made with room for it.
fn add<K: Copy, V: Clone>(part: &mut Arc<Part<K, V>>, place: usize, entry: (K, V)) {
    if let Some(part) = Arc::get_mut(part) {
        return part.insert(place, entry);
    }
    let mut copy = Vec::with_capacity(part.len() + 1);
    copy.extend_from_slice(&part[..place]);
    copy.push(entry);
    copy.extend_from_slice(&part[place..]);
    *part = Arc::new(copy);
}

impl<K: RandomId, V: Clone> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let part = self.parts.get(part_of(key))?;
        let place = place_in(part, key).ok()?;
        Some(&part[place].1)
    }

    /// Whether there is a value of the key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Every entry, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.parts.iter().flat_map(|part| part.iter());
        entries.map(|(key, value)| (key, value))
    }

    /// Every key, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// Every value, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let part = Arc::make_mut(&mut self.parts).get_mut(part_of(key))?;
        let place = place_in(part, key).ok()?;
        Some(&mut Arc::make_mut(part)[place].1)
    }

    /// Puts a value in the place of the one that the key had, and gives that back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let parts = Arc::make_mut(&mut self.parts);
        parts.resize_with(PARTS, Arc::default);
        let part = &mut parts[part_of(&key)];
        match place_in(part, &key) {
            Ok(place) => Some(mem::replace(&mut Arc::make_mut(part)[place].1, value)),
            Err(place) => {
                add(part, place, (key, value));
                self.len += 1;
                None
            }
        }
    }

    /// Removes a key, and gives back the value it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let part = part_of(key);
        let place = place_in(self.parts.get(part)?, key).ok()?;
        let parts = Arc::make_mut(&mut self.parts);
        self.len -= 1;
        let (_, value) = Arc::make_mut(&mut parts[part]).remove(place);
        Some(value)
    }

    /// Removes the entries of the lowest rank among those that have one, until so many are left
    /// of them.
    pub(crate) fn keep_highest<R: Ord>(&mut self, keep: usize, rank: impl Fn(&K, &V) -> Option<R>) {
        let ranked = self.iter();
        let ranked = ranked.filter_map(|(key, value)| Some((rank(key, value)?, *key)));
        let mut ranked: Vec<(R, K)> = ranked.collect();
        let surplus = ranked.len().saturating_sub(keep);
        ranked.sort_unstable();
        let mut lowest: Vec<K> = ranked[..surplus].iter().map(|(_, key)| *key).collect();
        lowest.sort_unstable();
        for part in Arc::make_mut(&mut self.parts) {
            if part
                .iter()
                .any(|(key, _)| lowest.binary_search(key).is_ok())
            {
                Arc::make_mut(part).retain(|(key, _)| lowest.binary_search(key).is_err());
            }
        }
        self.len -= surplus;
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap {
            parts: Arc::default(),
            len: 0,
        }
    }
}

impl<K: RandomId, V: Clone> Index<&K> for SharedMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        let part = &self.parts[part_of(key)];
        let place = place_in(part, key);
        &part[place.expect("the map has the key")].1
    }
}

impl<K: RandomId, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
            || self.len == other.len && {
                let mut parts = self.parts.iter().zip(other.parts.iter());
                parts.all(|(part, other)| Arc::ptr_eq(part, other) || part == other)
            }
    }
}

impl<K: RandomId + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: RandomId, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = SharedMap::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<K: RandomId, V: Clone, const N: usize> From<[(K, V); N]> for SharedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: RandomId + Serialize, V: Clone + Serialize> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K, V> Deserialize<'de> for SharedMap<K, V>
where
    K: RandomId + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<K, V>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{from_payload, to_payload};
    use proptest::prelude::*;

    fn job(first: u8, last: u8) -> JobId {
        JobId(Uuid::from_u128(u128::from(first) << 120 | u128::from(last)))
    }

    proptest! {
        #[test]
        fn it_is_a_map(changes in proptest::collection::vec((any::<u8>(), 0..3_u8, any::<bool>()), 0..200)) {
            let mut map = SharedMap::default();
            let mut plain = BTreeMap::new();
            for (number, (first, last, put)) in changes.into_iter().enumerate() {
                let key = job(first, last);
                let before = map.clone();
                if put {
                    map.insert(key, number);
                    plain.insert(key, number);
                } else {
                    map.remove(&key);
                    plain.remove(&key);
                }
                prop_assert_eq!(map == before, map.get(&key) == before.get(&key));
                prop_assert_eq!(map.len(), plain.len());
            }
            prop_assert!(map.iter().eq(plain.iter()));
            let read: SharedMap<JobId, usize> = from_payload(&to_payload(&map).unwrap()).unwrap();
            prop_assert_eq!(read, map);
        }
    }

    #[test]
    fn a_copy_shares_what_did_not_change() {
        let map: SharedMap<JobId, u8> = (0..=255).map(|n| (job(n, 0), n)).collect();
        let mut changed = map.clone();
        changed.insert(job(0, 1), 0);
        let shared = map.parts.iter().zip(changed.parts.iter());
        let copied = shared.filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(copied, 1);
    }

    #[test]
    fn the_lowest_go_first() {
        let mut map: SharedMap<JobId, u8> = (0..10).map(|n| (job(n, 0), 10 - n)).collect();
        map.keep_highest(2, |_, value| (*value > 1).then_some(*value));
        let left: Vec<u8> = map.iter().map(|(_, value)| *value).collect();
        assert_eq!(left, [10, 9, 1]);
    }
}
