//! The book-keeping of one batch: what a task has to ack for what it received and sent on.

use super::acks::{Ack, AckGroup};
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
}

/// What goes to one acker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckerAcks {
    /// The peer whose acking daemon keeps the ledger.
    pub acker: PeerId,
    /// The acks, by where their roots were read.
    pub groups: Vec<AckGroup>,
}

impl<'a> Fuse<'a> {
    /// No children yet.
    pub fn of(received: &'a BatchMeta) -> Self {
        Fuse {
            received,
            values: received.ack_values().to_vec(),
            withheld: Vec::new(),
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

    /// The acks, one per root, by acker.
    pub fn finish(self) -> Vec<AckerAcks> {
        let origins = self.received.origins();
        let mut by_origin: Vec<Roots> = vec![Roots::default(); origins.len()];
        for (index, row) in self.received.rows().enumerate() {
            if self.withheld.get(index) == Some(&true) {
                continue;
            }
            let ack = Ack {
                root: row.root,
                value: self.values[index],
            };
            by_origin[usize::from(row.origin)].add(ack, self.values.len() - index);
        }
        let mut fused: Vec<AckerAcks> = Vec::new();
        for (origin, roots) in origins.iter().zip(by_origin) {
            let acks = roots.fused();
            if acks.is_empty() {
                continue;
            }
            let group = AckGroup {
                source: origin.source,
                epoch: origin.epoch,
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
    use std::collections::BTreeMap;

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
            })
            .to_vec()
    }

    type Acked = BTreeMap<(PeerId, PeerId, u64), u64>;

    proptest! {
        #[test]
        fn a_batch_acks_each_root_once_with_all_its_draws(
            rows in vec((0..4_u16, 0..6_u64, any::<u64>()), 0..40),
            children in vec((any::<prop::sample::Index>(), any::<u64>()), 0..40),
            withheld in proptest::option::of(any::<prop::sample::Index>()),
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
            let mut expected = Acked::new();
            for (index, row) in received.rows().enumerate() {
                if withheld != Some(index) {
                    let origin = received.origins()[usize::from(row.origin)];
                    let key = (origin.acker, origin.source, row.root);
                    *expected.entry(key).or_default() ^= values[index];
                }
            }
            let mut acked = Acked::new();
            for to in fuse.finish() {
                for group in to.groups {
                    for ack in group.acks {
                        let key = (to.acker, group.source, ack.root);
                        prop_assert_eq!(acked.insert(key, ack.value), None);
                    }
                }
            }
            prop_assert_eq!(acked, expected);
        }
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
