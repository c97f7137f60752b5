//! The clock of the server: wall-clock milliseconds that follow tokio's time.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Reads the system clock once and counts from there, so it never jumps, and tests can pause it.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch_ms: i64,
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "statistics of nodes show wall-clock time"
        )]
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            epoch_ms: millis(since_epoch),
            started: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.epoch_ms + millis(self.started.elapsed())
    }
}

/// A duration as the protocol counts it.
pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
