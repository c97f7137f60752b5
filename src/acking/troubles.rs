//! Roots whose time-out has passed: what is asked about them, and what happens to them when.

use crate::clock::Millis;
use crate::ids::PeerId;
use std::collections::{BTreeMap, BTreeSet};

/// Roots that need attention at a later moment. Each was open when it was put here; it may have
/// completed since.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    later: BTreeSet<(Millis, Due)>,
    /// What is asked at present, by number.
    questions: BTreeMap<u64, Question>,
    /// How much was asked so far.
    asked: u64,
}

/// Roots about which several peers were asked together.
#[derive(Debug)]
struct Question {
    /// Those that nobody knows to be alive yet.
    unknown: BTreeSet<u64>,
    /// Who has not answered.
    waiting: BTreeSet<PeerId>,
    /// When nobody is waited for any more.
    until: Millis,
    silences: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ask { root: u64, silences: u32 },
    Retry(u64),
    Repeat(u64),
    Silence(u64),
}

/// What happens to roots.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is asked whether this one is alive. So often in a row somebody did not answer.
    Ask(u64, u32),
    /// It is sent again, and that counts as a try.
    Retry(u64),
    /// It is sent again, and that does not count.
    Repeat(u64),
    /// Somebody did not answer, for the how-manieth time in a row: nobody knows about these.
    Unknown(Vec<u64>, u32),
}

/// What an answer tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// These are alive.
    pub(super) alive: Vec<u64>,
    /// Everybody has answered, and nobody knows of these.
    pub(super) lost: Vec<u64>,
}

impl Troubles {
    /// These peers are asked about roots, and have until then. Answers with the number of the
    /// question.
    pub(super) fn ask(
        &mut self,
        roots: &[u64],
        of: &BTreeSet<PeerId>,
        until: Millis,
        silences: u32,
    ) -> u64 {
        self.asked += 1;
        let question = Question {
            unknown: roots.iter().copied().collect(),
            waiting: of.clone(),
            until,
            silences,
        };
        self.questions.insert(self.asked, question);
        self.later.insert((until, Due::Silence(self.asked)));
        self.asked
    }

    /// Somebody answers. What was not asked, was answered by the same peer before, or is not waited
    /// for any more, tells nothing.
    pub(super) fn answered(&mut self, number: u64, by: PeerId, alive: &[u64]) -> Told {
        let Some(question) = self.questions.get_mut(&number) else {
            return Told::default();
        };
        if !question.waiting.remove(&by) {
            return Told::default();
        }
        let alive = alive.iter().copied();
        let alive = alive.filter(|root| question.unknown.remove(root)).collect();
        let mut lost = Vec::new();
        if question.waiting.is_empty() || question.unknown.is_empty() {
            let until = question.until;
            lost.extend(std::mem::take(&mut question.unknown));
            self.questions.remove(&number);
            self.later.remove(&(until, Due::Silence(number)));
        }
        Told { alive, lost }
    }

    /// It is to be asked about a root at a later moment.
    pub(super) fn ask_at(&mut self, moment: Millis, root: u64, silences: u32) {
        self.later.insert((moment, Due::Ask { root, silences }));
    }

    /// A root is to be sent again at a later moment, as another try.
    pub(super) fn retry_at(&mut self, moment: Millis, root: u64) {
        self.later.insert((moment, Due::Retry(root)));
    }

    /// A root is to be sent again at a later moment, as the same try.
    pub(super) fn repeat_at(&mut self, moment: Millis, root: u64) {
        self.later.insert((moment, Due::Repeat(root)));
    }

    /// The next thing whose moment has come.
    pub(super) fn due(&mut self, now: Millis) -> Option<Then> {
        let (moment, due) = *self.later.first()?;
        if moment > now {
            return None;
        }
        self.later.pop_first();
        Some(match due {
            Due::Ask { root, silences } => Then::Ask(root, silences),
            Due::Retry(root) => Then::Retry(root),
            Due::Repeat(root) => Then::Repeat(root),
            Due::Silence(number) => {
                let question = self.questions.remove(&number)?;
                let unknown = question.unknown.into_iter().collect();
                Then::Unknown(unknown, question.silences + 1)
            }
        })
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Millis> {
        self.later.first().map(|(moment, _)| *moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn told(alive: &[u64], lost: &[u64]) -> Told {
        Told {
            alive: alive.to_vec(),
            lost: lost.to_vec(),
        }
    }

    #[test]
    fn a_root_is_lost_when_everybody_has_answered_and_nobody_knows_it() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1, 2, 3], &both, Millis(10), 0);
        assert_eq!(troubles.answered(number + 1, peer(1), &[1]), told(&[], &[]));
        assert_eq!(troubles.answered(number, peer(3), &[1]), told(&[], &[]));
        assert_eq!(troubles.answered(number, peer(1), &[1, 9]), told(&[1], &[]));
        // The same answer once more is not that of the other.
        assert_eq!(troubles.answered(number, peer(1), &[2]), told(&[], &[]));
        assert_eq!(troubles.answered(number, peer(2), &[2]), told(&[2], &[3]));
        assert_eq!(troubles.answered(number, peer(2), &[]), told(&[], &[]));
        assert_eq!((troubles.next(), troubles.due(Millis(99))), (None, None));
        assert!(troubles.questions.is_empty());
    }

    #[test]
    fn when_all_are_alive_nobody_else_is_waited_for() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1], &both, Millis(10), 0);
        assert_eq!(troubles.answered(number, peer(1), &[1]), told(&[1], &[]));
        assert_eq!(troubles.next(), None);
    }

    #[test]
    fn who_does_not_answer_is_waited_for_until_its_time() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1, 2], &both, Millis(10), 2);
        troubles.retry_at(Millis(5), 3);
        troubles.repeat_at(Millis(6), 4);
        troubles.ask_at(Millis(7), 5, 1);
        assert_eq!(troubles.next(), Some(Millis(5)));
        assert_eq!(troubles.answered(number, peer(2), &[2]), told(&[2], &[]));
        assert_eq!(troubles.due(Millis(9)), Some(Then::Retry(3)));
        assert_eq!(troubles.due(Millis(9)), Some(Then::Repeat(4)));
        assert_eq!(troubles.due(Millis(9)), Some(Then::Ask(5, 1)));
        assert_eq!(troubles.due(Millis(9)), None);
        assert_eq!(troubles.due(Millis(10)), Some(Then::Unknown(vec![1], 3)));
        assert_eq!(troubles.due(Millis(99)), None);
        // Too late.
        assert_eq!(troubles.answered(number, peer(1), &[1]), told(&[], &[]));
    }
}
