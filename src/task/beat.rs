//! The beat of a task: whether user code that does not come back is still getting somewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what a task has come through. The task beats; whoever watches it counts.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// Another segment, or another turn.
    #[inline]
    pub(super) fn beat(&self) {
        // Only the thread that runs the task writes: no need to lock the bus for it.
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(1), Ordering::Relaxed);
    }

    /// From now on until the next beat nothing is expected.
    pub(super) fn rest(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// A number that changes while the task gets on; 0 while that is not expected.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
