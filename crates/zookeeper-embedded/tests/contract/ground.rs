//! The ground that a test stands on: a server and a part of its tree that belongs to the test.

use std::any::Any;
use std::time::Duration;

use tempfile::TempDir;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};
use zookeeper_embedded::{Config, Server};

use crate::zookeeper_server::ZooKeeperServer;

pub(crate) const PERSISTENT: CreateOptions<'static> =
    CreateMode::Persistent.with_acls(Acls::anyone_all());
pub(crate) const EPHEMERAL: CreateOptions<'static> =
    CreateMode::Ephemeral.with_acls(Acls::anyone_all());
pub(crate) const SEQUENTIAL: CreateOptions<'static> =
    CreateMode::PersistentSequential.with_acls(Acls::anyone_all());

pub(crate) struct Ground {
    servers: String,
    /// The path of the test's own part of the tree.
    pub(crate) root: String,
    /// Keeps a server of ours alive, and its folder.
    _server: Box<dyn Any>,
}

impl Ground {
    pub(crate) async fn prepare() -> Self {
        let (servers, server): (String, Box<dyn Any>) = match std::env::var("ZOOKEEPER_CONNECT") {
            Ok(apache) if apache == "apache" => {
                let server = ZooKeeperServer::shared().await;
                (server.connect_string(), Box::new(server))
            }
            Ok(servers) => (servers, Box::new(())),
            Err(_) => {
                let folder = TempDir::new().unwrap();
                let config = Config {
                    data_dir: Some(folder.path().to_owned()),
                    ..Config::default()
                };
                let server = Server::start(config).await.unwrap();
                (server.connect_string(), Box::new((server, folder)))
            }
        };
        let client = Client::connect(&servers).await.unwrap();
        let (_, sequence) = client.create("/contract-", b"", &SEQUENTIAL).await.unwrap();
        Self {
            servers,
            root: format!("/contract-{sequence}"),
            _server: server,
        }
    }

    /// A client that sees only the test's part of the tree.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.connect_string()).await.unwrap()
    }

    /// A client whose session outlives it for about a second.
    pub(crate) async fn detached_client(&self) -> Client {
        Client::connector()
            .with_detached()
            .with_session_timeout(Duration::from_secs(1))
            .connect(&self.connect_string())
            .await
            .unwrap()
    }

    pub(crate) fn connect_string(&self) -> String {
        format!("{}{}", self.servers, self.root)
    }
}
