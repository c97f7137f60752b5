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
    rounds: Rounds,
}

/// What was found out about a root in the rounds before, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rounds {
    /// How often somebody did not answer.
    pub(super) silences: u32,
    /// How often everybody answered, and nobody knew it.
    pub(super) misses: u32,
}

/// What is to happen to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// It is asked whether it is alive.
    Ask(u64, Rounds),
    /// It is sent again, and that counts as a try.
    Retry(u64),
    /// It is sent again, and that does not count.
    Repeat(u64),
    /// The question with this number has not been answered by everybody.
    Silence(u64),
}

/// What an answer tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// These are alive.
    pub(super) alive: Vec<u64>,
    /// Everybody has answered, and nobody knows of these.
    pub(super) missed: Vec<u64>,
    /// What was found out about those before.
    pub(super) rounds: Rounds,
}

impl Troubles {
    /// These peers are asked about roots, and have until then. Answers with the number of the
    /// question.
    pub(super) fn ask(
        &mut self,
        roots: &[u64],
        of: &BTreeSet<PeerId>,
        until: Millis,
        rounds: Rounds,
    ) -> u64 {
        self.asked += 1;
        let question = Question {
            unknown: roots.iter().copied().collect(),
            waiting: of.clone(),
            until,
            rounds,
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
        let (mut missed, rounds) = (Vec::new(), question.rounds);
        if question.waiting.is_empty() || question.unknown.is_empty() {
            let until = question.until;
            missed.extend(std::mem::take(&mut question.unknown));
            self.questions.remove(&number);
            self.later.remove(&(until, Due::Silence(number)));
        }
        Told {
            alive,
            missed,
            rounds,
        }
    }

    /// The roots of a question that is not waited for any more, of which nobody knows, and what was
    /// found out about them before.
    pub(super) fn unanswered(&mut self, number: u64) -> (BTreeSet<u64>, Rounds) {
        let question = self.questions.remove(&number);
        question.map_or_else(Default::default, |it| (it.unknown, it.rounds))
    }

    pub(super) fn at(&mut self, moment: Millis, due: Due) {
        self.later.insert((moment, due));
    }

    /// The next thing whose moment has come.
    pub(super) fn due(&mut self, now: Millis) -> Option<Due> {
        let (moment, due) = *self.later.first()?;
        if moment > now {
            return None;
        }
        self.later.pop_first();
        Some(due)
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

    const ROUNDS: Rounds = Rounds {
        silences: 2,
        misses: 1,
    };

    fn told(alive: &[u64], missed: &[u64]) -> (Vec<u64>, Vec<u64>) {
        (alive.to_vec(), missed.to_vec())
    }

    fn answered(
        troubles: &mut Troubles,
        number: u64,
        by: PeerId,
        alive: &[u64],
    ) -> (Vec<u64>, Vec<u64>) {
        let told = troubles.answered(number, by, alive);
        assert!(told.missed.is_empty() || told.rounds == ROUNDS);
        (told.alive, told.missed)
    }

    #[test]
    fn a_root_is_missed_when_everybody_has_answered_and_nobody_knows_it() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1, 2, 3], &both, Millis(10), ROUNDS);
        assert_eq!(
            answered(&mut troubles, number + 1, peer(1), &[1]),
            told(&[], &[])
        );
        assert_eq!(
            answered(&mut troubles, number, peer(3), &[1]),
            told(&[], &[])
        );
        assert_eq!(
            answered(&mut troubles, number, peer(1), &[1, 9]),
            told(&[1], &[])
        );
        // The same answer once more is not that of the other.
        assert_eq!(
            answered(&mut troubles, number, peer(1), &[2]),
            told(&[], &[])
        );
        assert_eq!(
            answered(&mut troubles, number, peer(2), &[2]),
            told(&[2], &[3])
        );
        assert_eq!(
            answered(&mut troubles, number, peer(2), &[]),
            told(&[], &[])
        );
        assert_eq!((troubles.next(), troubles.due(Millis(99))), (None, None));
        assert!(troubles.questions.is_empty());
    }

    #[test]
    fn when_all_are_alive_nobody_else_is_waited_for() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1], &both, Millis(10), ROUNDS);
        assert_eq!(
            answered(&mut troubles, number, peer(1), &[1]),
            told(&[1], &[])
        );
        assert_eq!(troubles.next(), None);
    }

    #[test]
    fn who_does_not_answer_is_waited_for_until_its_time() {
        let mut troubles = Troubles::default();
        let both = BTreeSet::from([peer(1), peer(2)]);
        let number = troubles.ask(&[1, 2], &both, Millis(10), ROUNDS);
        troubles.at(Millis(5), Due::Retry(3));
        troubles.at(Millis(6), Due::Repeat(4));
        troubles.at(Millis(7), Due::Ask(5, ROUNDS));
        assert_eq!(troubles.next(), Some(Millis(5)));
        assert_eq!(
            answered(&mut troubles, number, peer(2), &[2]),
            told(&[2], &[])
        );
        assert_eq!(troubles.due(Millis(9)), Some(Due::Retry(3)));
        assert_eq!(troubles.due(Millis(9)), Some(Due::Repeat(4)));
        assert_eq!(troubles.due(Millis(9)), Some(Due::Ask(5, ROUNDS)));
        assert_eq!(troubles.due(Millis(9)), None);
        assert_eq!(troubles.due(Millis(10)), Some(Due::Silence(number)));
        assert_eq!(troubles.unanswered(number), (BTreeSet::from([1]), ROUNDS));
        assert_eq!(troubles.due(Millis(99)), None);
        // Too late.
        assert_eq!(
            answered(&mut troubles, number, peer(1), &[1]),
            told(&[], &[])
        );
    }
}
