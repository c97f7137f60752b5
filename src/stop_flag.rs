//! A flag that stops work in progress: set once by the runtime, read by the code that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the result of some work is no longer wanted, because its job has ended or its task was
/// abandoned. Clones share one flag. Code that may run for long reads it now and then and gives up.
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
