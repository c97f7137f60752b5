//! What coordination knows, for reports that wait only so long for it.

use std::time::Duration;

/// A report is made without what coordination has not told by then.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// The answer, if it comes in time.
pub(super) async fn in_time<T>(answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(WAIT_MAX, answer).await.ok()
}
