//! Time as a value: monotonic milliseconds that layers without a clock take as a parameter.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since some fixed moment of this process. Never wall-clock time: it does not jump.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus a duration.
    pub fn plus(self, duration: Duration) -> Millis {
        Millis(self.0 + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2))
    }
}

/// A time that doubles so often from the first, as far as the longest.
pub fn doubled(first: Duration, doublings: u32, longest: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(doublings);
    first.saturating_mul(factor).min(longest)
}

/// The monotonic clock of this process, and the only one that is read. It is the timer's clock, so
/// a test that pauses time pauses it too.
#[derive(Clone, Copy, Debug)]
pub struct Clock(tokio::time::Instant);

impl Clock {
    /// A clock that starts at zero now.
    pub fn start() -> Self {
        Clock(tokio::time::Instant::now())
    }

    /// What the clock on the wall shows, in milliseconds since 1970. For people and for putting
    /// what several machines tell in order: it jumps when it is set.
    pub fn unix_ms() -> u64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that everybody else is to ask"
        )]
        let now = std::time::SystemTime::now();
        let since_1970 = now.duration_since(std::time::UNIX_EPOCH);
        since_1970.map_or(0, |it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// A moment as `2026-12-01 09:30:05 UTC`, from milliseconds since 1970. For people.
pub fn utc_text(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms).ok();
    let moment = moment.and_then(chrono::DateTime::from_timestamp_millis);
    match moment {
        Some(moment) => moment.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => format!("{unix_ms} ms after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        assert_eq!(utc_text(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc_text(1_796_117_405_999), "2026-12-01 09:30:05 UTC");
        assert_eq!(utc_text(u64::MAX), "18446744073709551615 ms after 1970");
    }
}
