//! The embedded coordination server of a node, and its secret.

use crate::config::{CoordinationAccess, CoordinationConfig, CoordinationMode, DigestLogin};
use crate::coordination::local_secret::{Published, USER};
use std::net::SocketAddr;
use std::sync::Arc;
use zookeeper_embedded::{Access, Config, Server, StartError, StorageError};

/// A server in this process.
pub(super) struct Embedded {
    server: Server,
    published: Option<Published>,
}

impl Embedded {
    /// Starts the server, if a configuration has one.
    pub(super) async fn start(config: &CoordinationConfig) -> Result<Option<Self>, StartError> {
        if config.mode != CoordinationMode::Embedded {
            return Ok(None);
        }
        let server = Server::start(Config {
            address: SocketAddr::from(([127, 0, 0, 1], config.embedded_port)),
            data_dir: config.data_dir.clone(),
            snapshot_transactions: config.snapshot_transactions.get() as u64,
            access: access(config.access),
            handshake_timeout: config.handshake,
            max_connections: config.connections_max.get(),
            max_connections_per_address: config.connections_per_address_max.get(),
            ..Config::default()
        });
        let server = server.await?;
        let published = publish(&server);
        Ok(Some(Embedded { server, published }))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What the node itself logs in with.
    pub(super) fn login(&self) -> Option<DigestLogin> {
        let (user, secret) = self.server.credentials()?.split_once(':')?;
        DigestLogin::new(user, secret)
    }

    /// Answers when the server has stopped by itself.
    pub(super) async fn failed(&self) -> Arc<StorageError> {
        self.server.failed().await
    }

    pub(super) async fn stop(self) {
        drop(self.published);
        self.server.stop().await;
    }
}

/// What a server asks of its clients.
pub(crate) fn access(configured: CoordinationAccess) -> Access {
    match configured {
        CoordinationAccess::Open => Access::Open,
        CoordinationAccess::Secret => Access::Secret {
            user: USER.to_owned(),
        },
    }
}

/// Leaves the secret of a server for other programs of this user. Without that they have to be given
/// it, and the server works all the same.
pub(crate) fn publish(server: &Server) -> Option<Published> {
    let left = Published::leave(server.address(), server.credentials()?);
    let problem = match left {
        Ok(published) => return Some(published),
        Err(problem) => problem,
    };
    tracing::warn!(
        %problem,
        "nodes and `onyx-node log` have to be given the secret of the coordination server: by \
         coordination.digest-user and digest-password-file, or by a configuration with its data-dir"
    );
    None
}
