//! Calls around a task: what users hook into its life, and the decision about its exceptions.

use super::exception::Exception;
use crate::ids::{JobId, PeerId, SlotId, TaskName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What a call is told.
#[derive(Clone, Copy, Debug)]
pub struct LifecycleEvent<'a> {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: &'a TaskName,
    /// The peer.
    pub peer: PeerId,
    /// The slot.
    pub slot: SlotId,
    /// Segments in the batch; 0 outside of one.
    pub segments: usize,
}

/// A call that may refuse to go on.
pub type Call = Arc<dyn Fn(&LifecycleEvent<'_>) -> Result<(), String> + Send + Sync>;

/// Decides about an exception.
pub type ExceptionHandler = Arc<dyn Fn(&Exception) -> Handling + Send + Sync>;

/// The calls of one lifecycle; those that are not given do nothing.
#[derive(Clone, Default)]
pub struct LifecycleCalls {
    /// Before the first batch.
    pub before_task_start: Option<Call>,
    /// Before each batch, also one that turns out to be empty.
    pub before_batch: Option<Call>,
    /// After each batch.
    pub after_batch: Option<Call>,
    /// After the last batch, however the task ends.
    pub after_task_stop: Option<Call>,
    /// What is to be done about an exception.
    pub handle_exception: Option<ExceptionHandler>,
}

/// What is to be done about an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// Kill the job and keep the exception.
    Kill,
    /// Start the peer again as a new incarnation; the job goes on.
    Restart,
    /// Let the next handler decide.
    Defer,
}

impl fmt::Debug for LifecycleCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifecycleCalls")
            .field("before_task_start", &self.before_task_start.is_some())
            .field("before_batch", &self.before_batch.is_some())
            .field("after_batch", &self.after_batch.is_some())
            .field("after_task_stop", &self.after_task_stop.is_some())
            .field("handle_exception", &self.handle_exception.is_some())
            .finish()
    }
}

/// Lifecycle calls by name.
#[derive(Clone, Debug, Default)]
pub struct LifecycleRegistry {
    entries: BTreeMap<String, LifecycleCalls>,
}

impl LifecycleRegistry {
    /// Registers calls; a name that is known already is replaced.
    pub fn register(&mut self, name: &str, calls: LifecycleCalls) {
        self.entries.insert(name.into(), calls);
    }

    /// The calls of a name.
    pub fn get(&self, name: &str) -> Option<&LifecycleCalls> {
        self.entries.get(name)
    }

    /// All names.
    pub fn names(&self) -> BTreeSet<String> {
        self.entries.keys().cloned().collect()
    }
}
