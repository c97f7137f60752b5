//! Counters and the figures that a running server shows.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a server has and has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Clients connected now, with or without a session.
    pub connections: usize,
    /// Live sessions, with or without a connection.
    pub sessions: usize,
    /// Nodes of the tree, the root and ZooKeeper's own ones included.
    pub nodes: usize,
    /// Nodes that end with their session.
    pub ephemerals: usize,
    /// Watches that are set.
    pub watches: usize,
    /// The number of the last transaction.
    pub zxid: i64,
    /// Requests received, pings included.
    pub requests: u64,
    /// Answers and notifications sent.
    pub sent: u64,
    /// Connections turned away because there were too many.
    pub refused_connections: u64,
    /// Connections closed because they opened no session, or did not log in, in time, or to make room
    /// for newer ones.
    pub closed_newcomers: u64,
    /// Connections ended because they did not speak the protocol or sent too large a request.
    pub garbled_connections: u64,
    /// Connections ended because the client did not read its notifications.
    pub overflowed_connections: u64,
    /// Groups of transactions that became durable together.
    pub log_syncs: u64,
    /// Snapshots made since the start.
    pub snapshots: u64,
    /// Snapshots that could not be made; the log goes on without them.
    pub failed_snapshots: u64,
}

/// Counts events from any task.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) sent: Counter,
    pub(crate) refused: Counter,
    pub(crate) newcomers: Counter,
    pub(crate) garbled: Counter,
    pub(crate) overflowed: Counter,
}
