//! A node that starts: its HTTP port is taken and answers that the process lives, while a session with
//! coordination is opened.

use super::embedded::Embedded;
use super::{
    Http, Node, NodeBuilder, NodeError, Parts, assemble, connect, file_access, log_folders,
    log_parameters, name, open_session, transport,
};
use crate::actors::peer_group::Connector;
use crate::actors::running_task::Placement;
use crate::actors::supervision::{Census, remember_panics};
use crate::actors::task_threads::TaskThreads;
use crate::config::NodeConfig;
use crate::http::{HttpListener, HttpServer};
use crate::ids::IdSource;
use crate::replica::Agreed;
use crate::task::registry::Registry;
use futures_util::FutureExt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A node whose port is taken, and that is not started yet.
pub struct StartingNode {
    config: NodeConfig,
    registry: Registry,
    http: Option<HttpServer>,
}

impl NodeBuilder {
    /// Takes the HTTP port, before anything else starts, so that a busy one leaves nothing behind.
    /// From now on `/health/live` is answered, and everything else with the reason why not yet.
    pub fn listen(mut self) -> Result<StartingNode, NodeError> {
        // Actors are spawned in this thread, which would panic.
        if actix::System::try_current().is_none() {
            return Err(NodeError::NoActors);
        }
        remember_panics();
        self.registry.files = file_access(&self.config, self.http)?;
        let http = match self.http {
            Http::Served => Some(HttpListener::bind(&self.config.http)?.serve()?),
            Http::NotServed => None,
        };
        Ok(StartingNode {
            config: self.config,
            registry: self.registry,
            http,
        })
    }

    /// Starts everything, in order: the HTTP port, coordination, session, peer group.
    pub async fn start(self) -> Result<Node, NodeError> {
        self.listen()?.start().await
    }
}

impl StartingNode {
    /// Where its HTTP server listens, when it has one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpServer::address)
    }

    /// Starts the rest. What has started already is stopped when something cannot be.
    pub async fn start(mut self) -> Result<Node, NodeError> {
        let http = self.http.take();
        let address = http.as_ref().map(HttpServer::address);
        match self.start_behind(address).await {
            Ok(mut node) => {
                if let Some(http) = &http {
                    http.open(node.handle.clone());
                }
                node.http = http;
                Ok(node)
            }
            Err(error) => {
                if let Some(http) = http {
                    http.abandon().await;
                }
                Err(error)
            }
        }
    }

    async fn start_behind(self, http: Option<SocketAddr>) -> Result<Node, NodeError> {
        let config = self.config;
        let files = self.registry.files.clone();
        let embedded = Embedded::start(&config.coordination).await?;
        let connect = connect(&config, embedded.as_ref());
        let session = open_session(&connect).await?;
        let agreed = Agreed {
            job_scheduler: config.scheduler.jobs,
            messaging: config.messaging.transport,
        };
        let mut ids = IdSource::from_entropy();
        let tenancy = connect.tenancy.clone();
        let cluster = log_parameters::agree(&*session, &tenancy, agreed, ids.bits()).await?;
        let connector: Connector = Arc::new(move || {
            let connect = connect.clone();
            async move { open_session(&connect).await }.boxed()
        });
        let parts = Parts {
            session,
            agreed,
            connector,
            transport: transport::start(&config, cluster, &mut ids)?,
            registry: Arc::new(self.registry),
            ids,
            name: name::node_name(&config.node, http),
            placement: Placement::On(TaskThreads::start().map_err(NodeError::Threads)?),
            census: Census::default(),
        };
        let (handle, ended) = assemble(&config, parts);
        log_folders(&files);
        Ok(Node {
            handle,
            http: None,
            embedded,
            ended: Some(ended),
            drain: config.shutdown.drain,
        })
    }
}
