//! `[coordination]`: where the log is.

use super::section::Section;
use super::value::OptionValue;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The coordination service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinationConfig {
    /// Whose service it is.
    pub mode: CoordinationMode,
    /// The servers of an ensemble.
    pub connect: ConnectString,
    /// The loopback port of an embedded server; 0 is any that is free.
    pub embedded_port: u16,
    /// The folder that an embedded server survives a restart in; without one it is in memory.
    pub data_dir: Option<PathBuf>,
    /// A node that is not heard of for this long is gone.
    pub session_timeout: Duration,
    /// How long one attempt to reach a server lasts.
    pub connection_timeout: Duration,
}

/// Whose coordination service a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinationMode {
    /// A server in this process, on loopback: for one machine.
    Embedded,
    /// A ZooKeeper ensemble.
    ZooKeeper,
}

impl Default for CoordinationConfig {
    fn default() -> Self {
        CoordinationConfig {
            mode: CoordinationMode::Embedded,
            connect: ConnectString("127.0.0.1:2181".into()),
            embedded_port: 0,
            data_dir: None,
            session_timeout: Duration::from_secs(6),
            connection_timeout: Duration::from_secs(2),
        }
    }
}

impl CoordinationConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = CoordinationConfig::default();
        let data_dir = keys.get("data-dir", PathBuf::new());
        let config = CoordinationConfig {
            mode: keys.get("mode", default.mode),
            connect: keys.get("connect", default.connect),
            embedded_port: keys.get("embedded-port", default.embedded_port),
            data_dir: Some(data_dir).filter(|folder| !folder.as_os_str().is_empty()),
            session_timeout: keys.get("session-timeout-ms", default.session_timeout),
            connection_timeout: keys.get("connection-timeout-ms", default.connection_timeout),
        };
        if config.connection_timeout > config.session_timeout {
            let message = format!(
                "{} ms is longer than session-timeout-ms, {}: the session would end before one \
                 attempt to keep it",
                config.connection_timeout.as_millis(),
                config.session_timeout.as_millis()
            );
            keys.refuse("connection-timeout-ms", &message);
        }
        if config.data_dir.is_some() && config.mode == CoordinationMode::ZooKeeper {
            keys.refuse(
                "data-dir",
                "it is the folder of an embedded server; the mode is \"zookeeper\"",
            );
        }
        config
    }
}

impl OptionValue for CoordinationMode {
    const EXPECTED: &'static str = "\"embedded\" or \"zookeeper\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "embedded" => Some(CoordinationMode::Embedded),
            "zookeeper" => Some(CoordinationMode::ZooKeeper),
            _ => None,
        }
    }
}

/// The servers of an ensemble, and below which node of theirs the cluster lives:
/// `host:port,host:port/chroot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectString(String);

impl ConnectString {
    /// Takes a text of the right form.
    pub fn new(text: &str) -> Option<Self> {
        let (servers, chroot) = match text.split_once('/') {
            Some((servers, chroot)) => (servers, Some(chroot)),
            None => (text, None),
        };
        let chroot_fits = chroot.is_none_or(|path| path.split('/').all(is_node_name));
        (servers.split(',').all(is_server) && chroot_fits).then(|| ConnectString(text.into()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let has_clear_end = is_bracketed || !host.contains(':');
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    !host.is_empty() && !host.contains(char::is_whitespace) && has_clear_end && is_port
}

fn is_node_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(char::is_whitespace)
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OptionValue for ConnectString {
    const EXPECTED: &'static str =
        "servers as \"host:port,host:port\", and a node below them as \"/path\" if wanted";

    fn from_text(text: &str) -> Option<Self> {
        ConnectString::new(text)
    }
}
