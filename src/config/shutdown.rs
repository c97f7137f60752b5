//! `[shutdown]`: the end of the process.

use super::section::Section;
use std::time::Duration;

/// The end of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long everything together may take to drain.
    pub drain: Duration,
    /// A task that is in one call of user code for this long when the node stops is abandoned.
    pub blocked_after: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        ShutdownConfig {
            drain: Duration::from_secs(30),
            blocked_after: Duration::from_secs(1),
        }
    }
}

impl ShutdownConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = ShutdownConfig::default();
        ShutdownConfig {
            drain: keys.get("drain-ms", default.drain),
            blocked_after: keys.get("blocked-after-ms", default.blocked_after),
        }
    }
}
