//! Where single roots are, or went: of those that are sampled, and of all that are played again.
//!
//! The source decides which roots are traced, and says so in the origin of its batches, so that
//! every node writes down what happens to the same ones. Each node knows what it saw, and hands it
//! over as news, of which [`pages`](super::trace_pages) are made for the others.

use crate::acking::{Reach, RootId};
use crate::clock::Clock;
use crate::codec::BatchMeta;
use crate::ids::{JobId, PeerId, TaskName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many roots that are sampled are remembered, the latest.
const SAMPLED_MAX: usize = 1_024;
/// So many of the others. The loss of one peer makes an input play all again that it has pending, 10,000
/// unless it is told otherwise, and each of these has been two roots then.
const TROUBLED_MAX: usize = 32_768;
/// So many things of each, the first.
const EVENTS_MAX: usize = 64;
/// So many things wait to be handed over as news; those beyond are known here alone.
const NEWS_MAX: usize = 1_024;

/// What a node knows of traced roots. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    one_in: u32,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    roots: BTreeMap<RootId, Course>,
    /// By the order in which they came to be known.
    sampled: BTreeMap<u64, RootId>,
    troubled: BTreeMap<u64, RootId>,
    next: u64,
    news: Vec<(RootId, TraceEvent)>,
}

/// What is known of one root.
#[derive(Debug)]
struct Course {
    number: u64,
    why: Why,
    events: Vec<TraceEvent>,
}

/// Why a root is traced. Those of one kind do not push out those of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is one in so many.
    Sampled,
    /// Something went wrong with it, or its segment is played again.
    Troubled,
}

/// Something that happened to a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TraceEvent {
    /// When, in milliseconds since 1970 by this machine's clock, so that what several nodes tell
    /// can be put in order.
    pub unix_ms: u64,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The peers of its job were asked whether it is alive.
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

    /// Why somebody who knows no more than this traces the root.
    fn why(&self) -> Why {
        match self {
            Traced::PlayedAgain { .. }
            | Traced::Replaced { .. }
            | Traced::GivenBack { .. }
            | Traced::DeadLettered { .. } => Why::Troubled,
            Traced::Read { .. }
            | Traced::Received
            | Traced::Emitted { .. }
            | Traced::Written
            | Traced::Filtered
            | Traced::Asked
            | Traced::Completed { .. } => Why::Sampled,
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

    /// Why a root is traced that its source traces at this rate. The source traces all that it
    /// plays again; where all is sampled, that cannot be told.
    pub(super) fn why(&self, rate: u32) -> Why {
        match rate {
            1 if self.one_in != 1 => Why::Troubled,
            _ => Why::Sampled,
        }
    }

    /// Writes down what happened to a root.
    pub(super) fn note(&self, root: RootId, why: Why, here: &Here<'_>, what: Traced) {
        let why = match why {
            Why::Sampled => what.why(),
            Why::Troubled => Why::Troubled,
        };
        let event = here.event(Clock::unix_ms(), what);
        self.known().note(root, why, event);
    }

    /// What happened to a root here, in order; none when it is not known.
    pub fn of(&self, root: RootId) -> Option<Vec<TraceEvent>> {
        let known = self.known();
        known.roots.get(&root).map(|course| course.events.clone())
    }

    /// What was written down since this was asked for last.
    pub fn take_news(&self) -> Vec<(RootId, TraceEvent)> {
        std::mem::take(&mut self.known().news)
    }

    /// The roots that are known, the latest first.
    pub fn roots(&self) -> Vec<RootId> {
        let known = self.known();
        let mut all: Vec<(&u64, &RootId)> = known.sampled.iter().chain(&known.troubled).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.into_iter().map(|(_, root)| *root).collect()
    }

    // A lock is poisoned by a panic elsewhere, between two whole changes.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn note(&mut self, root: RootId, why: Why, event: TraceEvent) {
        let (mut number, mut moves) = (self.next, true);
        let so_far = self.roots.get(&root).map_or(0, |it| it.events.len());
        if so_far == 0 && matches!(event.what, Traced::Completed { .. }) {
            // Nobody hears of the end alone: it was known, and is forgotten.
            return;
        }
        if so_far < EVENTS_MAX && self.news.len() < NEWS_MAX {
            self.news.push((root, event.clone()));
        }
        if let Some(course) = self.roots.get_mut(&root) {
            if so_far < EVENTS_MAX {
                course.events.push(event);
            }
            number = course.number;
            moves = (course.why, why) == (Why::Sampled, Why::Troubled);
            if moves {
                course.why = why;
                self.sampled.remove(&number);
            }
        } else {
            self.next += 1;
            let events = vec![event];
            let course = Course {
                number,
                why,
                events,
            };
            self.roots.insert(root, course);
        }
        if moves {
            let (kind, most) = match why {
                Why::Sampled => (&mut self.sampled, SAMPLED_MAX),
                Why::Troubled => (&mut self.troubled, TROUBLED_MAX),
            };
            kind.insert(number, root);
            if kind.len() > most
                && let Some((_, oldest)) = kind.pop_first()
            {
                self.roots.remove(&oldest);
            }
        }
    }
}

/// The rows of a batch whose roots are traced, with the names of these, and at which rate their
/// source traces.
pub(super) fn traced_rows(meta: &BatchMeta) -> impl Iterator<Item = (usize, RootId, u32)> {
    let some = meta.origins().iter().any(|origin| origin.traced > 0);
    let rows = some.then(|| meta.rows().enumerate());
    rows.into_iter().flatten().filter_map(|(index, row)| {
        let origin = meta.origins()[usize::from(row.origin)];
        let root = RootId {
            source: origin.source,
            epoch: origin.epoch,
            root: row.root,
        };
        is_traced(origin.traced, row.root).then_some((index, root, origin.traced))
    })
}

/// Whether a root is one of those that are traced: none for 0, every one for 1.
pub(super) fn is_traced(one_in: u32, root: u64) -> bool {
    one_in > 0 && root.is_multiple_of(one_in.into())
}

/// Where and by whom something happened.
pub(super) struct Here<'a> {
    pub(super) job: JobId,
    pub(super) task: &'a TaskName,
    pub(super) peer: PeerId,
}

impl Here<'_> {
    fn event(&self, unix_ms: u64, what: Traced) -> TraceEvent {
        TraceEvent {
            unix_ms,
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

    fn note(traces: &Traces, number: u64, what: Traced) {
        let (mut ids, task) = (IdSource::from_seed(2), "work".into());
        let here = Here {
            job: ids.job(),
            task: &task,
            peer: ids.peer(),
        };
        traces.note(root(number), Why::Sampled, &here, what);
    }

    fn given_back(reason: impl ToString) -> Traced {
        let reason = reason.to_string();
        Traced::GivenBack { reason }
    }

    #[test]
    fn the_latest_roots_are_known_with_the_first_things_that_happened_to_them() {
        let traces = Traces::one_in(1);
        for number in 0..SAMPLED_MAX as u64 + 10 {
            note(&traces, number, Traced::Asked);
        }
        for _ in 0..2 * EVENTS_MAX {
            note(&traces, 20, Traced::Received);
        }
        assert_eq!(traces.roots().len(), SAMPLED_MAX);
        assert_eq!((traces.of(root(9)), traces.roots()[0]), (None, root(1_033)));
        let events = traces.of(root(20)).unwrap();
        assert_eq!(events.len(), EVENTS_MAX);
        assert_eq!(
            [&events[0].what, &events[1].what],
            [&Traced::Asked, &Traced::Received]
        );
        // Of all that happened, so much is news until somebody asks.
        assert_eq!(
            [traces.take_news().len(), traces.take_news().len()],
            [NEWS_MAX, 0]
        );
        let in_order = |two: &[TraceEvent]| two[0].unix_ms <= two[1].unix_ms;
        assert!(events.windows(2).all(in_order));
        const THE_YEAR_2020_MS: u64 = 1_577_836_800_000;
        assert!(events[0].unix_ms > THE_YEAR_2020_MS);
    }

    #[test]
    fn those_that_are_sampled_do_not_push_out_those_that_are_played_again() {
        let traces = Traces::one_in(1);
        let many = SAMPLED_MAX as u64;
        note(&traces, 0, Traced::Received);
        note(&traces, 0, given_back("odd"));
        note(&traces, 1, given_back("odd, too"));
        for number in 10..10 + 2 * many {
            note(&traces, number, Traced::Received);
        }
        note(&traces, 0, Traced::Written);
        assert_eq!(traces.of(root(0)).map(|events| events.len()), Some(3));
        assert_eq!(traces.roots().len(), SAMPLED_MAX + 2);
        assert_eq!(traces.roots()[SAMPLED_MAX..], [root(1), root(0)]);
        let more = 1_000_000..1_000_000 + TROUBLED_MAX as u64;
        for number in more {
            note(&traces, number, given_back("bad"));
        }
        assert_eq!((traces.of(root(0)), traces.of(root(1))), (None, None));
        assert_eq!(traces.roots().len(), SAMPLED_MAX + TROUBLED_MAX);
        // What is forgotten does not come back with its end alone.
        note(&traces, 0, Traced::Completed { written: true });
        assert_eq!(traces.of(root(0)), None);
    }

    #[test]
    fn all_that_one_loss_plays_again_is_known() {
        let traces = Traces::one_in(0);
        const PENDING: u64 = 10_000;
        for before in 1..=PENDING {
            let by = root(PENDING + before).to_string();
            note(&traces, before, Traced::Replaced { by });
            let again = Traced::PlayedAgain {
                before: root(before).to_string(),
                attempt: 1,
                acker: IdSource::from_seed(3).peer(),
            };
            note(&traces, PENDING + before, again);
        }
        for number in PENDING + 1..=2 * PENDING {
            note(&traces, number, Traced::Completed { written: true });
        }
        let known = |number| traces.of(root(number)).map(|events| events.len());
        assert_eq!([1, 5_000, PENDING].map(known), [Some(1); 3]);
        assert_eq!([PENDING + 1, 15_000, 2 * PENDING].map(known), [Some(2); 3]);
    }

    #[test]
    fn one_in_so_many_is_traced() {
        let traced = |one_in| (1..=100).filter(|root| is_traced(one_in, *root)).count();
        assert_eq!([0, 1, 10, 1_000].map(traced), [0, 100, 10, 0]);
    }
}
