//! When the peers of the job are asked about a root that is still pending.
//!
//! Roots enter the newest of some buckets; every tick the oldest bucket falls out. Since roots are
//! handed out in order, a bucket is a range of them.

use crate::clock::Millis;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// How many buckets there may be, whatever the configuration says.
const BUCKETS_MAX: u128 = 100_000;

/// How long a root may be pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// After this long the peers of the job are asked about a root; it is replayed if no peer has it.
    pub pending: Duration,
    /// How often that is looked at: the question may come by this much too early.
    pub tick: Duration,
}

/// Buckets of roots by age.
#[derive(Debug)]
pub(super) struct TimeoutPool {
    tick: Duration,
    ticked_at: Millis,
    /// The newest first.
    buckets: VecDeque<Range<u64>>,
}

impl TimeoutPool {
    pub(super) fn new(timeouts: Timeouts, now: Millis) -> Self {
        let tick = timeouts.tick.max(Duration::from_millis(1));
        let buckets = timeouts.pending.as_nanos().div_ceil(tick.as_nanos());
        let buckets = buckets.clamp(1, BUCKETS_MAX) as usize;
        TimeoutPool {
            tick,
            ticked_at: now,
            buckets: std::iter::repeat_n(0..0, buckets).collect(),
        }
    }

    /// These roots follow all that were added before.
    pub(super) fn add(&mut self, roots: Range<u64>) {
        let newest = &mut self.buckets[0];
        if newest.is_empty() {
            *newest = roots;
        } else {
            newest.end = roots.end;
        }
    }

    /// When a bucket falls out next.
    pub(super) fn next_tick(&self) -> Millis {
        self.ticked_at.plus(self.tick)
    }

    /// The roots whose time has come.
    pub(super) fn due(&mut self, now: Millis) -> Range<u64> {
        let ticks = now.since(self.ticked_at).as_millis() / self.tick.as_millis();
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.ticked_at = self.ticked_at.plus(self.tick.saturating_mul(ticks));
        let mut due = 0..0;
        for _ in 0..(ticks as usize).min(self.buckets.len()) {
            self.buckets.push_front(0..0);
            let oldest = self.buckets.pop_back().unwrap_or_default();
            if due.is_empty() {
                due = oldest;
            } else if !oldest.is_empty() {
                due.end = oldest.end;
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> TimeoutPool {
        let timeouts = Timeouts {
            pending: Duration::from_secs(60),
            tick: Duration::from_secs(1),
        };
        TimeoutPool::new(timeouts, Millis(5))
    }

    #[test]
    fn a_root_is_due_after_the_time_out_and_at_most_a_tick_before() {
        for added_at in [5, 500, 1004] {
            let mut pool = pool();
            assert_eq!(pool.due(Millis(added_at)), 0..0);
            pool.add(1..10);
            let due_at = (0..).find(|ms| !pool.due(Millis(added_at + ms)).is_empty());
            let waited = due_at.unwrap_or(0);
            assert!(waited > 59_000 && waited <= 60_000, "{waited}");
        }
    }

    #[test]
    fn after_a_long_pause_everything_is_due_once_and_in_order() {
        let mut pool = pool();
        pool.add(1..4);
        pool.add(4..6);
        pool.due(Millis(3_000));
        pool.add(6..9);
        assert_eq!(pool.due(Millis(500_000)), 1..9);
        assert_eq!(pool.due(Millis(900_000)), 0..0);
        pool.add(9..10);
        assert_eq!(pool.due(Millis(900_000)), 0..0);
        assert_eq!(pool.due(Millis(u64::MAX)), 9..10);
    }
}
