//! `[coordination]`: where the log is, and how to get at it.

use super::digest_login::{DigestLogin, read_login};
use super::section::Section;
use super::value::{OptionValue, count};
use crate::clock::doubled;
use std::fmt;
use std::num::NonZeroUsize;
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
    /// After this many transactions an embedded server with a folder writes a snapshot.
    pub snapshot_transactions: NonZeroUsize,
    /// Whom an embedded server serves.
    pub access: CoordinationAccess,
    /// A connection to an embedded server that asks for no session within this time is closed.
    pub handshake: Duration,
    /// How many clients an embedded server has at once.
    pub connections_max: NonZeroUsize,
    /// How many of them are of one address.
    pub connections_per_address_max: NonZeroUsize,
    /// A node that is not heard of for this long is gone.
    pub session_timeout: Duration,
    /// A server that is silent for this long is left for another; an attempt to reach one lasts as
    /// long.
    pub connection_timeout: Duration,
    /// What is tried again, and how soon.
    pub retry: RetryConfig,
    /// Who the node says it is, to an ensemble that keeps lists of who may do what.
    pub login: Option<DigestLogin>,
    /// TLS to an ensemble.
    pub tls: Option<TlsFiles>,
}

/// What is tried again, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// For how long a session is asked for before its opener gives up.
    pub connect_wait: Duration,
    /// How often a request is sent that is cut short while the session is connected.
    pub attempts: NonZeroUsize,
    /// The pause after the first attempt; it doubles …
    pub pause_min: Duration,
    /// … up to this.
    pub pause_max: Duration,
}

/// PEM files of TLS. They are read whenever a session is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs the certificates of the servers.
    pub ca: PathBuf,
    /// What the servers are shown.
    pub identity: Option<TlsIdentityFiles>,
}

/// PEM files of a certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentityFiles {
    /// The certificate, and those between it and its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whose coordination service a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinationMode {
    /// A server in this process, on loopback: for one machine.
    Embedded,
    /// A ZooKeeper ensemble.
    ZooKeeper,
}

/// Whom an embedded server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinationAccess {
    /// Those who know its secret.
    Secret,
    /// Everybody on this machine.
    Open,
}

impl CoordinationAccess {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            CoordinationAccess::Secret => "secret",
            CoordinationAccess::Open => "open",
        }
    }
}

impl Default for CoordinationConfig {
    fn default() -> Self {
        CoordinationConfig {
            mode: CoordinationMode::Embedded,
            connect: ConnectString("127.0.0.1:2181".into()),
            embedded_port: 0,
            data_dir: None,
            snapshot_transactions: count(100_000),
            access: CoordinationAccess::Secret,
            handshake: Duration::from_secs(5),
            connections_max: count(1000),
            connections_per_address_max: count(500),
            session_timeout: Duration::from_secs(6),
            connection_timeout: Duration::from_secs(2),
            retry: RetryConfig::default(),
            login: None,
            tls: None,
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            connect_wait: Duration::from_secs(60),
            attempts: count(30),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(1),
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
            snapshot_transactions: keys.get("snapshot-transactions", default.snapshot_transactions),
            access: keys.get("access", default.access),
            handshake: keys.get("handshake-ms", default.handshake),
            connections_max: keys.get("connections-max", default.connections_max),
            connections_per_address_max: keys.get(
                "connections-per-address-max",
                default.connections_per_address_max,
            ),
            session_timeout: keys.get("session-timeout-ms", default.session_timeout),
            connection_timeout: keys.get("connection-timeout-ms", default.connection_timeout),
            retry: RetryConfig::read(keys),
            login: read_login(keys),
            tls: TlsFiles::read(keys),
        };
        config.check(keys);
        config
    }

    fn check(&self, keys: &mut Section<'_>) {
        // The client takes two fifths of the session's time instead of anything longer than this.
        if self.connection_timeout > self.session_timeout * 3 / 5 {
            let message = format!(
                "{} ms is more than three fifths of session-timeout-ms, {}: the session might end \
                 before a second attempt to keep it",
                self.connection_timeout.as_millis(),
                self.session_timeout.as_millis()
            );
            keys.refuse("connection-timeout-ms", &message);
        }
        if self.data_dir.is_some() && self.mode == CoordinationMode::ZooKeeper {
            keys.refuse(
                "data-dir",
                "it is the folder of an embedded server; the mode is \"zookeeper\"",
            );
        }
        if self.mode == CoordinationMode::Embedded && self.tls.is_some() {
            let message = "an embedded server speaks no TLS; it is for `mode = \"zookeeper\"`";
            keys.refuse("tls-ca-file", message);
        }
    }
}

impl RetryConfig {
    fn read(keys: &mut Section<'_>) -> Self {
        let default = RetryConfig::default();
        let config = RetryConfig {
            connect_wait: keys.get("connect-wait-ms", default.connect_wait),
            attempts: keys.get("retry-attempts", default.attempts),
            pause_min: keys.get("retry-pause-min-ms", default.pause_min),
            pause_max: keys.get("retry-pause-max-ms", default.pause_max),
        };
        if config.pause_min > config.pause_max {
            let message = format!(
                "{} ms is longer than retry-pause-max-ms, {}, up to which it doubles",
                config.pause_min.as_millis(),
                config.pause_max.as_millis()
            );
            keys.refuse("retry-pause-min-ms", &message);
        }
        config
    }

    /// The pause after so many attempts.
    pub fn pause_after(&self, attempts: usize) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        doubled(self.pause_min, doublings, self.pause_max)
    }
}

impl CoordinationConfig {
    /// Why jobs of other machines can come with the log, if they can.
    pub fn exposed(&self) -> Option<String> {
        let is_remote = self.mode == CoordinationMode::ZooKeeper && !self.connect.is_loopback();
        let text = || {
            format!(
                "other machines write the log at coordination.connect, {}",
                self.connect
            )
        };
        is_remote.then(text)
    }
}

impl TlsFiles {
    /// The files; none without one that says whom to trust.
    fn read(keys: &mut Section<'_>) -> Option<Self> {
        let given = |path: PathBuf| (!path.as_os_str().is_empty()).then_some(path);
        let ca = given(keys.get("tls-ca-file", PathBuf::new()));
        let certificate = given(keys.get("tls-cert-file", PathBuf::new()));
        let key = given(keys.get("tls-key-file", PathBuf::new()));
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(TlsIdentityFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                keys.refuse("tls-cert-file", "there is no `tls-key-file` to it");
                None
            }
            (None, Some(_)) => {
                keys.refuse("tls-key-file", "there is no `tls-cert-file` to it");
                None
            }
        };
        if ca.is_none() && identity.is_some() {
            let message = "there is no `tls-ca-file`, and so no TLS";
            keys.refuse("tls-cert-file", message);
        }
        Some(TlsFiles { ca: ca?, identity })
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

impl OptionValue for CoordinationAccess {
    const EXPECTED: &'static str = "\"secret\" or \"open\"";

    fn from_text(text: &str) -> Option<Self> {
        [CoordinationAccess::Secret, CoordinationAccess::Open]
            .into_iter()
            .find(|access| access.as_str() == text)
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

    /// Whether all servers are of this machine.
    fn is_loopback(&self) -> bool {
        let servers = self.0.split('/').next().unwrap_or_default();
        servers.split(',').all(|server| {
            let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
            let address = host.trim_start_matches('[').trim_end_matches(']');
            let address = address.parse().map(|it: std::net::IpAddr| it.is_loopback());
            address.unwrap_or(host == "localhost")
        })
    }
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let has_clear_end = is_bracketed || !host.contains(':');
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:[]".contains(c);
    !host.is_empty() && host.chars().all(fits) && has_clear_end && is_port
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
