//! A flag that stops work in progress: set once by the runtime, read by the code that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the result of some work is no longer wanted: its job has ended, its node stops, or its task
/// was abandoned. Clones share one flag. It is set once and never cleared.
///
/// Every task start has one flag. Functions find it in `FunctionContext`, plugins in `PluginContext`.
/// Code that may run or wait for longer than [`StopFlag::GRACE`] reads it at least every
/// [`StopFlag::LOOK_EVERY`] and returns when it is set; reading costs about as much as a field.
/// A wait for a descriptor is divided into waits of that length, so that no second descriptor is
/// needed to interrupt it. What the code returns then is dropped, and so is its error.
///
/// ```
/// use onyx::stop_flag::StopFlag;
/// let flag = StopFlag::default();
/// let seen_by_the_work = flag.clone();
/// flag.set();
/// assert!(seen_by_the_work.is_set());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// How long a task may hold its thread after the flag is set. Then the task is abandoned with its
    /// thread.
    pub const GRACE: Duration = Duration::from_millis(200);

    /// The longest time between two looks at the flag.
    pub const LOOK_EVERY: Duration = Duration::from_millis(50);

    /// Asks the work to stop. It cannot be taken back.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work should stop.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
