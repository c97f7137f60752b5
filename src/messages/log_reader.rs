//! What the log reader is asked.

use crate::ids::LogPosition;
use crate::log::Step;
use crate::replica::Replica;
use actix::Message;
use std::sync::Arc;

/// The peer to its log reader: what comes next? Answered when there is something.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Next")]
pub struct NextStep;

/// What comes next for a peer.
#[derive(Clone, Debug, actix::MessageResponse)]
pub enum Next {
    /// The entry after the last one.
    Step(Arc<Step>),
    /// The newest replica: at the start, or when the reader fell behind what the group keeps.
    Jump(Snapshot),
    /// There will be no more: the group has ended.
    End,
}

/// A replica and the position it is as of.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The last entry applied; none before the first.
    pub position: Option<LogPosition>,
    /// The replica after it.
    pub replica: Arc<Replica>,
}
