//! The book-keeping of one batch: what a task has to ack for what it received and sent on.

use super::acks::{Ack, AckGroup, Reach};
use crate::codec::BatchMeta;
use crate::ids::PeerId;

/// Collects the draws of children by the received segment they descend from.
#[derive(Debug)]
pub struct Fuse<'a> {
    received: &'a BatchMeta,
    /// Per received segment, its own draw and those of its children so far.
    values: Vec<u64>,
    /// Which received segments are not acked; empty while there is none.
    withheld: Vec<bool>,
    written: Written,
}

/// Of which received segments an output wrote something.
#[derive(Debug)]
enum Written {
    None,
    All,
    Some(Vec<bool>),
}

/// What goes to one acker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckerAcks {
    /// The peer whose acking daemon keeps the ledger.
    pub acker: PeerId,
    /// The acks, by where their roots were read.
    groups: Vec<AckGroup>,
}

/// Of a group and of an ack on their way, at most.
const GROUP_LEN: usize = 64;
const ACK_LEN: usize = 16;

impl AckerAcks {
    /// How many acks these are.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.acks.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Puts those of a later batch behind these. A root that has an ack already gets another one in a
    /// group of its own.
    pub fn append(&mut self, later: AckerAcks) {
        for group in later.groups {
            let same = |known: &&mut AckGroup| {
                (known.source, known.epoch, known.reach) == (group.source, group.epoch, group.reach)
            };
            let known = self.groups.iter_mut().rev().find(same);
            let is_behind = |known: &AckGroup| match (known.acks.last(), group.acks.first()) {
                (Some(last), Some(first)) => last.root < first.root,
                _ => true,
            };
            match known {
                Some(known) if is_behind(known) => known.acks.extend(group.acks),
                _ => self.groups.push(group),
            }
        }
    }

    /// The groups, in parts that take at most so many bytes on their way: one part, unless batches are
    /// larger than what carries them. Takes them out.
    pub fn take_parts(&mut self, bytes_max: usize) -> Vec<Vec<AckGroup>> {
        let length = |groups: &[AckGroup]| -> usize {
            let lengths = groups.iter();
            lengths
                .map(|group| GROUP_LEN + ACK_LEN * group.acks.len())
                .sum()
        };
        let groups = std::mem::take(&mut self.groups);
        if length(&groups) <= bytes_max {
            return vec![groups];
        }
        let acks_max = (bytes_max.saturating_sub(GROUP_LEN) / ACK_LEN).max(1);
        let mut parts = Vec::new();
        for group in groups {
            let part = |acks: &[Ack]| {
                let acks = acks.to_vec();
                vec![AckGroup { acks, ..group }]
            };
            parts.extend(group.acks.chunks(acks_max).map(part));
        }
        parts
    }
}

impl<'a> Fuse<'a> {
    /// No children yet.
    pub fn of(received: &'a BatchMeta) -> Self {
        Fuse {
            received,
            values: received.ack_values().to_vec(),
            withheld: Vec::new(),
            written: Written::None,
        }
    }

    /// A new segment with this draw descends from the received one with this index. Panics, as a
    /// slice does, when there is none.
    #[inline]
    pub fn child(&mut self, parent: usize, ack_value: u64) {
        self.values[parent] ^= ack_value;
    }

    /// This received segment is not acked, so that its root cannot complete: it is to be retried.
    pub fn withhold(&mut self, parent: usize) {
        self.withheld.resize(self.values.len(), false);
        self.withheld[parent] = true;
    }

    /// An output wrote each received segment.
    pub fn wrote_all(&mut self) {
        self.written = Written::All;
    }

    /// An output wrote something that descends from this received segment.
    pub fn wrote(&mut self, parent: usize) {
        if !matches!(self.written, Written::Some(_)) {
            self.written = Written::Some(vec![false; self.values.len()]);
        }
        if let Written::Some(written) = &mut self.written {
            written[parent] = true;
        }
    }

    /// The acks of consecutive roots that share everything: mostly those of a whole batch.
    fn finish_consecutive(&self) -> Option<Vec<AckerAcks>> {
        let first = self.received.first_of_consecutive()?;
        let origin = self.received.origins().first()?;
        let reach = match self.written {
            Written::None => Reach::Inside,
            Written::All => Reach::Written,
            Written::Some(_) => return None,
        };
        if !self.withheld.is_empty() {
            return None;
        }
        if self.values.is_empty() {
            return Some(Vec::new());
        }
        let acks = self.values.iter().enumerate().map(|(index, &value)| Ack {
            root: first.wrapping_add(index as u64),
            value,
        });
        let group = AckGroup {
            source: origin.source,
            epoch: origin.epoch,
            reach,
            acks: acks.collect(),
        };
        Some(vec![AckerAcks {
            acker: origin.acker,
            groups: vec![group],
        }])
    }

    fn reach(&self, index: usize) -> Reach {
        match &self.written {
            Written::None => Reach::Inside,
            Written::All => Reach::Written,
            Written::Some(written) if written[index] => Reach::Written,
            Written::Some(_) => Reach::Inside,
        }
    }

    /// The acks by acker: one for each root, or two when something of it was written and something
    /// was not.
    pub fn finish(self) -> Vec<AckerAcks> {
        const REACHES: [Reach; 2] = [Reach::Inside, Reach::Written];
        let origins = self.received.origins();
        if let Some(fused) = self.finish_consecutive() {
            return fused;
        }
        let mut by_origin: Vec<[Roots; 2]> = vec![Default::default(); origins.len()];
        for (index, row) in self.received.rows().enumerate() {
            if self.withheld.get(index) == Some(&true) {
                continue;
            }
            let ack = Ack {
                root: row.root,
                value: self.values[index],
            };
            let roots = &mut by_origin[usize::from(row.origin)][self.reach(index) as usize];
            roots.add(ack, self.values.len() - index);
        }
        let mut fused: Vec<AckerAcks> = Vec::new();
        let groups = origins.iter().zip(by_origin);
        let groups = groups.flat_map(|(origin, roots)| {
            let with = move |(reach, roots)| (origin, reach, roots);
            REACHES.into_iter().zip(roots).map(with)
        });
        for (origin, reach, roots) in groups {
            let acks = Roots::fused(roots);
            if acks.is_empty() {
                continue;
            }
            let group = AckGroup {
                source: origin.source,
                epoch: origin.epoch,
                reach,
                acks,
            };
            match fused.iter_mut().find(|known| known.acker == origin.acker) {
                Some(known) => known.groups.push(group),
                None => fused.push(AckerAcks {
                    acker: origin.acker,
                    groups: vec![group],
                }),
            }
        }
        fused
    }
}

/// The acks of one origin. Mostly their roots grow, and those of one root follow each other.
#[derive(Clone, Default)]
struct Roots {
    acks: Vec<Ack>,
    order: Order,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Order {
    #[default]
    Growing,
    Mixed,
}

impl Roots {
    #[inline]
    fn add(&mut self, ack: Ack, at_most: usize) {
        match self.acks.last_mut() {
            Some(last) if last.root == ack.root => {
                last.value ^= ack.value;
                return;
            }
            Some(last) if last.root > ack.root => self.order = Order::Mixed,
            Some(_) => {}
            None => self.acks.reserve_exact(at_most),
        }
        self.acks.push(ack);
    }

    fn fused(mut self) -> Vec<Ack> {
        if self.order == Order::Mixed {
            self.acks.sort_unstable_by_key(|ack| ack.root);
            self.acks.dedup_by(|later, kept| {
                let same = later.root == kept.root;
                if same {
                    kept.value ^= later.value;
                }
                same
            });
        }
        self.acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Origin, Row};
    use crate::ids::IdSource;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Four origins: two sources, each with roots at two ackers.
    fn origins() -> Vec<Origin> {
        let mut ids = IdSource::from_seed(1);
        let sources = [ids.peer(), ids.peer()];
        let ackers = [ids.peer(), ids.peer()];
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
        pairs
            .map(|(source, acker)| Origin {
                source: sources[source],
                acker: ackers[acker],
                epoch: 3,
                traced: 0,
            })
            .to_vec()
    }

    type Acked = BTreeMap<(PeerId, PeerId, u64, Reach), u64>;

    proptest! {
        #[test]
        fn a_batch_acks_each_root_with_all_its_draws(
            rows in vec((0..4_u16, 0..6_u64, any::<u64>()), 0..40),
            children in vec((any::<prop::sample::Index>(), any::<u64>()), 0..40),
            withheld in proptest::option::of(any::<prop::sample::Index>()),
            written in vec(any::<prop::sample::Index>(), 0..5),
            bytes_max in prop_oneof![Just(GROUP_LEN + 4 * ACK_LEN), Just(usize::MAX)],
        ) {
            let rows = rows.into_iter().map(|(origin, root, ack_value)| Row { origin, root, ack_value });
            let received = BatchMeta::from_rows(origins(), rows).unwrap();
            let mut fuse = Fuse::of(&received);
            let mut values = received.ack_values().to_vec();
            if !received.is_empty() {
                for (parent, value) in children {
                    let parent = parent.index(received.len());
                    fuse.child(parent, value);
                    values[parent] ^= value;
                }
            }
            let withheld = withheld
                .filter(|_| !received.is_empty())
                .map(|index| index.index(received.len()));
            if let Some(parent) = withheld {
                fuse.withhold(parent);
            }
            let mut is_written = vec![false; received.len()];
            for parent in written.iter().filter(|_| !received.is_empty()) {
                let parent = parent.index(received.len());
                fuse.wrote(parent);
                is_written[parent] = true;
            }
            let mut expected = Acked::new();
            for (index, row) in received.rows().enumerate() {
                if withheld != Some(index) {
                    let origin = received.origins()[usize::from(row.origin)];
                    let reach = if is_written[index] { Reach::Written } else { Reach::Inside };
                    let key = (origin.acker, origin.source, row.root, reach);
                    *expected.entry(key).or_default() ^= values[index];
                }
            }
            let mut acked = Acked::new();
            for mut to in fuse.finish() {
                let parts = to.take_parts(bytes_max);
                let fits = |part: &Vec<AckGroup>| part.len() == 1 && part[0].acks.len() <= 4;
                prop_assert!(parts.len() == 1 || parts.iter().all(fits));
                for group in parts.into_iter().flatten() {
                    for ack in group.acks {
                        let key = (to.acker, group.source, ack.root, group.reach);
                        prop_assert_eq!(acked.insert(key, ack.value), None);
                    }
                }
            }
            prop_assert_eq!(acked, expected);
        }

        #[test]
        fn acks_of_several_batches_say_what_each_says(
            batches in vec(vec((0..4_u16, 0..9_u64, any::<u64>()), 1..9), 1..6),
        ) {
            let rows = |rows: &Vec<(u16, u64, u64)>| {
                let row = |&(origin, root, ack_value)| Row { origin, root, ack_value };
                BatchMeta::from_rows(origins(), rows.iter().map(row)).unwrap()
            };
            let fused = |rows| Fuse::of(rows).finish();
            let batches: Vec<BatchMeta> = batches.iter().map(rows).collect();
            let mut expected = Acked::new();
            let mut together: BTreeMap<PeerId, AckerAcks> = BTreeMap::new();
            for acks in batches.iter().flat_map(fused) {
                add(&mut expected, &acks);
                match together.get_mut(&acks.acker) {
                    Some(known) => known.append(acks),
                    None => drop(together.insert(acks.acker, acks)),
                }
            }
            let mut acked = Acked::new();
            for acks in together.values() {
                add(&mut acked, acks);
                let once = |group: &AckGroup| {
                    let roots: BTreeSet<u64> = group.acks.iter().map(|ack| ack.root).collect();
                    roots.len() == group.acks.len()
                };
                prop_assert!(acks.groups.iter().all(once));
            }
            prop_assert_eq!(acked, expected);
        }
    }

    fn add(acked: &mut Acked, acks: &AckerAcks) {
        for group in &acks.groups {
            for ack in &group.acks {
                let key = (acks.acker, group.source, ack.root, group.reach);
                *acked.entry(key).or_default() ^= ack.value;
            }
        }
    }

    #[test]
    fn consecutive_batches_make_one_group() {
        let batch = |first| {
            let received = BatchMeta::of_roots(origins()[0], first, 3);
            Fuse::of(&received).finish().remove(0)
        };
        let mut acks = batch(1);
        acks.append(batch(4));
        assert_eq!((acks.groups.len(), acks.len()), (1, 6));
        // The same roots once more, as after a split: one ack for each in a group.
        acks.append(batch(4));
        assert_eq!((acks.groups.len(), acks.len()), (2, 9));
    }

    #[test]
    fn acks_of_one_acker_travel_together() {
        let rows = (0..4).map(|origin| Row {
            origin,
            root: 1,
            ack_value: 1,
        });
        let received = BatchMeta::from_rows(origins(), rows).unwrap();
        let to = Fuse::of(&received).finish();
        assert_eq!(to.len(), 2);
        assert!(to.iter().all(|acks| acks.groups.len() == 2));
    }
}
