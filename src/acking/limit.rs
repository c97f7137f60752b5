//! How many roots an input may have pending: as many as were declared, or fewer when they wait for
//! so long that their time-out comes near.
//!
//! More roots under way than a pipeline can work on only wait in its queues; their latency is the
//! time that they stand there. Far below the time-out that costs nothing. Near it, roots would be
//! played again that are merely queued, which is more work for who has too much already. So the
//! limit is cut to its half, at most once for each round, when a read took longer than an eighth of
//! the time-out or roots pended until theirs. While more than half of it is used, it grows by
//! an eighth with each round that completes in time, and by a batch at least.

use crate::clock::Millis;
use std::time::Duration;

/// Of the time-out, how much a read may take.
const TARGET: u32 = 8;
/// A limit is never below so many batches: one for each of a few tasks to work on.
const BATCHES_MIN: usize = 4;

/// In a round the limit grows by this part of itself.
const GROWTH: usize = 8;

/// A slow increase, a fast decrease.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    now: usize,
    min: usize,
    max: usize,
    target: Duration,
    cut_at: Millis,
    batch_size: usize,
    /// What completed in time, times the growth of a round: a round makes so much of it that the
    /// limit can grow.
    credit: usize,
}

impl Limit {
    /// The declared limit, for batches of this size.
    pub(super) fn new(declared: usize, batch_size: usize, timeout: Duration, now: Millis) -> Self {
        Limit {
            now: declared,
            min: declared.min(BATCHES_MIN.saturating_mul(batch_size)),
            max: declared,
            target: timeout / TARGET,
            cut_at: now,
            batch_size,
            credit: 0,
        }
    }

    pub(super) fn get(&self) -> usize {
        self.now
    }

    /// A read of so many roots completed without a replay, and this many were pending with it.
    pub(super) fn completed(&mut self, read_at: Millis, roots: usize, pending: usize, now: Millis) {
        if now.since(read_at) > self.target {
            self.cut(read_at, now);
        } else if pending >= self.now / 2 {
            let of_round = self.batch_size.max(self.now / GROWTH);
            self.credit = self.credit.saturating_add(roots.saturating_mul(of_round));
            let grown = self.credit / self.now.max(1);
            self.credit %= self.now.max(1);
            self.now = self.now.saturating_add(grown).min(self.max);
        }
    }

    /// Roots that were sent at that time have pended until their time-out.
    pub(super) fn cut(&mut self, sent_at: Millis, now: Millis) {
        // What was sent before the last cut tells about the limit that there was then.
        if sent_at >= self.cut_at {
            self.now = (self.now / 2).max(self.min);
            self.cut_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// An input before a server that takes so many roots in a second. Answers with the limit and the
    /// worst latency of the last quarter.
    fn settle(limit: &mut Limit, per_second: usize, seconds: u64, from: Millis) -> (usize, u64) {
        let mut queue: VecDeque<u64> = VecDeque::new();
        let mut worst = 0;
        for ms in from.0..from.0 + seconds * 1_000 {
            while queue.len() < limit.get() {
                queue.push_back(ms);
            }
            let before = (ms * per_second as u64) / 1_000;
            let done = ((ms + 1) * per_second as u64) / 1_000 - before;
            for _ in 0..done {
                let pending = queue.len();
                let Some(read_at) = queue.pop_front() else {
                    break;
                };
                limit.completed(Millis(read_at), 1, pending, Millis(ms));
                if ms >= from.0 + seconds * 750 {
                    worst = worst.max(ms - read_at);
                }
            }
        }
        (limit.get(), worst)
    }

    #[test]
    fn a_slow_pipeline_gets_as_many_as_it_can_take_well_before_their_time_out() {
        let timeout = Duration::from_secs(8);
        let mut limit = Limit::new(10_000, 50, timeout, Millis(0));
        let (slow, worst) = settle(&mut limit, 300, 200, Millis(0));
        assert!((100..=400).contains(&slow), "{slow}");
        assert!(worst <= 1_500, "{worst}");
        let (fast, _) = settle(&mut limit, 20_000, 10, Millis(200_000));
        assert_eq!(fast, 10_000);
    }

    #[test]
    fn the_limit_stays_between_a_few_batches_and_what_was_declared() {
        let mut limit = Limit::new(1_000, 50, Duration::from_secs(8), Millis(0));
        for round in 1..100 {
            limit.cut(Millis(round), Millis(round));
        }
        assert_eq!(limit.get(), 200);
        assert_eq!(
            Limit::new(13, 50, Duration::from_secs(8), Millis(0)).get(),
            13
        );
    }

    #[test]
    fn a_limit_is_cut_once_for_what_was_sent_before_the_cut() {
        let mut limit = Limit::new(1_000, 10, Duration::from_secs(8), Millis(0));
        for _ in 0..100 {
            limit.completed(Millis(10), 10, 1_000, Millis(2_000));
        }
        assert_eq!(limit.get(), 500);
        for _ in 0..50 {
            limit.completed(Millis(2_000), 10, 600, Millis(2_100));
        }
        let grown = limit.get();
        assert!((550..=565).contains(&grown), "{grown}");
        limit.completed(Millis(2_000), 500, 20, Millis(2_100));
        assert_eq!(limit.get(), grown, "most of it is not used");
    }
}
