//! `[infrastructure]`: how often what the peers of a process share may fail before the process
//! ends.

use super::section::Section;
use std::time::Duration;

/// The session, the transport and their threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfrastructureConfig {
    /// Restarts within the window; one more ends the process.
    pub restarts_max: u32,
    /// The window.
    pub restarts_window: Duration,
}

impl Default for InfrastructureConfig {
    fn default() -> Self {
        InfrastructureConfig {
            restarts_max: 5,
            restarts_window: Duration::from_secs(300),
        }
    }
}

impl InfrastructureConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = InfrastructureConfig::default();
        InfrastructureConfig {
            restarts_max: keys.get("restarts-max", default.restarts_max),
            restarts_window: keys.get("restarts-window-ms", default.restarts_window),
        }
    }
}
