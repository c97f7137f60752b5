//! Which messages of one sender have been applied.
//!
//! Links keep their order, so that sequences mostly just grow. Around a reconnect a few may arrive in
//! another order; those are told from repetitions as long as they are not far behind.

/// How far behind the highest sequence a message is too late to be applied.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / u64::BITS as u64) as usize;

/// The sequences of one sender in one epoch.
#[derive(Clone, Debug)]
pub(super) struct SequenceWindow {
    highest: u64,
    /// Bit `s % WINDOW` says whether `s` was seen, for the last `WINDOW` sequences.
    seen: [u64; WORDS],
}

impl SequenceWindow {
    /// Nothing was seen; sequences begin at 1.
    pub(super) fn new() -> Self {
        SequenceWindow {
            highest: 0,
            seen: [0; WORDS],
        }
    }

    /// Whether this sequence is new; from now on it is not.
    pub(super) fn first_sight(&mut self, sequence: u64) -> bool {
        if self.highest.saturating_sub(sequence) >= WINDOW {
            return false;
        }
        if sequence > self.highest {
            self.advance(sequence);
        }
        let (word, bit) = place(sequence);
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    /// Forgets what leaves the window when `highest` enters it.
    fn advance(&mut self, highest: u64) {
        if highest - self.highest >= WINDOW {
            self.seen = [0; WORDS];
        } else {
            for entering in self.highest + 1..=highest {
                let (word, bit) = place(entering);
                self.seen[word] &= !bit;
            }
        }
        self.highest = highest;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn nothing_is_new_twice_and_nothing_recent_is_refused(
            steps in vec(prop_oneof![-20_i64..20, -2000_i64..2000], 1..300),
        ) {
            let mut window = SequenceWindow::new();
            let mut seen = BTreeSet::new();
            let mut at = 1_i64;
            for step in steps {
                at = (at + step).max(1);
                let sequence = at as u64;
                let highest = seen.last().copied().unwrap_or(0);
                let expected = sequence + WINDOW > highest && seen.insert(sequence);
                prop_assert_eq!(window.first_sight(sequence), expected);
            }
        }
    }
}
