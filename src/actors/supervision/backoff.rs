//! How long to wait before the next attempt.

use crate::clock::doubled;
use std::time::Duration;

/// Full jitter below an exponential ceiling, so that many that fail together do not come back
/// together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub min: Duration,
    /// The ceiling of every wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait before an attempt, counted from 0. `unit` is a draw from [0, 1), so that this stays
    /// a pure function.
    pub fn delay(&self, attempt: u32, unit: f64) -> Duration {
        doubled(self.min, attempt, self.max).mul_f64(unit.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff {
        min: Duration::from_secs(2),
        max: Duration::from_secs(60),
    };

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let ceilings: Vec<u64> = (0..7)
            .map(|attempt| BACKOFF.delay(attempt, 1.0).as_secs())
            .collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_delay_never_exceeds_the_maximum(attempt: u32, unit in 0.0..1.0) {
            prop_assert!(BACKOFF.delay(attempt, unit) <= BACKOFF.max);
        }
    }
}
