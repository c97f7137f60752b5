//! Where single roots are, or went: of those that are sampled, and of all that are played again.
//!
//! The source decides which roots are traced, and says so in the origin of its batches, so that every
//! node writes down what happens to the same ones. Each node tells what it saw.

use crate::acking::{Reach, RootId};
use crate::clock::Millis;
use crate::codec::BatchMeta;
use crate::ids::{JobId, PeerId, TaskName};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many roots are remembered, the latest.
const ROOTS_MAX: usize = 1_024;
/// So many things of each, the first.
const EVENTS_MAX: usize = 64;

/// What a node knows of traced roots. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    one_in: u32,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    roots: BTreeMap<RootId, Vec<TraceEvent>>,
    /// In the order in which they came to be known.
    order: VecDeque<RootId>,
}

/// Something that happened to a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TraceEvent {
    /// When, in milliseconds since this node started.
    pub at_ms: u64,
    /// In which job.
    pub job: JobId,
    /// In which of its tasks.
    pub task: TaskName,
    /// Which peer says so.
    pub peer: PeerId,
    /// What.
    #[serde(flatten)]
    pub what: Traced,
}

/// What can happen to a root and to what descends from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Traced {
    /// An input read it.
    Read {
        /// Who keeps its ledger.
        acker: PeerId,
    },
    /// It is another root's segment, played again.
    PlayedAgain {
        /// The root that it had before.
        before: String,
        /// The how-manieth try it is.
        attempt: u32,
        /// Who keeps its ledger.
        acker: PeerId,
    },
    /// It was played again under another root, and acks of this one mean nothing any more.
    Replaced {
        /// The other root.
        by: String,
    },
    /// A segment of its tree arrived.
    Received,
    /// A segment of its tree was sent on.
    Emitted {
        /// To which task.
        to: TaskName,
    },
    /// A segment of its tree was written by an output.
    Written,
    /// Nothing was made of a segment of its tree.
    Filtered,
    /// It was given back to its source.
    GivenBack {
        /// Why.
        reason: String,
    },
    /// Its acker was asked whether it moves.
    Asked,
    /// Its whole tree is acknowledged.
    Completed {
        /// Whether an output wrote something of it.
        written: bool,
    },
    /// It went to the dead letters.
    DeadLettered {
        /// Why.
        reason: String,
    },
}

impl Traced {
    /// The completion of a tree that came so far.
    pub fn completed(reach: Reach) -> Self {
        Traced::Completed {
            written: reach == Reach::Written,
        }
    }
}

impl Traces {
    /// Traces of one in so many roots that inputs of this node read, and of none for 0.
    pub fn one_in(roots: u32) -> Self {
        Traces {
            one_in: roots,
            known: Arc::default(),
        }
    }

    /// Which roots of its own an input traces; see [`is_traced`].
    pub(super) fn rate(&self) -> u32 {
        self.one_in
    }

    /// Writes down what happened to a root.
    pub(super) fn note(&self, root: RootId, event: TraceEvent) {
        let mut known = self.known();
        if !known.roots.contains_key(&root) {
            if known.order.len() == ROOTS_MAX
                && let Some(oldest) = known.order.pop_front()
            {
                known.roots.remove(&oldest);
            }
            known.order.push_back(root);
        }
        let events = known.roots.entry(root).or_default();
        if events.len() < EVENTS_MAX {
            events.push(event);
        }
    }

    /// What happened to a root here, in order; none when it is not known.
    pub fn of(&self, root: RootId) -> Option<Vec<TraceEvent>> {
        self.known().roots.get(&root).cloned()
    }

    /// The roots that are known, the latest first.
    pub fn roots(&self) -> Vec<RootId> {
        self.known().order.iter().rev().copied().collect()
    }

    // A lock is poisoned by a panic elsewhere, between two whole changes.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of a batch whose roots are traced, with the names of these.
pub(super) fn traced_rows(meta: &BatchMeta) -> impl Iterator<Item = (usize, RootId)> {
    let some = meta.origins().iter().any(|origin| origin.traced > 0);
    let rows = some.then(|| meta.rows().enumerate());
    rows.into_iter().flatten().filter_map(|(index, row)| {
        let origin = meta.origins()[usize::from(row.origin)];
        let root = RootId {
            source: origin.source,
            epoch: origin.epoch,
            root: row.root,
        };
        is_traced(origin.traced, row.root).then_some((index, root))
    })
}

/// Whether a root is one of those that are traced: none for 0, every one for 1.
pub(super) fn is_traced(one_in: u32, root: u64) -> bool {
    one_in > 0 && root.is_multiple_of(one_in.into())
}

/// When, where and by whom something happened.
pub(super) struct Here<'a> {
    pub(super) at: Millis,
    pub(super) job: JobId,
    pub(super) task: &'a TaskName,
    pub(super) peer: PeerId,
}

impl Here<'_> {
    pub(super) fn event(&self, what: Traced) -> TraceEvent {
        TraceEvent {
            at_ms: self.at.0,
            job: self.job,
            task: self.task.clone(),
            peer: self.peer,
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    fn root(root: u64) -> RootId {
        let source = IdSource::from_seed(1).peer();
        RootId {
            source,
            epoch: 1,
            root,
        }
    }

    fn event(at_ms: u64) -> TraceEvent {
        let mut ids = IdSource::from_seed(2);
        TraceEvent {
            at_ms,
            job: ids.job(),
            task: "work".into(),
            peer: ids.peer(),
            what: Traced::Received,
        }
    }

    #[test]
    fn the_latest_roots_are_known_with_the_first_things_that_happened_to_them() {
        let traces = Traces::one_in(1);
        for number in 0..ROOTS_MAX as u64 + 10 {
            traces.note(root(number), event(1));
        }
        for at in 2..2 * EVENTS_MAX as u64 {
            traces.note(root(20), event(at));
        }
        assert_eq!(traces.roots().len(), ROOTS_MAX);
        assert_eq!((traces.of(root(9)), traces.roots()[0]), (None, root(1_033)));
        let events = traces.of(root(20)).unwrap();
        assert_eq!(
            (events.len(), events[0].at_ms, events[1].at_ms),
            (EVENTS_MAX, 1, 2)
        );
    }

    #[test]
    fn one_in_so_many_is_traced() {
        let traced = |one_in| (1..=100).filter(|root| is_traced(one_in, *root)).count();
        assert_eq!([0, 1, 10, 1_000].map(traced), [0, 100, 10, 0]);
    }
}
