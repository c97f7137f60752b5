//! Time in tests of actors: it passes at once, and only after everybody has done what there was to do.

use std::time::Duration;

/// Lets virtual time pass, timers of others included. Nobody waits for it. Panics where time is real.
pub(crate) async fn time_passes(time: Duration) {
    // Only virtual time can be moved.
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::sleep(time).await;
}
