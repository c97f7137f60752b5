//! Roots that have pended for their time-out: everybody who works on the job is asked about them,
//! and what nobody knows is played again.

use super::{ONE_MS, Pending, Try};
use crate::acking::acks::Inquiry;
use crate::acking::open_roots::Attempt;
use crate::acking::troubles::{Due, Rounds, Told};
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A root that is alive is asked about again after this part of the time-out, and who is asked has as
/// long to answer.
pub(super) const ASK_AGAIN: u32 = 4;

/// When somebody did not answer so often in a row, for a time-out, nobody will know. Whoever is gone
/// for so long has left the cluster, mostly.
pub(super) const SILENCES_MAX: u32 = 4;

/// Nobody may have known a root because it was on its way from one to the other.
const MISSES_MAX: u32 = 2;

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
                self.doubt(root, Rounds::default(), now);
            }
        }
        while let Some(due) = self.troubles.due(now) {
            match due {
                Due::Ask(root, rounds) if self.is_under_way(root) => {
                    self.doubt(root, rounds, now);
                }
                Due::Retry(root) if self.is_under_way(root) => self.mark(root, Try::Another),
                Due::Repeat(root) if self.is_under_way(root) => self.mark(root, Try::TheSame),
                Due::Silence(number) => {
                    let (roots, rounds) = self.troubles.unanswered(number);
                    for root in roots {
                        self.unknown(root, rounds, now);
                    }
                }
                Due::Ask(..) | Due::Retry(_) | Due::Repeat(_) => {}
            }
        }
    }

    /// Takes what is to be asked, of these peers and of the ackers of the roots: which of the roots
    /// are alive? A root is when it had an ack within the time-out, or when somebody has a segment
    /// of it.
    pub fn take_questions(&mut self, peers: &BTreeSet<PeerId>, now: Millis) -> Vec<Question> {
        let until = now.plus(self.a_while());
        let mut questions = Vec::new();
        for (rounds, roots) in std::mem::take(&mut self.doubted) {
            for roots in roots.chunks(Inquiry::ROOTS_MAX) {
                let roots = roots.to_vec();
                let ackers = roots.iter().filter_map(|root| self.acker(*root));
                let of: BTreeSet<PeerId> = ackers.chain(peers.iter().copied()).collect();
                let number = self.troubles.ask(&roots, &of, until, rounds);
                questions.push(Question { number, of, roots });
            }
        }
        questions
    }

    /// A peer has answered a question. What was not asked, or is not open any more, means nothing.
    pub fn answered(&mut self, number: u64, by: PeerId, alive: &[u64], now: Millis) {
        let told = self.troubles.answered(number, by, alive);
        let Told {
            alive,
            missed,
            rounds,
        } = told;
        let later = now.plus(self.a_while());
        for root in alive {
            self.troubles.at(later, Due::Ask(root, Rounds::default()));
        }
        let misses = rounds.misses + 1;
        let soon = now.plus(self.rules.timeouts.tick.max(ONE_MS));
        for root in missed {
            if misses >= MISSES_MAX {
                self.lost(root, now);
            } else {
                let rounds = Rounds {
                    misses,
                    ..Rounds::default()
                };
                self.troubles.at(soon, Due::Ask(root, rounds));
            }
        }
    }

    /// A root has pended for long: the pipeline is slow, or it is lost.
    fn doubt(&mut self, root: u64, rounds: Rounds, now: Millis) {
        let Some(at) = self.find(root) else { return };
        self.limit.cut(self.sent[at].sent_at, now);
        self.doubted.entry(rounds).or_default().push(root);
    }

    /// A part of the time-out.
    fn a_while(&self) -> Duration {
        (self.rules.timeouts.pending / ASK_AGAIN).max(ONE_MS)
    }

    /// Nobody who answered knows a root, and not everybody answered. In the end it is played again,
    /// which is no try: nobody has said that it is lost.
    fn unknown(&mut self, root: u64, rounds: Rounds, now: Millis) {
        if !self.is_under_way(root) {
            return;
        }
        let silences = rounds.silences + 1;
        if silences < SILENCES_MAX {
            return self.doubt(root, Rounds { silences, ..rounds }, now);
        }
        self.counters.timed_out += 1;
        self.mark(root, Try::TheSame);
    }

    /// A root's tree has come to an end without being complete.
    fn lost(&mut self, root: u64, now: Millis) {
        let found = self.find(root);
        let Some(at) = found.filter(|at| self.sent[*at].is_under_way(root)) else {
            return;
        };
        self.counters.timed_out += 1;
        let reason = "no ack came within its time-out, and no peer has it";
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
            wait => self.troubles.at(now.plus(wait), Due::Retry(root)),
        }
    }
}

/// Roots that are to be asked about.
pub(super) type Doubted = BTreeMap<Rounds, Vec<u64>>;
