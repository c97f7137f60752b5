//! `[shutdown]`: the end of the process.

use super::section::Section;
use std::time::Duration;

/// The end of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// How long everything together may take to drain.
    pub drain: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        ShutdownConfig {
            drain: Duration::from_secs(30),
        }
    }
}

impl ShutdownConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = ShutdownConfig::default();
        ShutdownConfig {
            drain: keys.get("drain-ms", default.drain),
        }
    }
}
