//! `[messaging]`: how segments and acks travel between peers.

use super::aeron::AeronConfig;
use super::section::Section;
use super::value::{OptionValue, count};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Duration;

/// Segments and acks between peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingConfig {
    /// What carries them.
    pub transport: Transport,
    /// Batches that wait for a task; one of more than 64 KiB counts for each 64 KiB. Full means that
    /// senders wait.
    pub inbox_batches: NonZeroUsize,
    /// Ack messages that wait for a peer. Full means that senders wait.
    pub ack_inbox_messages: NonZeroUsize,
    /// How long an acking daemon keeps what is not acknowledged.
    pub ack_daemon_timeout: Duration,
    /// How often it looks for what it has kept so long.
    pub ack_sweep_interval: Duration,
    /// What Aeron needs to know.
    pub aeron: AeronConfig,
}

/// What carries segments and acks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    #[default]
    /// Memory: peers of one process.
    Local,
    /// Aeron: peers of many processes and machines, if the feature `aeron` is built in.
    Aeron,
}

impl Default for MessagingConfig {
    fn default() -> Self {
        MessagingConfig {
            transport: Transport::Local,
            inbox_batches: count(64),
            ack_inbox_messages: count(1024),
            ack_daemon_timeout: Duration::from_secs(480),
            ack_sweep_interval: Duration::from_secs(15),
            aeron: AeronConfig::default(),
        }
    }
}

impl MessagingConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = MessagingConfig::default();
        let config = MessagingConfig {
            transport: keys.get("transport", default.transport),
            inbox_batches: keys.get("inbox-batches", default.inbox_batches),
            ack_inbox_messages: keys.get("ack-inbox-messages", default.ack_inbox_messages),
            ack_daemon_timeout: keys.get("ack-daemon-timeout-ms", default.ack_daemon_timeout),
            ack_sweep_interval: keys.get("ack-sweep-interval-ms", default.ack_sweep_interval),
            aeron: AeronConfig::read(keys),
        };
        if config.transport == Transport::Aeron && !cfg!(feature = "aeron") {
            keys.refuse(
                "transport",
                "this binary was built without Aeron; use \"local\", or build with `--features aeron`",
            );
        }
        if config.ack_sweep_interval > config.ack_daemon_timeout {
            let message = format!(
                "{} ms is longer than ack-daemon-timeout-ms, {}, which it is to notice",
                config.ack_sweep_interval.as_millis(),
                config.ack_daemon_timeout.as_millis()
            );
            keys.refuse("ack-sweep-interval-ms", &message);
        }
        config
    }
}

impl Transport {
    /// As it is written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Local => "local",
            Transport::Aeron => "aeron",
        }
    }
}

impl OptionValue for Transport {
    const EXPECTED: &'static str = "\"local\" or \"aeron\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "local" => Some(Transport::Local),
            "aeron" => Some(Transport::Aeron),
            _ => None,
        }
    }
}
