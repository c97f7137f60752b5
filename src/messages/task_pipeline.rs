//! What a task pipeline is told.

use crate::log::wants::Assignment;
use actix::Message;

/// The peer to its pipeline: the same assignment, seen from a newer replica.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reassign(pub Assignment);

/// The peer to its pipeline: the peer has lost the slot. Finish the received batches, and end.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Leave(pub Assignment);

/// The peer to its pipeline: nobody waits for you any more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Abandon;
