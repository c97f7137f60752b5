//! `[task]`: running tasks.

use super::section::Section;
use std::time::Duration;

/// Running tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// How often the position of an input is saved.
    pub checkpoint_interval: Duration,
    /// Of so many roots that an input reads, one is traced; none for 0.
    pub trace_one_in: u32,
}

impl Default for TaskConfig {
    fn default() -> Self {
        TaskConfig {
            checkpoint_interval: Duration::from_secs(1),
            trace_one_in: 0,
        }
    }
}

impl TaskConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = TaskConfig::default();
        TaskConfig {
            checkpoint_interval: keys.get("checkpoint-interval-ms", default.checkpoint_interval),
            trace_one_in: keys.get("trace-one-in", default.trace_one_in),
        }
    }
}
