//! What the acking daemon is told. Acks themselves reach it through its transport inbox.

use crate::ids::PeerId;
use actix::Message;

/// The peer to its acking daemon: this source is gone, and what it had pending with it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ForgetSource(pub PeerId);
