//! A node: the composition root. The only place that names adapters, and where start and stop have
//! their order.

mod embedded;
mod log_access;
mod log_parameters;
mod name;
mod root;
mod starting;
mod transport;

pub(crate) use embedded::{access, publish};
pub use log_access::{LogFound, open_log};
pub use starting::StartingNode;

use crate::actors::acking_daemon::AckingSettings;
use crate::actors::held_tasks::HeldTasks;
use crate::actors::peer_group::{CollectionPolicy, Connector, GroupSettings, PeerGroup};
use crate::actors::running_task::Placement;
use crate::actors::services::PeerServices;
use crate::actors::supervision::{Backoff, Census, Obituary, RestartBudget};
use crate::actors::task_restarts::{RestartLimit, TaskRestarts};
use crate::api::{NodeHandle, TaskHealth};
use crate::clock::Clock;
use crate::config::NodeConfig;
use crate::coordination::zookeeper::{Connect, ZooKeeper};
use crate::coordination::{Coordination, CoordinationError, SessionLease};
use crate::files::{Access, FileAccess, FolderError};
use crate::http::{HttpError, HttpServer};
use crate::ids::{GroupId, IdSource, NodeName};
use crate::messages::peer_group::StopRestarts;
use crate::messages::supervision::{Child, Exit, Stop};
use crate::messaging::Transport;
use crate::replica::{Agreed, Member};
use crate::stop_flag::StopFlag;
use crate::task::counters::Counters;
use crate::task::registry::Registry;
use crate::task::traces::Traces;
use crate::task::{Beat, TaskServices};
use actix::Actor;
use embedded::Embedded;
use root::Root;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A running node. It must live inside an actix `System`; [`run`] makes one.
pub struct Node {
    handle: NodeHandle,
    http: Option<HttpServer>,
    embedded: Option<Embedded>,
    ended: Option<oneshot::Receiver<Exit>>,
    drain: Duration,
}

/// What a node is made of.
pub struct NodeBuilder {
    config: NodeConfig,
    registry: Registry,
    http: Http,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Http {
    Served,
    NotServed,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The embedded coordination server did not start.
    #[error("the embedded coordination server did not start: {0}")]
    Embedded(#[from] zookeeper_embedded::StartError),
    /// Coordination cannot be used.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
    /// The log belongs to another kind of cluster.
    #[error("this node cannot use the log of tenancy `{tenancy}`: {reason}")]
    OtherLog {
        /// Whose log.
        tenancy: String,
        /// What differs.
        reason: String,
    },
    /// The transport did not start.
    #[error("{0}")]
    Transport(String),
    /// The HTTP server did not start.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Jobs cannot be bound to the folders of the configuration.
    #[error(transparent)]
    Files(#[from] FolderError),
    /// Clients of other machines could use any file.
    #[error(
        "{0}, so that jobs of others run here: set files.read and files.write to the folders that jobs \
         may use, such as [\"/srv/onyx\"], or to [] for none; the default, [\"/\"], is for jobs of this \
         machine"
    )]
    FilesNotBounded(String),
    /// It was started where no actors can run.
    #[error(
        "a node runs on actors, which this runtime does not have: start it in a future that is given to `onyx::run`, not in plain tokio"
    )]
    NoActors,
    /// The system gives no threads to run tasks on.
    #[error("no thread for tasks can be started: {0}; see the limits of processes and memory")]
    Threads(std::io::Error),
}

impl NodeBuilder {
    /// A node with a configuration, and what is built in.
    pub fn new(config: NodeConfig) -> Self {
        NodeBuilder {
            config,
            registry: Registry::with_built_in(),
            http: Http::Served,
        }
    }

    /// What jobs can name on this node.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// How many virtual peers to start with, instead of what the configuration says.
    pub fn peers(mut self, peers: NonZeroUsize) -> Self {
        self.config.node.peers = peers;
        self
    }

    /// Without the HTTP server, as in a program that embeds a node.
    pub fn without_http(mut self) -> Self {
        self.http = Http::NotServed;
        self
    }
}

/// The files that jobs may use, which are bounded where jobs come from other machines.
fn file_access(config: &NodeConfig, http: Http) -> Result<FileAccess, NodeError> {
    let files = FileAccess::within(&config.files.read, &config.files.write)?;
    let exposed = match http {
        Http::Served => config.http.exposed(),
        Http::NotServed => None,
    };
    let exposed = exposed.or_else(|| config.coordination.exposed());
    let is_bounded = |access| files.folders(access).is_some();
    match exposed {
        Some(exposed) if !(is_bounded(Access::Read) && is_bounded(Access::Write)) => {
            Err(NodeError::FilesNotBounded(exposed))
        }
        _ => Ok(files),
    }
}

fn log_folders(files: &FileAccess) {
    let shown = |access| match files.folders(access) {
        None => "everything that the user of the node may".to_owned(),
        Some(folders) => {
            let folders = folders.iter().map(|it| it.display().to_string());
            folders.collect::<Vec<_>>().join(", ")
        }
    };
    let (read, write) = (shown(Access::Read), shown(Access::Write));
    tracing::info!(
        read,
        write,
        "files that jobs may use, by [files] of the configuration"
    );
}

/// The parts of a node that differ between a running one and one in a test.
pub(crate) struct Parts {
    pub(crate) session: Arc<dyn Coordination>,
    pub(crate) agreed: Agreed,
    pub(crate) connector: Connector,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ids: IdSource,
    pub(crate) name: NodeName,
    pub(crate) placement: Placement,
    pub(crate) census: Census,
}

/// Starts the tree. Answers with a handle, and with how it ends.
pub(crate) fn assemble(config: &NodeConfig, parts: Parts) -> (NodeHandle, oneshot::Receiver<Exit>) {
    let Parts {
        session,
        agreed,
        connector,
        transport,
        registry,
        mut ids,
        name,
        placement,
        census,
    } = parts;
    let group = GroupId(ids.uuid());
    let handle_ids = IdSource::from_seed(ids.bits());
    let counters = Counters::default();
    let member = Member {
        group,
        node: name,
        site: transport.site(group),
        words: Arc::new(registry.vocabulary().words()),
        tags: Arc::new(config.peer.tags.clone()),
    };
    let clock = Clock::start();
    let traces = Traces::one_in(config.task.trace_one_in);
    let task = TaskServices {
        session,
        lease: SessionLease::unproved(clock),
        transport,
        registry: registry.clone(),
        counters: counters.clone(),
        traces: traces.clone(),
        clock,
        inbox_batches: config.messaging.inbox_batches.get(),
        beat: Beat::default(),
        stop: StopFlag::default(),
    };
    let (root, ended) = Root::new();
    let root = root.start();
    let obituary = Obituary::of(Child::PeerGroup, 0, root.recipient(), &census);
    let services = peer_services(config, task, placement, census, ids);
    let health = TaskHealth {
        held: services.held_tasks.clone(),
        restarts: services.task_restarts.clone(),
        clock,
    };
    let group = PeerGroup::new(
        group_settings(config, member, agreed),
        services,
        connector,
        obituary,
    );
    let window = group.window();
    let handle = NodeHandle::new(
        group.start(),
        window,
        registry,
        (counters, traces),
        health,
        handle_ids,
    );
    (handle, ended)
}

fn peer_services(
    config: &NodeConfig,
    task: TaskServices,
    placement: Placement,
    census: Census,
    ids: IdSource,
) -> PeerServices {
    let first_wait = config.peer.join_failure_back_off;
    PeerServices {
        task,
        outbox_capacity: config.peer.outbox_capacity_entries.get(),
        acking: AckingSettings {
            inbox_messages: config.messaging.ack_inbox_messages.get(),
            timeout: config.messaging.ack_daemon_timeout,
            sweep_interval: config.messaging.ack_sweep_interval,
        },
        checkpoint_interval: config.task.checkpoint_interval,
        stuck_after: config.peer.stuck_after,
        blocked_after: config.shutdown.blocked_after,
        held_tasks: HeldTasks::new(config.peer.abandoned_tasks_max),
        task_restarts: TaskRestarts::new(RestartLimit {
            max: config.peer.task_restarts_max.get(),
            window: config.peer.task_restarts_window,
        }),
        join_backoff: Backoff {
            min: first_wait,
            max: first_wait.saturating_mul(JOIN_BACK_OFF_GROWTH_MAX),
        },
        placement,
        census,
        ids: Rc::new(RefCell::new(ids)),
    }
}

fn group_settings(config: &NodeConfig, member: Member, agreed: Agreed) -> GroupSettings {
    let infrastructure = &config.infrastructure;
    GroupSettings {
        member,
        agreed,
        peers: config.node.peers.get(),
        restart_backoff: Backoff {
            min: config.peer.restart_back_off_min,
            max: config.peer.restart_back_off_max,
        },
        healthy_after: config.peer.restart_back_off_max,
        restarts_at_once: config.peer.restarts_at_once.get(),
        step_ring: config.peer.step_ring_entries.get(),
        budget: RestartBudget::new(
            infrastructure.restarts_max as usize,
            infrastructure.restarts_window,
        ),
        collection: CollectionPolicy {
            entries: config.collection.entries.into(),
            bytes: config.collection.bytes.into(),
        },
        drain: config.shutdown.drain,
    }
}

/// The wait between attempts to join grows to this many times the first.
const JOIN_BACK_OFF_GROWTH_MAX: u32 = 16;

async fn open_session(connect: &Connect) -> Result<Arc<dyn Coordination>, CoordinationError> {
    Ok(Arc::new(ZooKeeper::connect(connect).await?))
}

fn connect(config: &NodeConfig, embedded: Option<&Embedded>) -> Connect {
    Connect {
        address: embedded.map_or_else(
            || config.coordination.connect.as_str().to_owned(),
            |embedded| embedded.address().to_string(),
        ),
        server_login: embedded.and_then(Embedded::login),
        tenancy: config.node.tenancy_id.as_str().to_owned(),
        session_timeout: config.coordination.session_timeout,
        connection_timeout: config.coordination.connection_timeout,
        retry: config.coordination.retry,
        login: config.coordination.login.clone(),
        tls: config.coordination.tls.clone(),
    }
}

impl Node {
    /// What can be done with it.
    pub fn handle(&self) -> &NodeHandle {
        &self.handle
    }

    /// Where its HTTP server listens, when it has one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// Where its embedded coordination server listens, when it has one.
    pub fn coordination_address(&self) -> Option<SocketAddr> {
        self.embedded.as_ref().map(Embedded::address)
    }

    /// Answers when the node has ended by itself, with the cause. A node that was stopped never
    /// answers.
    pub async fn failed(&mut self) -> Exit {
        let tree = async {
            match &mut self.ended {
                Some(ended) => match ended.await {
                    Ok(exit) => exit,
                    Err(_) => Exit::Failed("the root of the tree is gone".into()),
                },
                None => std::future::pending().await,
            }
        };
        let log = async {
            match &self.embedded {
                Some(server) => Exit::Failed(server.failed().await.to_string()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = tree => exit,
            exit = log => exit,
        }
    }

    /// Stops in order: not ready and no new jobs; no restarts; peers drain, leave and flush; the
    /// session; the HTTP server last, so that liveness answers meanwhile. An answer of `Err` says
    /// what did not end in time.
    pub async fn stop(mut self) -> Result<(), String> {
        let ended = self.ended.take();
        if let Some(http) = &self.http {
            http.refuse();
        }
        let group = self.handle.group();
        // A group that is gone has nothing left to stop.
        let _ = group.send(StopRestarts).await;
        let _ = tokio::time::timeout(self.drain, group.send(Stop)).await;
        let exit = match ended {
            Some(ended) => tokio::time::timeout(LAST_WORD_MAX, ended).await,
            None => Ok(Ok(Exit::Stopped)),
        };
        if let Some(http) = self.http.take() {
            http.stop().await;
        }
        if let Some(embedded) = self.embedded.take() {
            embedded.stop().await;
        }
        match exit {
            Ok(Ok(Exit::Stopped)) => Ok(()),
            Ok(Ok(exit)) => Err(exit.to_string()),
            Ok(Err(_)) | Err(_) => Err("the peer group did not end".into()),
        }
    }
}

/// A group that has stopped says so within this time.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);

/// Runs a future inside an actix `System` on this thread, as every node needs.
///
/// ```
/// let answer = onyx::run(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
pub fn run<F: Future>(future: F) -> F::Output {
    actix::System::new().block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_in_plain_tokio_is_refused_with_a_hint_at_run() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let builder = NodeBuilder::new(NodeConfig::default()).without_http();
        let refused = runtime.block_on(builder.start()).err().unwrap();
        assert!(refused.to_string().contains("`onyx::run`"), "{refused}");
    }
}
