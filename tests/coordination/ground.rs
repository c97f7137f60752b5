//! Where sessions come from.

use crate::proxy::Proxy;
use crate::zookeeper_server::Shared;

use onyx::coordination::memory::MemoryServer;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::coordination::{Coordination, Layout};
use onyx::ids::{IdSource, PeerId};
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zookeeper_client::Client;
use zookeeper_embedded::{Config, Server};

/// A service with one empty tenancy.
pub(crate) enum Ground {
    Memory(MemoryServer),
    ZooKeeper(Servers),
}

/// ZooKeeper servers.
pub(crate) struct Servers {
    pub(crate) connect: Connect,
    /// Unless they are somebody else's.
    pub(crate) embedded: Option<Server>,
    apache: Option<Apache>,
}

/// Apache ZooKeeper, and the way to each of its servers. With an ensemble, one session after the
/// other is at another server: what one has written, the next may not see yet.
struct Apache {
    ways: Vec<Proxy>,
    sessions: AtomicUsize,
    /// Kept for its drop.
    _servers: Shared,
}

impl Ground {
    pub(crate) fn memory() -> Self {
        Ground::Memory(MemoryServer::default())
    }

    pub(crate) async fn zookeeper() -> Self {
        Ground::ZooKeeper(Servers::start().await)
    }

    /// A tenancy on Apache ZooKeeper.
    pub(crate) async fn apache() -> Self {
        Ground::ZooKeeper(Servers::apache().await)
    }

    pub(crate) async fn session(&self) -> Arc<dyn Coordination> {
        match self {
            Ground::Memory(server) => Arc::new(server.connect()),
            Ground::ZooKeeper(servers) => Arc::new(servers.session().await),
        }
    }

    /// Ends the session that has the pulse of a peer, as if its time were up. Not possible with
    /// servers of somebody else, which the answer says.
    pub(crate) async fn expire_session_of(&self, peer: PeerId) -> bool {
        match self {
            Ground::Memory(server) => {
                server.expire_session_of(peer);
                true
            }
            Ground::ZooKeeper(servers) => servers.expire_session_of(peer).await,
        }
    }
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let embedded = match env::var("ZOOKEEPER_CONNECT") {
            Ok(_) => None,
            Err(_) => Some(Server::start(Config::default()).await.unwrap()),
        };
        let address = match &embedded {
            Some(server) => server.connect_string(),
            None => env::var("ZOOKEEPER_CONNECT").unwrap(),
        };
        Servers {
            connect: Connect::to(address, fresh_tenancy()),
            embedded,
            apache: None,
        }
    }

    async fn apache() -> Self {
        let servers = Shared::as_wanted().await;
        let mut ways = Vec::new();
        for address in servers.addresses() {
            ways.push(Proxy::before(address).await);
        }
        Servers {
            connect: Connect::to(ways[0].connect_string(), fresh_tenancy()),
            embedded: None,
            apache: Some(Apache {
                ways,
                sessions: AtomicUsize::new(0),
                _servers: servers,
            }),
        }
    }

    pub(crate) async fn session(&self) -> ZooKeeper {
        let address = match &self.apache {
            Some(apache) => apache.next_way().connect_string(),
            None => self.connect.address.clone(),
        };
        let connect = Connect {
            address,
            ..self.connect.clone()
        };
        ZooKeeper::connect(&connect).await.unwrap()
    }

    pub(crate) async fn session_in(&self, tenancy: &str) -> ZooKeeper {
        let connect = Connect {
            tenancy: tenancy.into(),
            ..self.connect.clone()
        };
        ZooKeeper::connect(&connect).await.unwrap()
    }

    async fn expire_session_of(&self, peer: PeerId) -> bool {
        let client = Client::connect(&self.connect.address).await.unwrap();
        let pulse = Layout::of(&self.connect.tenancy).pulse(peer);
        client.sync(&pulse).await.unwrap();
        let stat = client.check_stat(&pulse).await.unwrap().unwrap();
        match (&self.embedded, &self.apache) {
            (Some(server), _) => server.expire_session(stat.ephemeral_owner),
            (None, Some(apache)) => apache.end_session(stat.ephemeral_owner).await,
            (None, None) => false,
        }
    }
}

impl Apache {
    fn next_way(&self) -> &Proxy {
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        &self.ways[session % self.ways.len()]
    }

    async fn end_session(&self, session: i64) -> bool {
        for way in &self.ways {
            if way.end_session(session).await {
                return true;
            }
        }
        false
    }
}

/// A tenancy that nobody has used.
pub(crate) fn fresh_tenancy() -> String {
    IdSource::from_entropy().uuid().to_string()
}

/// Peers of a test.
pub(crate) fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}
