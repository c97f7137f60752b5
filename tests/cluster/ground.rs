//! What a cluster in real time stands on: coordination in memory, an embedded server, or Apache
//! ZooKeeper; and the way of each node to it, which can break.

use crate::flights::config;
use crate::proxy::{Network, Proxy};
use crate::zookeeper_server::Shared;
use onyx::actors::peer_group::Connector;
use onyx::codec::from_payload;
use onyx::coordination::Coordination;
use onyx::coordination::memory::MemoryServer;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::ids::{IdSource, LogPosition, PeerId};
use onyx::log::Entry;
use onyx::log::commands::Command;
use onyx::task::registry::Registry;
use onyx::testing::{Servers, Setup, TestCluster};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zookeeper_embedded::Server;

/// Where a cluster of three nodes can live.
pub(crate) enum Ground {
    Memory(MemoryServer),
    ZooKeeper(Real),
}

/// Servers that speak ZooKeeper's protocol, each node with a network of its own before them.
pub(crate) struct Real {
    networks: Vec<Proxy>,
    ways: Vec<Connect>,
    /// Kept for its drop.
    _servers: Running,
}

enum Running {
    Embedded { _server: Server },
    Apache { _servers: Shared },
}

/// How the nodes of a cluster get their sessions.
#[derive(Clone)]
pub(crate) enum Ways {
    Memory(MemoryServer),
    ZooKeeper(Vec<Connect>),
}

/// A cluster on a ground.
pub(crate) type Cluster = TestCluster<Ways>;

pub(crate) const NODES: usize = 3;
pub(crate) const PEERS: usize = 4;
pub(crate) const ALL_PEERS: usize = NODES * PEERS;

/// No trouble of a scenario that a session survives takes as long, whatever else the machine does.
const LONG: Duration = Duration::from_secs(30);
/// Of a node that is to lose its session.
const SHORT: Duration = Duration::from_secs(3);

impl Ground {
    pub(crate) fn memory() -> Self {
        Ground::Memory(MemoryServer::default())
    }

    pub(crate) async fn embedded() -> Self {
        let server = Server::start(zookeeper_embedded::Config::default());
        let server = server.await.unwrap();
        let addresses = [server.address()];
        Ground::on(&addresses, Running::Embedded { _server: server }).await
    }

    /// With an ensemble, each node uses another server of it.
    pub(crate) async fn apache() -> Self {
        let servers = Shared::as_wanted().await;
        let addresses = servers.addresses();
        Ground::on(&addresses, Running::Apache { _servers: servers }).await
    }

    async fn on(addresses: &[std::net::SocketAddr], servers: Running) -> Self {
        let tenancy = IdSource::from_entropy().uuid().to_string();
        let (mut networks, mut ways) = (Vec::new(), Vec::new());
        for address in addresses.iter().cycle().take(NODES) {
            let network = Proxy::before(*address).await;
            ways.push(Connect {
                session_timeout: LONG,
                ..Connect::to(network.connect_string(), &tenancy)
            });
            networks.push(network);
        }
        Ground::ZooKeeper(Real {
            networks,
            ways,
            _servers: servers,
        })
    }

    /// Shortens the time after which the servers end the session of a node that is silent. Memory
    /// has no such time.
    pub(crate) fn with_short_session_of(mut self, node: usize) -> Self {
        if let Ground::ZooKeeper(real) = &mut self {
            real.ways[node].session_timeout = SHORT;
            real.ways[node].connection_timeout = SHORT / 3;
        }
        self
    }

    /// Three nodes whose peers have all joined.
    pub(crate) async fn cluster(&self, registry: Registry) -> Cluster {
        let ways = match self {
            Ground::Memory(server) => Ways::Memory(server.clone()),
            Ground::ZooKeeper(real) => Ways::ZooKeeper(real.ways.clone()),
        };
        let setup = Setup {
            nodes: NODES,
            peers: PEERS,
            registry,
            config: config(),
            ..Setup::default()
        };
        let cluster = TestCluster::start_on(ways, setup).await.unwrap();
        cluster.joined(ALL_PEERS).await.unwrap();
        cluster
    }

    /// A node does not reach its server for a while; its session lives on.
    pub(crate) async fn cut_off(&mut self, cluster: &Cluster, node: usize) {
        match self {
            Ground::Memory(server) => server.cut_off_session_of(peers_of(cluster, node).await[0]),
            Ground::ZooKeeper(real) => real.networks[node].set(Network::Refuses).await,
        }
    }

    /// A node hears nothing, and nobody hears of it, until its session has ended.
    pub(crate) async fn silence(&mut self, cluster: &Cluster, node: usize) {
        match self {
            Ground::Memory(server) => server.expire_session_of(peers_of(cluster, node).await[0]),
            Ground::ZooKeeper(real) => real.networks[node].set(Network::Silent).await,
        }
    }

    /// A node reaches its server again.
    pub(crate) async fn reach(&mut self, node: usize) {
        match self {
            Ground::Memory(server) => server.reach_all(),
            Ground::ZooKeeper(real) => real.networks[node].set(Network::Works).await,
        }
    }

    /// Ends a node as the loss of its machine does. Its session is left to the servers.
    pub(crate) async fn kill(&mut self, cluster: &mut Cluster, node: usize) {
        if let Ground::ZooKeeper(real) = self {
            real.networks[node].set(Network::Refuses).await;
        }
        cluster.kill_node(node).await;
    }

    /// The commands in the log, in order, whatever has been collected.
    pub(crate) async fn commands(&self) -> Vec<Command> {
        let session = self.session().await;
        let (mut commands, mut next) = (Vec::new(), 0);
        loop {
            let entries = session.read(LogPosition(next), 64).await.unwrap();
            if entries.is_empty() {
                return commands;
            }
            next += entries.len() as u64;
            let entries = entries.iter().map(|entry| from_payload::<Entry>(entry));
            commands.extend(entries.filter_map(|entry| Some(entry.ok()?.command)));
        }
    }

    /// Who has a pulse.
    pub(crate) async fn pulses(&self) -> BTreeSet<PeerId> {
        self.session().await.pulses().await.unwrap()
    }

    /// Whether there is an entry at a position.
    pub(crate) async fn has_entry(&self, position: LogPosition) -> bool {
        let read = self.session().await.read(position, 1).await.unwrap();
        read.iter().any(|entry| !entry.is_empty())
    }

    /// A session that sees everything that was written before it was opened.
    async fn session(&self) -> Arc<dyn Coordination> {
        match self {
            Ground::Memory(server) => Arc::new(server.connect()),
            Ground::ZooKeeper(real) => {
                let session = ZooKeeper::connect(&real.ways[0]).await.unwrap();
                session.prove_alive().await.unwrap();
                Arc::new(session)
            }
        }
    }
}

impl Servers for Ways {
    fn connector(&self, node: usize) -> Connector {
        match self {
            Ways::Memory(server) => server.connector(node),
            Ways::ZooKeeper(ways) => {
                let way = ways[node].clone();
                Arc::new(move || {
                    let way = way.clone();
                    Box::pin(async move {
                        let session = ZooKeeper::connect(&way).await?;
                        Ok(Arc::new(session) as Arc<dyn Coordination>)
                    })
                })
            }
        }
    }
}

/// The peers of a node.
pub(crate) async fn peers_of(cluster: &Cluster, node: usize) -> Vec<PeerId> {
    cluster.node(node).status().await.unwrap().peers
}
