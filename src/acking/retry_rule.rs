//! How often a segment is tried, and how long is waited before.

use super::ackers::scatter;
use crate::clock::doubled;
use std::time::Duration;

/// How often a segment is sent again when nobody knew it any more or a function asked for it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// After so many retries it goes to the dead letters.
    pub retries_max: u32,
    /// Before the second retry; it doubles with each. The first has waited for the time-out, or was
    /// asked for and is at once.
    pub first_wait: Duration,
    /// Where that ends.
    pub longest_wait: Duration,
    /// Seeds the jitter.
    pub seed: u64,
}

impl RetryRule {
    /// Whether a segment that has been tried so often may be tried again.
    pub(super) fn allows(&self, attempts: u32) -> bool {
        attempts <= self.retries_max
    }

    /// How long a root waits that was lost or given back in its how-manieth attempt: between half and
    /// whole of a time that doubles.
    pub(super) fn wait(&self, attempts: u32, root: u64) -> Duration {
        let Some(doublings) = attempts.checked_sub(2) else {
            return Duration::ZERO;
        };
        let longest = doubled(self.first_wait, doublings, self.longest_wait);
        let half = longest / 2;
        let jitter = scatter(self.seed ^ root) % (half.as_millis() as u64 + 1);
        half + Duration::from_millis(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: RetryRule = RetryRule {
        retries_max: 10,
        first_wait: Duration::from_secs(1),
        longest_wait: Duration::from_secs(60),
        seed: 7,
    };

    #[test]
    fn waits_double_up_to_a_bound_with_jitter_and_the_first_retry_has_waited() {
        assert_eq!(RULE.wait(1, 5), Duration::ZERO);
        for (attempts, longest) in [(2, 1), (3, 2), (4, 4), (8, 60), (90, 60)] {
            let longest = Duration::from_secs(longest);
            let waits: Vec<Duration> = (0..100).map(|root| RULE.wait(attempts, root)).collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| (longest / 2..=longest).contains(wait))
            );
            assert!(waits.windows(2).any(|two| two[0] != two[1]));
        }
        let other = RetryRule { seed: 8, ..RULE };
        assert_ne!(other.wait(5, 1), RULE.wait(5, 1));
    }

    #[test]
    fn the_last_retry_is_the_one_that_the_rule_says() {
        assert!(RULE.allows(10) && !RULE.allows(11));
    }
}
