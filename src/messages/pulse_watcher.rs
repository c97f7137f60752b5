//! What the pulse watcher is told.

use crate::coordination::CoordinationError;
use crate::ids::PeerId;
use actix::Message;
use std::collections::BTreeSet;

/// The peer to its pulse watcher: show that I live. Answered when the pulse is there.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), CoordinationError>")]
pub struct CreatePulse;

/// The peer to its pulse watcher: watch exactly these. Answered when every watch is in place, or
/// its pulse has been found missing and was reported.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct KeepWatches(pub BTreeSet<PeerId>);
