//! Coordination by a ZooKeeper server or ensemble.
//!
//! The log is followed by one-shot `exists` watches and multi-reads: persistent watchers of this
//! client are lost at a reconnect, `exists` watches are re-registered and judged by existence.

mod connect;
mod error;
mod session_state;
mod snapshot;
mod tls;
mod tree;
mod unreachable;

pub use connect::Connect;

use super::{
    Answer, Coordination, CoordinationError, Folder, Layout, Node, Pulse, Put, Retry, Revision,
    SessionState, Written, check_size,
};
use crate::ids::{LogPosition, PeerId};
use error::error_of;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use zookeeper_client::{Acls, Client, CreateMode, Error, EventType, MultiReadResult};

/// A session with ZooKeeper.
pub struct ZooKeeper {
    /// Taken out by `close`: the session ends when the last clone of the client is dropped.
    client: Mutex<Option<Client>>,
    session_timeout: Duration,
    layout: Layout,
    /// Whose the nodes are that it makes.
    acls: Acls<'static>,
    state: watch::Receiver<SessionState>,
    retry: Retry,
}

/// What somebody who only looks finds at the servers.
pub enum Found {
    /// The tenancy.
    Tenancy(ZooKeeper),
    /// None of that name, but these.
    Others(Vec<String>),
}

impl ZooKeeper {
    /// Opens a session and makes sure that the directories exist.
    pub async fn connect(connect: &Connect) -> Result<Self, CoordinationError> {
        let made = || async { tree::make(connect::open(connect).await?, connect).await };
        let client = connect::patiently(connect, made).await?;
        Ok(ZooKeeper::of(client, connect))
    }

    /// Opens a session for somebody who only looks: where there is no such tenancy none is made.
    pub async fn find(connect: &Connect) -> Result<Found, CoordinationError> {
        let found = || async { tree::find(connect::open(connect).await?, connect).await };
        Ok(match connect::patiently(connect, found).await? {
            tree::Found::Tenancy(client) => Found::Tenancy(ZooKeeper::of(client, connect)),
            tree::Found::Others(others) => Found::Others(others),
        })
    }

    fn of(client: Client, connect: &Connect) -> Self {
        let state = session_state::follow(&client);
        ZooKeeper {
            session_timeout: client.session_timeout(),
            client: Mutex::new(Some(client)),
            layout: Layout::of(&connect.tenancy),
            acls: connect.acls(),
            state,
            retry: Retry::new(connect.retry),
        }
    }

    /// How long the server keeps the session without a sign of life: it has limits of its own.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    fn client(&self) -> Result<Client, CoordinationError> {
        let client = self
            .client
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        client.clone().ok_or(CoordinationError::Expired)
    }
}

impl Coordination for ZooKeeper {
    fn append(&self, payload: Vec<u8>) -> Answer<'_, LogPosition> {
        async move {
            check_size("the entry", &payload)?;
            let options = CreateMode::PersistentSequential.with_acls(self.acls);
            let client = self.client()?;
            let (_, sequence) = client
                .create(&self.layout.entry_prefix(), &payload, &options)
                .await
                .map_err(|error| error_of("an entry", error))?;
            u64::try_from(sequence.into_i64())
                .map(LogPosition)
                .map_err(|_| CoordinationError::Refused {
                    what: "an entry".into(),
                    reason: "the log's counter has run over".into(),
                })
        }
        .boxed()
    }

    fn read(&self, from: LogPosition, max: usize) -> Answer<'_, Vec<Vec<u8>>> {
        async move {
            let client = self.client()?;
            let mut reader = client.new_multi_reader();
            for offset in 0..max as u64 {
                let path = self.layout.entry(LogPosition(from.0 + offset));
                reader
                    .add_get_data(&path)
                    .map_err(|error| error_of("to read the log", error))?;
            }
            let results = reader
                .commit()
                .await
                .map_err(|error| error_of("to read the log", error))?;
            let mut entries = Vec::new();
            let mut missing = 0;
            for result in results {
                match result {
                    MultiReadResult::Data { data, .. } => {
                        // The counter has moved on: what is missing before an entry was never one,
                        // and never will be. Somebody else put a node of his own there.
                        entries.extend(std::iter::repeat_n(Vec::new(), missing));
                        missing = 0;
                        entries.push(data);
                    }
                    MultiReadResult::Error { err: Error::NoNode } => missing += 1,
                    MultiReadResult::Error { err } => return Err(error_of("to read the log", err)),
                    // Only data was asked for.
                    _ => break,
                }
            }
            Ok(entries)
        }
        .boxed()
    }

    fn wait_for(&self, position: LogPosition) -> Answer<'_, ()> {
        async move {
            let path = self.layout.entry(position);
            let (stat, watcher) = self
                .client()?
                .check_and_watch_stat(&path)
                .await
                .map_err(|error| error_of("to watch the log", error))?;
            if stat.is_none() {
                watcher.changed().await;
            }
            Ok(())
        }
        .boxed()
    }

    fn create_pulse(&self, peer: PeerId) -> Answer<'_, ()> {
        async move {
            let options = CreateMode::Ephemeral.with_acls(self.acls);
            let client = self.client()?;
            match client.create(&self.layout.pulse(peer), &[], &options).await {
                // It can only be ours, from a write whose outcome was unknown: ids are never reused.
                Ok(_) | Err(Error::NodeExists) => Ok(()),
                Err(error) => Err(error_of("a pulse", error)),
            }
        }
        .boxed()
    }

    fn delete_pulse(&self, peer: PeerId) -> Answer<'_, ()> {
        async move {
            match self.client()?.delete(&self.layout.pulse(peer), None).await {
                Ok(()) | Err(Error::NoNode) => Ok(()),
                Err(error) => Err(error_of("to delete a pulse", error)),
            }
        }
        .boxed()
    }

    fn pulses(&self) -> Answer<'_, BTreeSet<PeerId>> {
        async move {
            let listed = self.client()?.list_children(&self.layout.pulses()).await;
            let names = listed.map_err(|error| error_of("to list the pulses", error))?;
            // What is no id was put there by somebody else.
            let peers = names.iter().filter_map(|name| name.parse().ok());
            Ok(peers.map(PeerId).collect())
        }
        .boxed()
    }

    fn watch_pulse(&self, peer: PeerId) -> Answer<'_, Pulse> {
        async move {
            let (stat, watcher) = self
                .client()?
                .check_and_watch_stat(&self.layout.pulse(peer))
                .await
                .map_err(|error| error_of("to watch a pulse", error))?;
            if stat.is_none() {
                return Ok(Pulse::Absent);
            }
            let gone = async move {
                let event = watcher.changed().await;
                match event.event_type {
                    EventType::NodeDeleted => Ok(()),
                    EventType::Session if event.session_state.is_terminated() => {
                        Err(CoordinationError::Expired)
                    }
                    other => Err(CoordinationError::Interrupted(format!("{other:?}"))),
                }
            };
            Ok(Pulse::Present(gone.boxed()))
        }
        .boxed()
    }

    fn put(&self, node: Node, data: Vec<u8>, put: Put) -> Answer<'_, Written> {
        async move {
            let path = self.layout.node(&node);
            check_size(&path, &data)?;
            let client = self.client()?;
            let options = CreateMode::Persistent.with_acls(self.acls);
            match client.create(&path, &data, &options).await {
                Ok(_) => return Ok(Written::Yes),
                Err(Error::NodeExists) if put == Put::IfAbsent => return Ok(Written::KeptExisting),
                Err(Error::NodeExists) => {}
                Err(error) => return Err(error_of(&path, error)),
            }
            client
                .set_data(&path, &data, None)
                .await
                .map_err(|error| error_of(&path, error))?;
            Ok(Written::Yes)
        }
        .boxed()
    }

    fn get(&self, node: Node) -> Answer<'_, Option<Vec<u8>>> {
        async move {
            let path = self.layout.node(&node);
            match self.client()?.get_data(&path).await {
                Ok((data, _)) => Ok(Some(data)),
                Err(Error::NoNode) => Ok(None),
                Err(error) => Err(error_of(&path, error)),
            }
        }
        .boxed()
    }

    fn get_revised(&self, node: Node) -> Answer<'_, Option<(Vec<u8>, Revision)>> {
        self.revised(node).boxed()
    }

    fn replace(&self, node: Node, data: Vec<u8>, seen: Option<Revision>) -> Answer<'_, Written> {
        self.replaced(node, data, seen).boxed()
    }

    fn delete(&self, nodes: Vec<Node>) -> Answer<'_, ()> {
        self.delete_nodes(nodes).boxed()
    }

    fn list(&self, folder: Folder) -> Answer<'_, Vec<String>> {
        self.names(folder).boxed()
    }

    fn delete_entries(&self, positions: Range<LogPosition>) -> Answer<'_, ()> {
        self.delete_range(positions).boxed()
    }

    fn log_len(&self) -> Answer<'_, u64> {
        self.entries().boxed()
    }

    fn prove_alive(&self) -> Answer<'_, ()> {
        async move {
            // Through the leader, who keeps the sessions: a server that is cut off from it would
            // answer a read.
            let path = self.layout.pulses();
            let synced = self.client()?.sync(&path).await;
            synced.map_err(|error| error_of("to sync", error))
        }
        .boxed()
    }

    fn timeout(&self) -> Duration {
        self.session_timeout
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn retry(&self) -> &Retry {
        &self.retry
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let taken = self
                .client
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            let Some(client) = taken else { return };
            let mut states = client.state_watcher();
            drop(client);
            // The session has ended for the server when the client says so; a server that does not
            // answer lets it expire.
            while !states.changed().await.is_terminated() {}
        }
        .boxed()
    }
}
