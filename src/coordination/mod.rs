//! Coordination: the log, the pulses and the nodes beside them, as one session sees them.
//!
//! Two implementations stand behind [`Coordination`]: [`zookeeper`], which every running node uses,
//! and [`memory`], for tests in virtual time. One contract suite runs against both.

mod job_data;
mod layout;
pub mod memory;
mod retry;
pub mod zookeeper;

pub use job_data::{read_job, write_job};
pub use layout::{Layout, Node};
pub use retry::{Attempts, Retry, patiently, reconnected};

use crate::ids::{LogPosition, PeerId};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// The answer to a request.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, CoordinationError>>;

/// One session of one process. Requests of one session take effect in the order of the calls.
pub trait Coordination: Send + Sync {
    /// Appends an entry to the log and says where it stands.
    fn append(&self, payload: Vec<u8>) -> Answer<'_, LogPosition>;

    /// The entries from a position on, at most `max`, without a gap. Empty when there is none yet. A
    /// position that was skipped, and so will never have an entry, has an empty one.
    fn read(&self, from: LogPosition, max: usize) -> Answer<'_, Vec<Vec<u8>>>;

    /// Answers when the entry at a position is there. May answer early; look, then ask again.
    fn wait_for(&self, position: LogPosition) -> Answer<'_, ()>;

    /// Creates the pulse of a peer: a node that goes away with the session.
    fn create_pulse(&self, peer: PeerId) -> Answer<'_, ()>;

    /// Deletes the pulse of a peer; none is fine.
    fn delete_pulse(&self, peer: PeerId) -> Answer<'_, ()>;

    /// Places a watch on the pulse of a peer. Answers once the watch is in place; what it answers
    /// tells whether the pulse is there, and when it has gone.
    fn watch_pulse(&self, peer: PeerId) -> Answer<'_, Pulse>;

    /// Writes a node.
    fn put(&self, node: Node, data: Vec<u8>, put: Put) -> Answer<'_, Written>;

    /// Reads a node; none when it is not there.
    fn get(&self, node: Node) -> Answer<'_, Option<Vec<u8>>>;

    /// Takes a node for as long as the session lives, unless another session has it.
    fn claim(&self, node: Node) -> Answer<'_, Claim>;

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

/// Whose a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This session's, until it ends.
    Mine,
    /// Another session's.
    Taken,
}

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
}

/// The most bytes that are written into one node. ZooKeeper refuses a whole request beyond
/// 1,048,575 bytes by dropping the connection with everything in flight, so that the check comes
/// before sending.
pub const NODE_BYTES_MAX: usize = 1_000_000;

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
