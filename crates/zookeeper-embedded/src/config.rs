//! What can be chosen about a server, and why it may refuse to start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::admission::Bounds;
use crate::storage::{SnapshotPolicy, StorageError};

/// How a server listens and what it allows its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen. Port 0 takes any free port.
    pub address: SocketAddr,
    /// Permits an address that other machines can reach, although nothing is encrypted.
    pub allow_non_loopback: bool,
    /// How often sessions are looked at; a session may live this much longer than its time-out.
    pub tick: Duration,
    /// The shortest session time-out that a client can get.
    pub min_session_timeout: Duration,
    /// The longest session time-out that a client can get.
    pub max_session_timeout: Duration,
    /// A longer request ends its connection. ZooKeeper calls this `jute.maxbuffer`.
    pub max_request_bytes: usize,
    /// Who is served.
    pub access: Access,
    /// How many clients may have a session, and a login where one is asked for, at once; further ones
    /// are turned away.
    pub max_connections: usize,
    /// How many of them may be of one address.
    pub max_connections_per_address: usize,
    /// How many connections may be without one. A further one takes the place of the oldest of the
    /// address that has most of them.
    pub max_newcomers: usize,
    /// A connection that has not asked for a session within this time is closed.
    pub handshake_timeout: Duration,
    /// One that has not logged in within this time, where a login is asked for, is closed as well.
    /// People type it.
    pub login_timeout: Duration,
    /// The folder that the state survives a restart in. Without one everything is in memory.
    pub data_dir: Option<PathBuf>,
    /// A snapshot is made after so many transactions, …
    pub snapshot_transactions: u64,
    /// … or when they have so many bytes and as many as the last snapshot.
    pub snapshot_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_non_loopback: false,
            tick: Duration::from_millis(100),
            min_session_timeout: Duration::from_millis(500),
            max_session_timeout: Duration::from_secs(60),
            max_request_bytes: 1_048_575,
            access: Access::Open,
            max_connections: 1000,
            max_connections_per_address: 500,
            max_newcomers: 100,
            handshake_timeout: Duration::from_secs(5),
            login_timeout: Duration::from_secs(60),
            data_dir: None,
            snapshot_transactions: 100_000,
            snapshot_bytes: 64 << 20,
        }
    }
}

/// Who is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody who can connect.
    Open,
    /// Those who log in as this user with the secret of the server, by the scheme `digest`. The server
    /// makes the secret, and keeps it in the file `secret` of its data folder if it has one; see
    /// [`Server::credentials`](crate::Server::credentials).
    Secret {
        /// A name without a colon.
        user: String,
    },
}

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address would let other machines in.
    #[error(
        "{address} can be reached from other machines, and nothing is encrypted; \
         use 127.0.0.1, or set `allow_non_loopback` if the network is trusted"
    )]
    NotLoopback {
        /// The address that was refused.
        address: SocketAddr,
    },
    /// Somebody listens there already.
    #[error(
        "{address} is in use by another process; stop it, choose another port, \
         or use port 0 for any free one"
    )]
    AddressInUse {
        /// The address that was taken.
        address: SocketAddr,
    },
    /// The operating system refused for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address in question.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// No secret can be made.
    #[error("the operating system gives no random bytes for a secret: {0}")]
    Random(io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A limit that no client could satisfy.
    #[error("`{option}` makes no sense: {problem}")]
    BadConfig {
        /// The name of the field of [`Config`].
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), StartError> {
        if !self.address.ip().is_loopback() && !self.allow_non_loopback {
            return Err(StartError::NotLoopback {
                address: self.address,
            });
        }
        let bad = |option, problem| Err(StartError::BadConfig { option, problem });
        if self.tick < Duration::from_millis(1) {
            return bad("tick", "it must be at least a millisecond");
        }
        if self.min_session_timeout.is_zero() {
            return bad("min_session_timeout", "it must be longer than nothing");
        }
        if self.max_session_timeout < self.min_session_timeout {
            return bad("max_session_timeout", "it is shorter than the minimum");
        }
        if self.max_request_bytes == 0 || i32::try_from(self.max_request_bytes).is_err() {
            return bad(
                "max_request_bytes",
                "it must be between one byte and two gigabytes",
            );
        }
        let bounds = [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
            ("max_newcomers", self.max_newcomers),
        ];
        if let Some((option, _)) = bounds.into_iter().find(|(_, bound)| *bound == 0) {
            return bad(option, "no client could connect");
        }
        if self.handshake_timeout.is_zero() || self.login_timeout.is_zero() {
            return bad(
                "handshake_timeout",
                "and `login_timeout` must be longer than nothing",
            );
        }
        if let Access::Secret { user } = &self.access
            && (user.is_empty() || user.contains(':'))
        {
            return bad("access", "its user is a name without a colon");
        }
        if self.snapshot_transactions == 0 || self.snapshot_bytes == 0 {
            return bad(
                "snapshot_transactions",
                "and `snapshot_bytes` count from one",
            );
        }
        Ok(())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            settled: self.max_connections,
            settled_per_address: self.max_connections_per_address,
            newcomers: self.max_newcomers,
        }
    }

    pub(crate) fn snapshots(&self) -> SnapshotPolicy {
        SnapshotPolicy {
            transactions: self.snapshot_transactions,
            bytes: self.snapshot_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(config: Config) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_valid() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn refusals_name_the_option() {
        let tick = Duration::ZERO;
        assert!(
            refusal(Config {
                tick,
                ..Config::default()
            })
            .contains("`tick`")
        );
        let max_session_timeout = Duration::from_millis(1);
        let config = Config {
            max_session_timeout,
            ..Config::default()
        };
        assert!(refusal(config).contains("`max_session_timeout`"));
        let max_connections = 0;
        assert!(
            refusal(Config {
                max_connections,
                ..Config::default()
            })
            .contains("`max_conn")
        );
    }
}
