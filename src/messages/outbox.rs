//! What the outbox is told.

use crate::coordination::CoordinationError;
use crate::ids::LogPosition;
use crate::log::commands::Command;
use crate::nearest::counted;
use actix::Message;

/// The peer, or the group, to its outbox: write this to the log after what you were given before.
/// Answered at once; a full outbox refuses, and then nothing will be written.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), OutboxFull>")]
pub struct WriteEntry {
    /// What to write.
    pub command: Command,
    /// The entry it reacts to.
    pub entry_parent: Option<LogPosition>,
}

/// The outbox has reached its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is full: {} to be written", counted(*.capacity as u64, "entry waits", "entries wait"))]
pub struct OutboxFull {
    /// How many it holds.
    pub capacity: usize,
}

/// A client, through the group, to the outbox: write this and tell me where it stands in the log.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<LogPosition, WriteFailed>")]
pub struct WriteAndConfirm(pub Command);

/// Why an entry was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailed {
    /// There was no room. Nothing of it is in the log.
    #[error(transparent)]
    Full(#[from] OutboxFull),
    /// Coordination refused it. Nothing of it is in the log.
    #[error(transparent)]
    Refused(#[from] CoordinationError),
    /// The outbox ended first. The entry may be in the log or not.
    #[error("the outbox ended before it confirmed the entry, which may be in the log or not")]
    Ended,
}

/// The peer to its outbox: what may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum SetGate {
    /// Joining: only the join commands and leaves pass, everything else waits in order.
    Pause,
    /// Everything passes.
    Resume,
}
