//! Which roots a task has segments of: those that wait in its inbox, and those that it took out and has
//! not come to an end with. Others may look while the task is blocked in the code of a user.

use crate::codec::BatchRoots;
use crate::ids::PeerId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The batches of one inbox.
#[derive(Default)]
pub(super) struct Held(Mutex<Batches>);

/// Stands for one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

#[derive(Default)]
struct Batches {
    /// The ticket of the first.
    first: u64,
    /// They are settled about in the order in which they came.
    held: VecDeque<Option<BatchRoots>>,
}

impl Held {
    /// A batch with segments of these roots has come.
    pub(super) fn put(&self, roots: BatchRoots) -> Ticket {
        let mut batches = self.lock();
        let ticket = batches.first + batches.held.len() as u64;
        batches.held.push_back(Some(roots));
        Ticket(ticket)
    }

    /// Nothing of these batches is left to do here.
    pub(super) fn settle(&self, tickets: impl IntoIterator<Item = Ticket>) {
        let mut batches = self.lock();
        for Ticket(ticket) in tickets {
            let at = ticket.checked_sub(batches.first).map(|at| at as usize);
            if let Some(batch) = at.and_then(|at| batches.held.get_mut(at)) {
                *batch = None;
            }
        }
        while let Some(None) = batches.held.front() {
            batches.held.pop_front();
            batches.first += 1;
        }
    }

    /// Which of the roots that a source read in an epoch there are segments of.
    pub(super) fn any_of(&self, of: (PeerId, u64), roots: &[u64]) -> Vec<u64> {
        // Whoever delivers does not wait while they are looked through.
        let batches: Vec<BatchRoots> = self.lock().held.iter().flatten().cloned().collect();
        let asked: BTreeSet<u64> = roots.iter().copied().collect();
        let mut held = BTreeSet::new();
        for batch in batches {
            batch.find(of, &asked, &mut held);
        }
        held.into_iter().collect()
    }

    // A poisoned lock means that another thread panicked between two whole steps.
    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{BatchMeta, Origin, Row};
    use crate::ids::IdSource;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn origin(seed: u64) -> Origin {
        let peer = IdSource::from_seed(seed).peer();
        Origin {
            source: peer,
            acker: peer,
            epoch: seed,
            traced: 0,
        }
    }

    fn batch(rows: &[(u16, u64)]) -> BatchRoots {
        if let Some((0, first)) = rows.first()
            && (0..).zip(rows).all(|(at, row)| *row == (0, first + at))
        {
            return BatchMeta::of_roots(origin(1), *first, rows.len()).roots();
        }
        let rows = rows.iter().map(|&(origin, root)| Row {
            origin,
            root,
            ack_value: 1,
        });
        let meta = BatchMeta::from_rows(vec![origin(1), origin(2)], rows);
        meta.unwrap().roots()
    }

    fn any_batch() -> impl Strategy<Value = Vec<(u16, u64)>> {
        prop_oneof![
            vec((0..2_u16, 0..20_u64), 0..6),
            (0..20_u64, 1..6_u64)
                .prop_map(|(first, count)| (first..first + count).map(|root| (0, root)).collect()),
        ]
    }

    proptest! {
        /// Batches come and are settled in any order; what is told is what an obvious list tells.
        #[test]
        fn what_came_is_held_until_it_is_settled(
            steps in vec((any_batch(), any::<Option<prop::sample::Index>>()), 1..40),
            asked in vec(0..25_u64, 0..30),
        ) {
            let held = Held::default();
            let mut model: Vec<(Ticket, Vec<(u16, u64)>)> = Vec::new();
            for (rows, settled) in steps {
                model.push((held.put(batch(&rows)), rows));
                if let Some(which) = settled {
                    let (ticket, _) = model.remove(which.index(model.len()));
                    // To settle twice changes nothing.
                    held.settle([ticket, ticket]);
                }
                for number in [0, 1] {
                    let Origin { source, epoch, .. } = origin(u64::from(number) + 1);
                    let rows = model.iter().flat_map(|(_, rows)| rows);
                    let own = rows.filter(|(of, root)| *of == number && asked.contains(root));
                    let expected: BTreeSet<u64> = own.map(|(_, root)| *root).collect();
                    let told = held.any_of((source, epoch), &asked);
                    prop_assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
                }
                let other_epoch = held.any_of((origin(1).source, 9), &asked);
                prop_assert!(other_epoch.is_empty());
            }
            held.settle(model.drain(..).map(|(ticket, _)| ticket));
            prop_assert!(held.lock().held.is_empty());
        }
    }
}
