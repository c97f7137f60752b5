//! The pace of a running task: when it pauses between batches, and when it saves early.

use crate::clock::Millis;
use std::time::Duration;

/// How long a task has worked without a pause. A pause asks the system for news, which takes as long
/// as a small batch.
#[derive(Default)]
pub(super) struct Stretch {
    began: Millis,
    turns: u32,
}

impl Stretch {
    const TURNS_MAX: u32 = 16;

    /// Whether a pause is due at this moment: another millisecond has begun, or many turns went by
    /// in this one. Then a new stretch begins.
    pub(super) fn is_over(&mut self, now: Millis) -> bool {
        self.turns += 1;
        let is_over = now != self.began || self.turns >= Self::TURNS_MAX;
        if is_over {
            *self = Stretch {
                began: now,
                turns: 0,
            };
        }
        is_over
    }
}

/// When the last save began, and how many roots were settled then.
#[derive(Debug, Default)]
pub(super) struct LastSave {
    pub(super) began: Millis,
    pub(super) settled: u64,
}

impl LastSave {
    /// Save early after this many settled roots: a successor would reprocess them all.
    const SETTLED_MUCH: u64 = 65_536;
    /// The most saves that begin within one checkpoint interval.
    const SAVES_MAX: u32 = 10;

    /// Whether another is due before its time.
    pub(super) fn is_followed(&self, settled: u64, now: Millis, interval: Duration) -> bool {
        settled >= self.settled + Self::SETTLED_MUCH
            && now.since(self.began) >= interval / Self::SAVES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_saved_before_its_time_and_not_too_often() {
        const INTERVAL: Duration = Duration::from_secs(1);
        let last = LastSave {
            began: Millis(5_000),
            settled: 1_000,
        };
        let is_due = |settled, now| last.is_followed(settled, Millis(now), INTERVAL);
        let much = 1_000 + LastSave::SETTLED_MUCH;
        assert!(is_due(much, 5_100));
        assert!(!is_due(much - 1, 5_900));
        assert!(!is_due(much, 5_099));
    }
}
