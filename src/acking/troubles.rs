//! Roots whose time-out has passed: what is asked about them, and what happens to them when.

use crate::clock::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// Roots that need attention at a later moment. Each was open when it was put here; it may have
/// completed since.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    later: BTreeSet<(Millis, u64, Then)>,
    /// Roots of which an acker was asked, and until when it is waited for.
    asked: BTreeMap<u64, Millis>,
}

/// What happens to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    /// Its acker is asked whether it moves.
    Ask,
    /// The acker did not answer: it is taken for gone.
    NoAnswer,
    /// It is sent again, and that counts as a try.
    Retry,
    /// It is sent again, and that does not count.
    Repeat,
}

impl Troubles {
    /// An acker is asked about a root, and has until then.
    pub(super) fn ask(&mut self, root: u64, until: Millis) {
        self.asked.insert(root, until);
        self.later.insert((until, root, Then::NoAnswer));
    }

    /// An answer came. False when nothing was asked, or it is not waited for any more.
    pub(super) fn answered(&mut self, root: u64) -> bool {
        match self.asked.remove(&root) {
            Some(until) => self.later.remove(&(until, root, Then::NoAnswer)),
            None => false,
        }
    }

    pub(super) fn at(&mut self, moment: Millis, root: u64, then: Then) {
        self.later.insert((moment, root, then));
    }

    /// The next root whose moment has come.
    pub(super) fn due(&mut self, now: Millis) -> Option<(u64, Then)> {
        let (moment, root, then) = *self.later.first()?;
        if moment > now {
            return None;
        }
        self.later.pop_first();
        if then == Then::NoAnswer {
            self.asked.remove(&root);
        }
        Some((root, then))
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Millis> {
        self.later.first().map(|(moment, ..)| *moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_waited_for_until_its_time_and_counts_once() {
        let mut troubles = Troubles::default();
        troubles.ask(1, Millis(10));
        troubles.ask(2, Millis(10));
        troubles.at(Millis(5), 3, Then::Retry);
        assert_eq!(troubles.next(), Some(Millis(5)));
        assert!(troubles.answered(1) && !troubles.answered(1) && !troubles.answered(3));
        assert_eq!(troubles.due(Millis(9)), Some((3, Then::Retry)));
        assert_eq!(troubles.due(Millis(9)), None);
        assert_eq!(troubles.due(Millis(10)), Some((2, Then::NoAnswer)));
        assert_eq!((troubles.due(Millis(99)), troubles.next()), (None, None));
        assert!(!troubles.answered(2));
        assert!(troubles.asked.is_empty(), "nobody is waited for");
    }
}
