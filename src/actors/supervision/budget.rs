//! How often something may be restarted before its supervisor gives up.

use crate::clock::Millis;
use std::collections::VecDeque;
use std::time::Duration;

/// At most `max` restarts within a window. Sessions and the transport have one, and each task of a
/// job.
#[derive(Clone, Debug)]
pub struct RestartBudget {
    max: usize,
    window: Duration,
    recent: VecDeque<Millis>,
}

/// What the budget says to one more restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Restart,
    /// It was too often: give up and say so.
    GiveUp,
}

impl RestartBudget {
    /// At most `max` restarts in `window`.
    pub fn new(max: usize, window: Duration) -> Self {
        RestartBudget {
            max,
            window,
            recent: VecDeque::new(),
        }
    }

    /// How many restarts the window has seen.
    pub fn spent(&mut self, now: Millis) -> usize {
        while self
            .recent
            .front()
            .is_some_and(|then| now.since(*then) >= self.window)
        {
            self.recent.pop_front();
        }
        self.recent.len()
    }

    /// Takes one restart out of the budget.
    pub fn spend(&mut self, now: Millis) -> Verdict {
        self.spent(now);
        if self.recent.len() >= self.max {
            return Verdict::GiveUp;
        }
        self.recent.push_back(now);
        Verdict::Restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_sliding_window() {
        let mut budget = RestartBudget::new(2, Duration::from_secs(10));
        assert_eq!(budget.spend(Millis(0)), Verdict::Restart);
        assert_eq!(budget.spend(Millis(5_000)), Verdict::Restart);
        assert_eq!(budget.spend(Millis(9_999)), Verdict::GiveUp);
        assert_eq!(budget.spend(Millis(10_000)), Verdict::Restart);
        assert_eq!(budget.spend(Millis(14_000)), Verdict::GiveUp);
    }
}
