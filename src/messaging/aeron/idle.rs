//! How a thread waits that nobody wakes when there is something to read: briefly at first.

use std::time::Duration;

const SPINS: u32 = 10;
const YIELDS: u32 = 30;
const PARK_MIN: Duration = Duration::from_micros(20);
const PARK_MAX: Duration = Duration::from_micros(500);
/// Who waits for room in a stream is not kept waiting.
const PARK_MAX_BLOCKED: Duration = Duration::from_micros(50);

/// What the last turns have brought.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Turns without work, one after another.
    turns: u32,
}

/// What to do before the next turn.
#[derive(Debug, PartialEq, Eq)]
enum Pause {
    None,
    Spin,
    Yield,
    Park(Duration),
}

impl Idle {
    /// Waits as long as is right after a turn with so much work.
    pub(super) fn after(&mut self, work: usize, nobody_waits: bool) {
        match self.pause(work, nobody_waits) {
            Pause::None => {}
            Pause::Spin => std::hint::spin_loop(),
            Pause::Yield => std::thread::yield_now(),
            Pause::Park(pause) => std::thread::park_timeout(pause),
        }
    }

    fn pause(&mut self, work: usize, nobody_waits: bool) -> Pause {
        if work > 0 {
            self.turns = 0;
            return Pause::None;
        }
        self.turns = self.turns.saturating_add(1);
        if self.turns <= SPINS {
            return Pause::Spin;
        }
        if self.turns <= YIELDS {
            return Pause::Yield;
        }
        let longest = if nobody_waits {
            PARK_MAX
        } else {
            PARK_MAX_BLOCKED
        };
        let doublings = (self.turns - YIELDS - 1).min(10);
        Pause::Park((PARK_MIN * (1 << doublings)).min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_while_there_is_nothing_and_end_with_work() {
        let mut idle = Idle::default();
        assert_eq!(idle.pause(1, true), Pause::None);
        assert_eq!(idle.pause(0, true), Pause::Spin);
        for _ in 0..YIELDS - 1 {
            idle.pause(0, true);
        }
        assert_eq!(idle.pause(0, true), Pause::Park(PARK_MIN));
        for _ in 0..100 {
            idle.pause(0, true);
        }
        assert_eq!(idle.pause(0, true), Pause::Park(PARK_MAX));
        assert_eq!(idle.pause(0, false), Pause::Park(PARK_MAX_BLOCKED));
        assert_eq!(idle.pause(3, true), Pause::None);
        assert_eq!(idle.pause(0, true), Pause::Spin);
    }
}
