//! Coordination in memory, for tests and simulations: the same promises as ZooKeeper, in virtual
//! time, with the faults at the caller's will.
//!
//! No node runs on it. It answers after a delay of virtual time, can end a session, cut it off, and
//! answer "outcome unknown" for a write that did or did not happen.

use super::{
    Answer, Coordination, CoordinationError, Folder, Layout, Node, Pulse, Put, Retry, Revision,
    SessionState, Written, check_size,
};
use crate::ids::{LogPosition, PeerId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;

/// A server in memory. Clones are the same server.
#[derive(Clone)]
pub struct MemoryServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts changes, so that whoever waits looks again.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Entries by position; those that were deleted are gone.
    log: BTreeMap<u64, Vec<u8>>,
    /// The position of the next entry.
    next_entry: u64,
    pulses: BTreeMap<PeerId, SessionId>,
    /// Nodes by path, with their revisions.
    nodes: BTreeMap<String, (Vec<u8>, i32)>,
    sessions: BTreeMap<SessionId, watch::Sender<SessionState>>,
    next_session: u64,
    delay: Duration,
    connection: Connection,
    /// Sessions that are cut off by themselves.
    cut_off: BTreeSet<SessionId>,
    faults: VecDeque<AppendFault>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SessionId(u64);

impl State {
    fn append(&mut self, payload: Vec<u8>) -> LogPosition {
        let position = self.next_entry;
        self.log.insert(position, payload);
        self.next_entry += 1;
        LogPosition(position)
    }

    fn put(&mut self, path: String, data: Vec<u8>) {
        let revision = self
            .nodes
            .get(&path)
            .map_or(0, |(_, revision)| revision + 1);
        self.nodes.insert(path, (data, revision));
    }

    fn show(&self, session: SessionId, seen: SessionState) {
        if let Some(sender) = self.sessions.get(&session) {
            sender.send_replace(seen);
        }
    }

    fn reachable(&self, session: SessionId) -> Result<(), CoordinationError> {
        let connection = match self.cut_off.contains(&session) {
            true => Connection::Down,
            false => self.connection,
        };
        match (self.sessions.contains_key(&session), connection) {
            (false, _) => Err(CoordinationError::Expired),
            (true, Connection::Down) => {
                Err(CoordinationError::Interrupted("cut off, by a test".into()))
            }
            (true, Connection::Up) => Ok(()),
        }
    }
}

/// How long a session is said to live without a word. It is ended by who plays the server.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Whether sessions reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Connection {
    #[default]
    Up,
    Down,
}

/// What shall happen to one of the next appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFault {
    /// It is answered as it should be.
    None,
    /// It is stored, and the writer is told that the outcome is unknown.
    UnknownButStored,
    /// It is not stored, and the writer is told that the outcome is unknown.
    UnknownAndLost,
}

impl Default for MemoryServer {
    fn default() -> Self {
        let (changes, _) = watch::channel(0);
        MemoryServer {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changes,
            }),
        }
    }
}

impl MemoryServer {
    /// Opens a session.
    pub fn connect(&self) -> Memory {
        let mut state = self.lock();
        let id = SessionId(state.next_session);
        state.next_session += 1;
        let (sender, receiver) = watch::channel(SessionState::Connected);
        state.sessions.insert(id, sender);
        Memory {
            server: self.clone(),
            id,
            state: receiver,
            retry: Retry::default(),
        }
    }

    /// Every answer takes this long from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Cuts every session off. Sessions and pulses stay, requests are answered with "interrupted"
    /// and are not carried out, and whoever waits for something hears the same.
    pub fn interrupt(&self) {
        self.connect_all(Connection::Down, SessionState::Disconnected);
    }

    /// Ends an interruption.
    pub fn restore(&self) {
        self.connect_all(Connection::Up, SessionState::Connected);
    }

    fn connect_all(&self, connection: Connection, seen: SessionState) {
        let mut state = self.lock();
        state.connection = connection;
        for session in state.sessions.values() {
            session.send_replace(seen);
        }
        drop(state);
        self.changed();
    }

    /// Cuts off the session that owns a peer's pulse, and no other. It stays, as does that of a
    /// process that is paused for a while.
    pub fn cut_off_session_of(&self, peer: PeerId) {
        let mut state = self.lock();
        if let Some(session) = state.pulses.get(&peer).copied() {
            state.cut_off.insert(session);
            state.show(session, SessionState::Disconnected);
        }
        drop(state);
        self.changed();
    }

    /// Lets every session that was cut off by itself reach the server again.
    pub fn reach_all(&self) {
        let mut state = self.lock();
        for session in std::mem::take(&mut state.cut_off) {
            state.show(session, SessionState::Connected);
        }
        drop(state);
        self.changed();
    }

    /// Faults of the next appends, in order.
    pub fn fail_appends(&self, faults: impl IntoIterator<Item = AppendFault>) {
        self.lock().faults.extend(faults);
    }

    /// Ends the sessions that own a peer's pulse, as a server does that heard nothing.
    pub fn expire_session_of(&self, peer: PeerId) {
        let owner = self.lock().pulses.get(&peer).copied();
        if let Some(session) = owner {
            self.end(session);
        }
    }

    /// Ends every session that there is now.
    pub fn end_all_sessions(&self) {
        let sessions: Vec<SessionId> = self.lock().sessions.keys().copied().collect();
        sessions.into_iter().for_each(|session| self.end(session));
    }

    /// Puts raw bytes into the log: garbage, or an entry of somebody else.
    pub fn append_raw(&self, payload: Vec<u8>) {
        self.lock().append(payload);
        self.changed();
    }

    /// Skips a position, as a node of somebody else's in the log does.
    pub fn skip_position(&self) {
        self.lock().next_entry += 1;
        self.changed();
    }

    /// Everything in the log.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        self.lock().log.values().cloned().collect()
    }

    /// The paths of all nodes beside the log.
    pub fn nodes(&self) -> Vec<String> {
        self.lock().nodes.keys().cloned().collect()
    }

    /// The peers that have a pulse.
    pub fn pulses(&self) -> Vec<PeerId> {
        self.lock().pulses.keys().copied().collect()
    }

    fn end(&self, session: SessionId) {
        let mut state = self.lock();
        state.pulses.retain(|_, owner| *owner != session);
        if let Some(sender) = state.sessions.remove(&session) {
            sender.send_replace(SessionState::Expired);
        }
        drop(state);
        self.changed();
    }

    fn changed(&self) {
        self.shared.changes.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A session with a [`MemoryServer`].
pub struct Memory {
    server: MemoryServer,
    id: SessionId,
    state: watch::Receiver<SessionState>,
    retry: Retry,
}

impl Memory {
    /// Does something to the server now, and answers after the server's delay.
    fn request<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, CoordinationError>,
    ) -> Answer<'static, T> {
        let mut state = self.server.lock();
        let delay = state.delay;
        let result = state.reachable(self.id).and_then(|()| act(&mut state));
        drop(state);
        self.server.changed();
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            result
        }
        .boxed()
    }

    /// Answers when `there` holds, or the session is over.
    fn wait_until(
        &self,
        there: impl Fn(&State) -> bool + Send + 'static,
    ) -> BoxFuture<'static, Result<(), CoordinationError>> {
        let (server, id) = (self.server.clone(), self.id);
        let mut changes = server.shared.changes.subscribe();
        async move {
            loop {
                changes.borrow_and_update();
                {
                    let state = server.lock();
                    state.reachable(id)?;
                    if there(&state) {
                        return Ok(());
                    }
                }
                // The sender lives in the server that this future holds.
                if changes.changed().await.is_err() {
                    return Err(CoordinationError::Expired);
                }
            }
        }
        .boxed()
    }
}

/// As a client of ZooKeeper does, which closes its session when nobody uses it any more.
impl Drop for Memory {
    fn drop(&mut self) {
        self.server.end(self.id);
    }
}

impl Coordination for Memory {
    fn append(&self, payload: Vec<u8>) -> Answer<'_, LogPosition> {
        self.request(|state| {
            check_size("the entry", &payload)?;
            let fault = state.faults.pop_front().unwrap_or(AppendFault::None);
            if fault == AppendFault::UnknownAndLost {
                return Err(CoordinationError::Interrupted("lost, by a test".into()));
            }
            let position = state.append(payload);
            if fault == AppendFault::UnknownButStored {
                return Err(CoordinationError::Interrupted("stored, by a test".into()));
            }
            Ok(position)
        })
    }

    fn read(&self, from: LogPosition, max: usize) -> Answer<'_, Vec<Vec<u8>>> {
        self.request(|state| {
            let end = from.0.saturating_add(max as u64);
            let mut entries = Vec::new();
            for (position, entry) in state.log.range(from.0..end) {
                entries.resize((position - from.0) as usize, Vec::new());
                entries.push(entry.clone());
            }
            Ok(entries)
        })
    }

    fn wait_for(&self, position: LogPosition) -> Answer<'_, ()> {
        self.wait_until(move |state| state.next_entry > position.0)
    }

    fn create_pulse(&self, peer: PeerId) -> Answer<'_, ()> {
        let id = self.id;
        self.request(move |state| {
            state.pulses.insert(peer, id);
            Ok(())
        })
    }

    fn delete_pulse(&self, peer: PeerId) -> Answer<'_, ()> {
        self.request(move |state| {
            state.pulses.remove(&peer);
            Ok(())
        })
    }

    fn pulses(&self) -> Answer<'_, BTreeSet<PeerId>> {
        self.request(|state| Ok(state.pulses.keys().copied().collect()))
    }

    fn watch_pulse(&self, peer: PeerId) -> Answer<'_, Pulse> {
        let gone = self.wait_until(move |state| !state.pulses.contains_key(&peer));
        self.request(move |state| {
            Ok(match state.pulses.contains_key(&peer) {
                true => Pulse::Present(gone),
                false => Pulse::Absent,
            })
        })
    }

    fn put(&self, node: Node, data: Vec<u8>, put: Put) -> Answer<'_, Written> {
        let path = path(&node);
        self.request(move |state| {
            check_size(&path, &data)?;
            if put == Put::IfAbsent && state.nodes.contains_key(&path) {
                return Ok(Written::KeptExisting);
            }
            state.put(path, data);
            Ok(Written::Yes)
        })
    }

    fn get(&self, node: Node) -> Answer<'_, Option<Vec<u8>>> {
        let path = path(&node);
        self.request(move |state| Ok(state.nodes.get(&path).map(|(data, _)| data.clone())))
    }

    fn get_revised(&self, node: Node) -> Answer<'_, Option<(Vec<u8>, Revision)>> {
        let path = path(&node);
        self.request(move |state| {
            let found = state.nodes.get(&path).cloned();
            Ok(found.map(|(data, revision)| (data, Revision(revision))))
        })
    }

    fn replace(&self, node: Node, data: Vec<u8>, seen: Option<Revision>) -> Answer<'_, Written> {
        let path = path(&node);
        self.request(move |state| {
            check_size(&path, &data)?;
            let revision = state.nodes.get(&path).map(|(_, revision)| *revision);
            if revision != seen.map(|Revision(seen)| seen) {
                return Ok(Written::KeptExisting);
            }
            state.put(path, data);
            Ok(Written::Yes)
        })
    }

    fn delete(&self, nodes: Vec<Node>) -> Answer<'_, ()> {
        self.request(move |state| {
            for node in nodes {
                state.nodes.remove(&path(&node));
            }
            Ok(())
        })
    }

    fn list(&self, folder: Folder) -> Answer<'_, Vec<String>> {
        let folder = format!("{}/", layout().folder(folder));
        self.request(move |state| {
            let names = state.nodes.keys();
            let names = names.filter_map(|path| path.strip_prefix(&folder));
            Ok(names.map(str::to_owned).collect())
        })
    }

    fn delete_entries(&self, positions: Range<LogPosition>) -> Answer<'_, ()> {
        self.request(move |state| {
            state
                .log
                .retain(|position, _| !positions.contains(&LogPosition(*position)));
            Ok(())
        })
    }

    fn log_len(&self) -> Answer<'_, u64> {
        self.request(|state| Ok(state.log.len() as u64))
    }

    fn prove_alive(&self) -> Answer<'_, ()> {
        self.request(|_| Ok(()))
    }

    fn timeout(&self) -> Duration {
        SESSION_TIMEOUT
    }

    fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    fn retry(&self) -> &Retry {
        &self.retry
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.server.end(self.id);
        async {}.boxed()
    }
}

/// Nodes are kept by the paths that they have in ZooKeeper, so that listings are the same.
fn layout() -> Layout {
    Layout::of("memory")
}

fn path(node: &Node) -> String {
    layout().node(node)
}
