//! Roots that have pended for their time-out: their ackers are asked, and what stands still is
//! played again when it is lost.

use super::{ONE_MS, Pending, Try};
use crate::acking::acks::Pace;
use crate::acking::open_roots::Attempt;
use crate::acking::standstill::Standing;
use crate::acking::troubles::Then;
use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A root that moves, or stands still with all others, is asked about again after this part of the
/// time-out.
pub(super) const ASK_AGAIN: u32 = 4;

impl<P> Pending<P> {
    /// Looks at what has pended for too long and at what has waited for its next try. Then there
    /// may be something to ask, to replay or to bury.
    pub fn expire(&mut self, now: Millis) {
        let due = self.timeouts.due(now);
        if !due.is_empty() {
            for root in self.under_way(due) {
                self.ask(root, now);
            }
        }
        while let Some((root, then)) = self.troubles.due(now) {
            let Some(at) = self.find(root) else { continue };
            if !self.sent[at].is_under_way(root) {
                continue;
            }
            match then {
                Then::Ask => self.ask(root, now),
                Then::NoAnswer => self.stood_still(root, "its acker did not answer", now),
                Then::Retry => self.mark(root, Try::Another),
                Then::Repeat => self.mark(root, Try::TheSame),
            }
        }
    }

    /// Takes what ackers are to be asked: which of these roots have had an ack within the time-out?
    pub fn take_inquiries(&mut self) -> BTreeMap<PeerId, Vec<u64>> {
        std::mem::take(&mut self.inquiries)
    }

    /// An acker has answered. What was not asked, or is not open any more, means nothing.
    pub fn answered(&mut self, pace: Pace, roots: &[u64], now: Millis) {
        for &root in roots {
            let found = self.find(root);
            let is_open = found.is_some_and(|at| self.sent[at].is_under_way(root));
            if !self.troubles.answered(root) || !is_open {
                continue;
            }
            match pace {
                Pace::Still => self.stood_still(root, "no ack came within its time-out", now),
                Pace::Moving => {
                    self.standstill.moves(root);
                    self.ask_again(root, now);
                }
            }
        }
    }

    fn ask(&mut self, root: u64, now: Millis) {
        let Some(at) = self.find(root) else { return };
        let acker = self.sent[at].acker;
        let patience = self.rules.timeouts.tick.max(ONE_MS);
        self.troubles.ask(root, now.plus(patience));
        self.inquiries.entry(acker).or_default().push(root);
    }

    fn ask_again(&mut self, root: u64, now: Millis) {
        let later = self.rules.timeouts.pending / ASK_AGAIN;
        self.troubles
            .at(now.plus(later.max(ONE_MS)), root, Then::Ask);
    }

    /// A root's tree did not move: it is lost, or everything stands still.
    fn stood_still(&mut self, root: u64, reason: &str, now: Millis) {
        let Some(at) = self.find(root) else { return };
        let sent_at = self.sent[at].sent_at;
        self.limit.cut(sent_at, now);
        match self.standstill.stands(root, sent_at) {
            Standing::Overtaken => {
                self.counters.timed_out += 1;
                self.try_again(at, root, reason, now);
            }
            Standing::WithTheRest => {
                self.ask_again(root, now);
                self.probe(now);
            }
        }
    }

    /// Plays one of the roots again that stand still, if it is time to. That is no try: nothing
    /// says that it is this root's fault.
    fn probe(&mut self, now: Millis) {
        let sent = &self.sent;
        let is_under_way = |root: u64| {
            let at = sent.partition_point(|sent| sent.roots().end <= root);
            sent.get(at).is_some_and(|sent| sent.is_under_way(root))
        };
        if let Some(root) = self.standstill.probe(now, is_under_way) {
            self.counters.timed_out += 1;
            self.mark(root, Try::TheSame);
        }
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
            wait => self.troubles.at(now.plus(wait), root, Then::Retry),
        }
    }
}
