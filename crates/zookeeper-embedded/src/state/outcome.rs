//! What the state machine decides: values that the connections carry out.

use crate::protocol::{ConnectResponse, ConnectionId, ErrorCode, Notification, Response};

/// How a handshake ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Connected {
    /// The client has seen a future that this server does not know; it must look elsewhere.
    Ahead,
    /// No such session, or not with this password.
    Expired,
    Attached(Attached),
}

/// A connection that holds a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) response: ConnectResponse,
    /// The connection that held the session before, and must be closed now.
    pub(crate) displaced: Option<ConnectionId>,
}

/// The answer to a request and what it causes elsewhere.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) result: Result<Response, ErrorCode>,
    pub(crate) zxid: i64,
    /// To be delivered before the answer.
    pub(crate) notifications: Vec<Notification>,
    pub(crate) fate: Fate,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    /// It stays, and has proved all that the server asks for.
    Settles,
    Ends,
}

/// What happens without a request.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) notifications: Vec<Notification>,
    pub(crate) closed: Vec<ConnectionId>,
}

/// Numbers for people and monitoring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) sessions: usize,
    pub(crate) nodes: usize,
    pub(crate) ephemerals: usize,
    pub(crate) watches: usize,
    pub(crate) zxid: i64,
}

impl Effects {
    pub(crate) fn extend(&mut self, other: Self) {
        self.notifications.extend(other.notifications);
        self.closed.extend(other.closed);
    }
}
