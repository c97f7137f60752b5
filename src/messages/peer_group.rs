//! What the peer group is told.

use crate::clock::Millis;
use crate::coordination::collection::Collected;
use crate::coordination::{CoordinationError, SessionState};
use crate::ids::{GroupId, LogPosition, PeerId};
use crate::log::commands::Command;
use crate::messages::outbox::WriteFailed;
use crate::messages::supervision::Child;
use actix::Message;

/// A client to the group: append this command.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogPosition, WriteFailed>")]
pub struct Append(pub Command);

/// A client to the group: collect the log. Answers none when another collector has come further.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Option<Collected>, CollectFailed>")]
pub struct CollectLog;

/// Why the log was not collected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectFailed {
    /// The entry that begins it was not written.
    #[error(transparent)]
    Write(#[from] WriteFailed),
    /// The origin was not stored, or not everything before it was deleted. The next collection makes
    /// up for that.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
}

/// The node to the group: start so many more virtual peers.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StartPeers(pub usize);

/// The node to the group: stop a virtual peer, which leaves the cluster. Answers whether it was
/// one of ours.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct StopPeer(pub PeerId);

/// A peer to its group: nobody can let me in; are those who should alive?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct LookForGhosts;

/// The node to the group: refuse to start anything from now on; a stop follows.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopRestarts;

/// A test to the group: make a child of the peer with this index panic.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct CrashChild {
    /// Which of the group's peers.
    pub peer_index: usize,
    /// Which of its actors.
    pub child: Child,
}

/// Anybody to the group: how is it going, in figures?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "GroupStatus")]
pub struct Status;

/// How a group is doing.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Which group.
    pub group: GroupId,
    /// How many peers should live here.
    pub peers_wanted: usize,
    /// How many of them are members.
    pub peers_joined: usize,
    /// Those that live.
    pub peers: Vec<PeerId>,
    /// The last entry applied.
    pub position: Option<LogPosition>,
    /// How many entries the slowest peer is behind.
    pub lag_entries: u64,
    /// The session.
    pub session: SessionState,
    /// The transport, or what is wrong with it.
    pub transport: Result<(), String>,
    /// What arrived and was not taken by the transport, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// How often the session was opened again.
    pub session_restarts: u64,
    /// How often its connection was lost and made again in time.
    pub session_reconnects: u64,
    /// Tasks that were abandoned and have not returned from user code.
    pub abandoned_tasks: usize,
    /// Why that are too many, if so.
    pub exhaustion: Option<String>,
    /// How often peers were started again, by reason.
    pub peer_restarts: Vec<(&'static str, u64)>,
    /// The present time of the node's clock.
    pub now: Millis,
}
