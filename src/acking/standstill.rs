//! Whether a root that stands still is lost, or everything stands still with it.
//!
//! A root is taken for lost when it was overtaken: when one that was sent clearly later is
//! complete. While nothing overtakes it, an output may simply have stopped, with all that is
//! pending in the inboxes before it; playing that again would only repeat it. But it may as well
//! all be lost. So of the roots that stand still one is played again in each time-out, in turn, as
//! a probe: when it comes through, it overtakes all the others.

use crate::clock::Millis;
use std::collections::BTreeSet;
use std::time::Duration;

/// Who was sent earlier by this part of the time-out is overtaken.
const CLEARLY_LATER: u32 = 4;

/// What stands still, and what has overtaken it.
#[derive(Debug)]
pub(super) struct Standstill {
    timeout: Duration,
    /// When the complete root that was sent last was sent.
    newest_complete: Option<Millis>,
    /// What was not overtaken. Some may have completed since.
    standing: BTreeSet<u64>,
    /// No probe is sent before.
    next_probe: Millis,
}

/// What is known of a root whose tree stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is lost: others pass it.
    Overtaken,
    /// Nothing passes it, so that nobody knows.
    WithTheRest,
}

impl Standstill {
    pub(super) fn new(timeout: Duration) -> Self {
        Standstill {
            timeout,
            newest_complete: None,
            standing: BTreeSet::new(),
            next_probe: Millis(0),
        }
    }

    /// A root that was sent then is complete.
    #[inline]
    pub(super) fn completed(&mut self, sent_at: Millis) {
        self.newest_complete = self.newest_complete.max(Some(sent_at));
    }

    /// A root that was sent then stands still.
    pub(super) fn stands(&mut self, root: u64, sent_at: Millis) -> Standing {
        let margin = (self.timeout / CLEARLY_LATER).max(Duration::from_millis(1));
        if self.newest_complete >= Some(sent_at.plus(margin)) {
            self.standing.remove(&root);
            return Standing::Overtaken;
        }
        self.standing.insert(root);
        Standing::WithTheRest
    }

    /// A root moves, after all.
    pub(super) fn moves(&mut self, root: u64) {
        self.standing.remove(&root);
    }

    /// The root to be played again as a probe, if it is time for one: the oldest for which
    /// `is_under_way` holds. As what is played again is the newest root from then on, each has its
    /// turn.
    pub(super) fn probe(&mut self, now: Millis, is_under_way: impl Fn(u64) -> bool) -> Option<u64> {
        if now < self.next_probe {
            return None;
        }
        let oldest = std::iter::from_fn(|| self.standing.pop_first()).find(|it| is_under_way(*it));
        self.next_probe = oldest.map_or(self.next_probe, |_| now.plus(self.timeout));
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(4);

    #[test]
    fn only_what_was_sent_clearly_later_overtakes() {
        let mut standstill = Standstill::new(TIMEOUT);
        assert_eq!(standstill.stands(1, Millis(0)), Standing::WithTheRest);
        standstill.completed(Millis(999));
        assert_eq!(standstill.stands(1, Millis(0)), Standing::WithTheRest);
        standstill.completed(Millis(1_000));
        standstill.completed(Millis(10));
        assert_eq!(standstill.stands(1, Millis(0)), Standing::Overtaken);
        assert_eq!(standstill.stands(2, Millis(1)), Standing::WithTheRest);
    }

    #[test]
    fn one_probe_is_sent_in_each_time_out_and_each_root_has_its_turn() {
        let mut standstill = Standstill::new(TIMEOUT);
        for root in 1..=4 {
            standstill.stands(root, Millis(0));
        }
        standstill.moves(2);
        assert_eq!(standstill.probe(Millis(5), |root| root != 1), Some(3));
        standstill.stands(9, Millis(5));
        assert_eq!(standstill.probe(Millis(4_004), |_| true), None);
        assert_eq!(standstill.probe(Millis(4_005), |_| true), Some(4));
        assert_eq!(standstill.probe(Millis(8_005), |_| true), Some(9));
        assert_eq!(standstill.probe(Millis(90_000), |_| true), None);
        standstill.stands(10, Millis(90_000));
        assert_eq!(standstill.probe(Millis(90_000), |_| true), Some(10));
    }
}
