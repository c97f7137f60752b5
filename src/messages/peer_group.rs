//! What the peer group is told.

use crate::ids::PeerId;
use crate::messages::outbox::WriteFailed;
use crate::messages::supervision::Child;
use crate::ids::LogPosition;
use crate::log::commands::Command;
use actix::Message;

/// A client to the group: append this command.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogPosition, WriteFailed>")]
pub struct Append(pub Command);

/// The node to the group: start so many more virtual peers.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StartPeers(pub usize);

/// The node to the group: stop a virtual peer, which leaves the cluster. Answers whether it was
/// one of ours.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct StopPeer(pub PeerId);

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
