//! Notifications of watches.

use std::sync::Arc;

use super::ConnectionId;
use super::op_code::NOTIFICATION_XID;
use crate::jute::Encoder;

/// What happened to the node that a watch was set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub(crate) enum EventKind {
    Created = 1,
    Deleted = 2,
    DataChanged = 3,
    ChildrenChanged = 4,
}

/// One event for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) connection: ConnectionId,
    pub(crate) kind: EventKind,
    pub(crate) path: Arc<str>,
    /// The transaction that caused it, or [`Notification::NO_ZXID`].
    pub(crate) zxid: i64,
}

impl Notification {
    /// For events that a returning client had missed: the transaction is not known any more.
    pub(crate) const NO_ZXID: i64 = -1;

    /// A client with an established session; other states are never sent by a server.
    const SYNC_CONNECTED: i32 = 3;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Encoder::frame(out, |encoder| {
            encoder.int(NOTIFICATION_XID);
            encoder.long(self.zxid);
            encoder.int(0);
            encoder.int(self.kind as i32);
            encoder.int(Self::SYNC_CONNECTED);
            encoder.string(&self.path);
        });
    }
}
