//! A cluster of several nodes in one thread, over coordination in memory or on real servers.

use super::crash::{Victim, crash};
use super::lossy::{Failures, Loss, Lossy};
use super::servers::Servers;
use crate::actors::running_task::Placement;
use crate::actors::supervision::{Census, remember_panics};
use crate::api::{ApiError, JobOutcome, NodeHandle};
use crate::codec::from_payload;
use crate::config::{self, NodeConfig};
use crate::coordination::memory::MemoryServer;
use crate::coordination::{Coordination, CoordinationError};
use crate::ids::{IdSource, JobId, NodeName};
use crate::job::Job;
use crate::log::Entry;
use crate::log::commands::Command;
use crate::messages::peer_group::StopRestarts;
use crate::messages::supervision::{Exit, Stop};
use crate::messaging::{LocalTransport, Transport};
use crate::node::{Parts, assemble};
use crate::replica::{Agreed, Replica};
use crate::task::registry::Registry;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What a cluster starts as.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many nodes.
    pub nodes: usize,
    /// How many virtual peers each of them has.
    pub peers: usize,
    /// What jobs can name on each of them.
    pub registry: Registry,
    /// Their configuration. What it says of coordination, transport and HTTP has no meaning here.
    pub config: NodeConfig,
    /// What gets lost between peers.
    pub loss: Loss,
    /// Seeds every id and draw.
    pub seed: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            nodes: 1,
            peers: 4,
            registry: Registry::with_built_in(),
            config: NodeConfig::default(),
            loss: Loss::default(),
            seed: 1,
        }
    }
}

/// The commands in a log, in order. What cannot be read is left out.
pub fn commands(server: &MemoryServer) -> Vec<Command> {
    let entries = server.entries();
    let entries = entries
        .iter()
        .filter_map(|payload| from_payload::<Entry>(payload).ok());
    entries.map(|entry| entry.command).collect()
}

/// Nodes that share a log and a transport. They live on the thread that started them, which must
/// run an actix `System`; see [`crate::run`].
pub struct TestCluster<S = MemoryServer> {
    server: S,
    transport: LocalTransport,
    nodes: Vec<TestNode>,
    setup: Setup,
    ids: IdSource,
    census: Census,
}

struct TestNode {
    handle: NodeHandle,
    ended: Option<oneshot::Receiver<Exit>>,
    failures: Failures,
}

impl TestCluster {
    /// Starts the nodes. Their peers join while the test goes on.
    pub fn start(setup: Setup) -> Self {
        let nodes = setup.nodes;
        let mut cluster = TestCluster::without_nodes(MemoryServer::default(), setup);
        for _ in 0..nodes {
            cluster.add_node();
        }
        cluster
    }

    /// Starts one more node and says which it is.
    pub fn add_node(&mut self) -> usize {
        self.add_node_as(|_| {})
    }

    /// Starts one more node, whose configuration is not that of the others, and says which it is.
    pub fn add_node_as(&mut self, alter: impl FnOnce(&mut NodeConfig)) -> usize {
        let mut config = self.config();
        alter(&mut config);
        self.assemble(&config, Arc::new(self.server.connect()))
    }

    /// The commands in the log, in order. What cannot be read is left out.
    pub fn commands(&self) -> Vec<Command> {
        commands(&self.server)
    }
}

impl<S: Servers> TestCluster<S> {
    /// Starts the nodes on servers that may take a while to answer. Their peers join while the test
    /// goes on.
    pub async fn start_on(server: S, setup: Setup) -> Result<Self, CoordinationError> {
        let nodes = setup.nodes;
        let mut cluster = TestCluster::without_nodes(server, setup);
        for node in 0..nodes {
            let session = cluster.server.connector(node)().await?;
            cluster.assemble(&cluster.config(), session);
        }
        Ok(cluster)
    }

    fn without_nodes(server: S, setup: Setup) -> Self {
        remember_panics();
        TestCluster {
            server,
            transport: LocalTransport::default(),
            nodes: Vec::new(),
            ids: IdSource::from_seed(setup.seed),
            census: Census::default(),
            setup,
        }
    }

    fn config(&self) -> NodeConfig {
        let mut config = self.setup.config.clone();
        if let Some(peers) = NonZeroUsize::new(self.setup.peers) {
            config.node.peers = peers;
        }
        config
    }

    fn assemble(&mut self, config: &NodeConfig, session: Arc<dyn Coordination>) -> usize {
        let agreed = Agreed {
            job_scheduler: config.scheduler.jobs,
            // All nodes share one transport, which reaches every peer.
            messaging: config::Transport::Aeron,
        };
        let failures = Failures::default();
        let parts = Parts {
            session,
            agreed,
            connector: self.server.connector(self.nodes.len()),
            transport: self.transport(failures.clone()),
            registry: Arc::new(self.setup.registry.clone()),
            ids: IdSource::from_seed(self.ids.bits()),
            name: NodeName::from(format!("node-{}", self.nodes.len())),
            placement: Placement::Here,
            census: self.census.clone(),
        };
        let (handle, ended) = assemble(config, parts);
        self.nodes.push(TestNode {
            handle,
            ended: Some(ended),
            failures,
        });
        self.nodes.len() - 1
    }

    fn transport(&self, failures: Failures) -> Arc<dyn Transport> {
        let shared = Arc::new(self.transport.clone());
        let seed = self.setup.seed + self.nodes.len() as u64;
        Arc::new(Lossy::new(shared, self.setup.loss, seed, failures))
    }

    /// The transport of a node loses whatever is under way, as when its media driver dies. Panics when
    /// there is no such node.
    pub fn fail_transport(&self, index: usize) {
        self.nodes[index].failures.fail();
    }

    /// What can be done with a node, counted from 0. Panics when there is none.
    pub fn node(&self, index: usize) -> &NodeHandle {
        &self.nodes[index].handle
    }

    /// The log, the pulses and the rest; and what can go wrong with them.
    pub fn server(&self) -> &S {
        &self.server
    }

    /// How many actors of all nodes live.
    pub fn living_actors(&self) -> usize {
        self.census.living()
    }

    /// The count of living actors, which outlives the cluster.
    pub fn census(&self) -> Census {
        self.census.clone()
    }

    /// Submits a job to the first node that lives.
    pub async fn submit(&self, job: Job) -> Result<JobId, ApiError> {
        self.living()?.submit_job(job).await
    }

    /// Waits until a job has ended, as the first living node sees it.
    pub async fn await_job(&self, job: JobId) -> Result<JobOutcome, ApiError> {
        self.living()?.await_job_completion(job).await
    }

    /// Waits until something holds of the replica of the first living node.
    pub async fn until(&self, holds: impl Fn(&Replica) -> bool) -> Result<(), ApiError> {
        let mut latest = self.living()?.window().latest.clone();
        let waited = latest.wait_for(|snapshot| holds(&snapshot.replica)).await;
        waited.map(drop).map_err(|_| ApiError::NodeEnded)
    }

    /// Waits until so many peers have joined and nobody is on the way in.
    pub async fn joined(&self, peers: usize) -> Result<(), ApiError> {
        self.until(|replica| {
            let membership = &replica.membership;
            membership.peers.len() == peers && membership.members.len() == peers
        })
        .await
    }

    /// Ends the session of a node, as the server does when it has not heard of it for too long.
    pub async fn expire_session(&self, node: usize) {
        let session = self.node(node).window().session.borrow().clone();
        session.close().await;
    }

    /// Ends a node as the end of its process does: it says nothing more, and its session expires.
    pub async fn kill_node(&mut self, node: usize) {
        let ended = self.nodes[node].ended.take();
        crash(self.node(node), Victim::Group).await;
        // Before any of its actors could do as much as delete a pulse.
        self.expire_session(node).await;
        if let Some(ended) = ended {
            // It has ended either way.
            let _ = ended.await;
        }
    }

    /// How a node ended by itself, as soon as it has. Panics when that was asked before.
    pub async fn failed(&mut self, node: usize) -> Exit {
        let ended = self.nodes[node].ended.take().expect("asked once");
        ended
            .await
            .unwrap_or_else(|_| Exit::Failed("the root of the tree is gone".into()))
    }

    /// Stops a node as [`crate::node::Node::stop`] does. One that has ended has nothing to stop.
    pub async fn stop_node(&self, node: usize) {
        let group = self.node(node).group();
        let _ = group.send(StopRestarts).await;
        let _ = group.send(Stop).await;
    }

    /// Stops every node, and gives back what remains: the log.
    pub async fn stop(self) -> S {
        for node in 0..self.nodes.len() {
            self.stop_node(node).await;
        }
        self.server
    }

    fn living(&self) -> Result<&NodeHandle, ApiError> {
        let mut handles = self.nodes.iter().map(|node| &node.handle);
        handles
            .find(|handle| handle.group().connected())
            .ok_or(ApiError::NodeEnded)
    }
}
