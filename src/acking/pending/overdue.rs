//! Roots that have pended for their time-out: everybody who works on the job is asked about them,
//! and what nobody knows is played again.

use super::{ONE_MS, Pending, Try};
use crate::acking::acks::Inquiry;
use crate::acking::open_roots::Attempt;
use crate::acking::troubles::{Then, Told};
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A root that is alive, or of which nobody knows, is asked about again after this part of the
/// time-out.
pub(super) const ASK_AGAIN: u32 = 4;

/// When somebody did not answer so often in a row, for about a time-out, its silence counts as an
/// answer. Whoever is gone for so long has left the cluster, mostly.
pub(super) const SILENCES_MAX: u32 = 4;

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The how-manieth it is.
    pub number: u64,
    /// Everybody who is asked.
    pub of: BTreeSet<PeerId>,
    /// The roots; at most [`Inquiry::ROOTS_MAX`].
    pub roots: Vec<u64>,
}

impl<P> Pending<P> {
    /// Looks at what has pended for too long and at what has waited for its next try. Then there
    /// may be something to ask, to replay or to bury.
    pub fn expire(&mut self, now: Millis) {
        let due = self.timeouts.due(now);
        if !due.is_empty() {
            for root in self.under_way(due) {
                self.doubt(root, 0, now);
            }
        }
        while let Some(then) = self.troubles.due(now) {
            match then {
                Then::Ask(root, silences) if self.is_under_way(root) => {
                    self.doubt(root, silences, now);
                }
                Then::Retry(root) if self.is_under_way(root) => self.mark(root, Try::Another),
                Then::Repeat(root) if self.is_under_way(root) => self.mark(root, Try::TheSame),
                Then::Unknown(roots, silences) => {
                    for root in roots {
                        self.unknown(root, silences, now);
                    }
                }
                Then::Ask(..) | Then::Retry(_) | Then::Repeat(_) => {}
            }
        }
    }

    /// Takes what is to be asked, of these peers and of the ackers of the roots: which of the roots
    /// are alive? A root is when it had an ack within the time-out, or when somebody has a segment
    /// of it.
    pub fn take_questions(&mut self, peers: &BTreeSet<PeerId>, now: Millis) -> Vec<Question> {
        let until = now.plus(self.rules.timeouts.tick.max(ONE_MS));
        let mut questions = Vec::new();
        for (silences, roots) in std::mem::take(&mut self.doubted) {
            for roots in roots.chunks(Inquiry::ROOTS_MAX) {
                let roots = roots.to_vec();
                let ackers = roots.iter().filter_map(|root| self.acker(*root));
                let of: BTreeSet<PeerId> = ackers.chain(peers.iter().copied()).collect();
                let number = self.troubles.ask(&roots, &of, until, silences);
                questions.push(Question { number, of, roots });
            }
        }
        questions
    }

    /// A peer has answered a question. What was not asked, or is not open any more, means nothing.
    pub fn answered(&mut self, number: u64, by: PeerId, alive: &[u64], now: Millis) {
        let Told { alive, lost } = self.troubles.answered(number, by, alive);
        for root in alive {
            self.ask_again(root, 0, now);
        }
        for root in lost {
            self.lost(
                root,
                "no ack came within its time-out, and no peer has it",
                now,
            );
        }
    }

    /// A root has pended for long: the pipeline is slow, or it is lost.
    fn doubt(&mut self, root: u64, silences: u32, now: Millis) {
        let Some(at) = self.find(root) else { return };
        self.limit.cut(self.sent[at].sent_at, now);
        self.doubted.entry(silences).or_default().push(root);
    }

    fn ask_again(&mut self, root: u64, silences: u32, now: Millis) {
        let later = self.rules.timeouts.pending / ASK_AGAIN;
        let moment = now.plus(later.max(ONE_MS));
        self.troubles.ask_at(moment, root, silences);
    }

    /// Nobody who answered knows a root, and not everybody answered.
    fn unknown(&mut self, root: u64, silences: u32, now: Millis) {
        if silences >= SILENCES_MAX {
            self.lost(
                root,
                "no ack came, and a peer of the job did not answer",
                now,
            );
        } else {
            self.ask_again(root, silences, now);
        }
    }

    /// A root's tree has come to an end without being complete.
    fn lost(&mut self, root: u64, reason: &str, now: Millis) {
        let found = self.find(root);
        let Some(at) = found.filter(|at| self.sent[*at].is_under_way(root)) else {
            return;
        };
        self.counters.timed_out += 1;
        self.try_again(at, root, reason, now);
    }

    fn is_under_way(&mut self, root: u64) -> bool {
        let found = self.find(root);
        found.is_some_and(|at| self.sent[at].is_under_way(root))
    }

    fn acker(&mut self, root: u64) -> Option<PeerId> {
        self.find(root).map(|at| self.sent[at].acker)
    }

    /// A root is lost, or a function asks for it: another try, after a while, or none.
    pub(super) fn try_again(&mut self, at: usize, root: u64, reason: &str, now: Millis) {
        let (_, Attempt { attempt, .. }) = self.sent[at].segment(root);
        let rule = self.rules.retries;
        if !rule.allows(attempt) {
            return self.condemned.push_back((root, reason.into()));
        }
        match rule.wait(attempt, root) {
            Duration::ZERO => self.mark(root, Try::Another),
            wait => self.troubles.retry_at(now.plus(wait), root),
        }
    }
}

/// Roots that are to be asked about, by how often in a row somebody did not answer.
pub(super) type Doubted = BTreeMap<u32, Vec<u64>>;
