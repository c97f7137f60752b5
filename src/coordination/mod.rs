//! Coordination: the log, the pulses and the nodes beside them, as one session sees them.
//!
//! Two implementations stand behind [`Coordination`]: [`zookeeper`], which every running node uses,
//! and [`memory`], for tests in virtual time. One contract suite runs against both.

mod blob;
pub mod collection;
mod job_data;
mod layout;
mod lease;
pub mod local_secret;
pub mod memory;
pub mod origin;
mod retry;
pub mod tail;
pub mod zookeeper;

pub use blob::{append_entry, read_blob, read_entries, write_blob};
pub use job_data::{delete_job, read_job, write_job};
pub use layout::{Folder, Layout, Node, Owner};
pub use lease::SessionLease;
pub(crate) use retry::connected;
pub use retry::{Attempts, Retry, patiently, reconnected};

use crate::ids::{LogPosition, PeerId};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;

/// The answer to a request.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, CoordinationError>>;

/// One session of one process. Requests of one session take effect in the order of the calls. What
/// another session has written is seen in the order in which it was written, and may be seen a moment
/// later.
pub trait Coordination: Send + Sync {
    /// Appends an entry to the log and says where it stands.
    fn append(&self, payload: Vec<u8>) -> Answer<'_, LogPosition>;

    /// The entries from a position on, at most `max`, without a gap. Empty when there is none yet. A
    /// position before them that was skipped, and so will never have an entry, or whose entry was
    /// deleted, has an empty one: the [`origin`] tells the two apart.
    fn read(&self, from: LogPosition, max: usize) -> Answer<'_, Vec<Vec<u8>>>;

    /// Answers when the entry at a position is there. May answer early; look, then ask again.
    fn wait_for(&self, position: LogPosition) -> Answer<'_, ()>;

    /// Creates the pulse of a peer: a node that goes away with the session.
    fn create_pulse(&self, peer: PeerId) -> Answer<'_, ()>;

    /// Deletes the pulse of a peer; none is fine.
    fn delete_pulse(&self, peer: PeerId) -> Answer<'_, ()>;

    /// Every pulse that there is. One of a peer whose join this session has read is among them, unless
    /// it has gone since.
    fn pulses(&self) -> Answer<'_, BTreeSet<PeerId>>;

    /// Places a watch on the pulse of a peer. Answers once the watch is in place; what it answers
    /// tells whether the pulse is there, and when it has gone.
    fn watch_pulse(&self, peer: PeerId) -> Answer<'_, Pulse>;

    /// Writes a node.
    fn put(&self, node: Node, data: Vec<u8>, put: Put) -> Answer<'_, Written>;

    /// Reads a node; none when it is not there.
    fn get(&self, node: Node) -> Answer<'_, Option<Vec<u8>>>;

    /// Reads a node, and which revision of it that is.
    fn get_revised(&self, node: Node) -> Answer<'_, Option<(Vec<u8>, Revision)>>;

    /// Writes a node if it is still at a revision, or still absent, and keeps it otherwise.
    fn replace(&self, node: Node, data: Vec<u8>, seen: Option<Revision>) -> Answer<'_, Written>;

    /// Deletes nodes; missing ones are fine.
    fn delete(&self, nodes: Vec<Node>) -> Answer<'_, ()>;

    /// The names of the nodes in a place, in no order.
    fn list(&self, folder: Folder) -> Answer<'_, Vec<String>>;

    /// Deletes the entries of a range of positions; missing ones are fine. Positions are not used
    /// again.
    fn delete_entries(&self, positions: Range<LogPosition>) -> Answer<'_, ()>;

    /// How many entries the log has.
    fn log_len(&self) -> Answer<'_, u64>;

    /// Answers when the service as a whole knows of this session still, for it has heard of it after
    /// the question was asked. What others had written by then is seen from now on.
    fn prove_alive(&self) -> Answer<'_, ()>;

    /// How long the service keeps the session after it has last heard of it.
    fn timeout(&self) -> Duration;

    /// The state of the session, and its changes.
    fn state(&self) -> watch::Receiver<SessionState>;

    /// How requests that were cut short are repeated.
    fn retry(&self) -> &Retry;

    /// Ends the session: its pulses go at once.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a watch on a pulse found.
pub enum Pulse {
    /// There is none: the peer is dead.
    Absent,
    /// It is there. The future answers `Ok` when it has gone, which is a death, or an error, which
    /// is none: then watch again.
    Present(BoxFuture<'static, Result<(), CoordinationError>>),
}

/// A revision of a node: what it was when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(i32);

/// How to write a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Only when it is not there yet.
    IfAbsent,
    /// Whether it is there or not.
    Always,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Yes,
    /// The node was there already and was kept.
    KeptExisting,
}

/// Whether the session can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Requests are answered.
    Connected,
    /// The connection is lost; the session may survive.
    Disconnected,
    /// The session is over, and with it every pulse it had. A new one is needed.
    Expired,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinationError {
    /// The connection broke before the answer. A write may or may not have happened: write it again
    /// where that is safe, never conclude anything.
    #[error("the connection to coordination was interrupted ({0}); the outcome is unknown")]
    Interrupted(String),
    /// The session is over.
    #[error("the coordination session is over")]
    Expired,
    /// The data does not fit into a node. Nothing was sent.
    #[error("{what} has {bytes} bytes, and a node holds at most {limit}")]
    TooLarge {
        /// What was to be written.
        what: String,
        /// Its size.
        bytes: usize,
        /// The most that fits.
        limit: usize,
    },
    /// The server refused, for the reason given.
    #[error("coordination refused {what}: {reason}")]
    Refused {
        /// The request.
        what: String,
        /// Why.
        reason: String,
    },
    /// The origin of the log is of another format, or damaged.
    #[error("the origin of the log cannot be used: {0}")]
    OriginUnusable(String),
    /// The log does not reach as far as it once did: its data is lost.
    #[error("the log no longer has entry {0}, which was applied here: coordination lost its data")]
    LogLost(LogPosition),
    /// No session could be opened.
    #[error("cannot reach coordination at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// An option does not fit this machine or these servers. Trying again does not help.
    #[error("{option}: {reason}")]
    Misconfigured {
        /// The option, as `coordination.connect`.
        option: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// The most bytes that are written into one node. ZooKeeper refuses a whole request beyond
/// 1,048,575 bytes by dropping the connection with everything in flight, so that the check comes
/// before sending.
pub const NODE_BYTES_MAX: usize = 1_000_000;

fn refused(what: &str, reason: impl fmt::Display) -> CoordinationError {
    CoordinationError::Refused {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

fn check_size(what: &str, data: &[u8]) -> Result<(), CoordinationError> {
    if data.len() <= NODE_BYTES_MAX {
        return Ok(());
    }
    Err(CoordinationError::TooLarge {
        what: what.to_owned(),
        bytes: data.len(),
        limit: NODE_BYTES_MAX,
    })
}
