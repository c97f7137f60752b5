//! Requests as values that the state machine understands.

use super::{Acl, Payload};

/// What a client may ask for once it has a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Ping,
    Write(Write),
    Multi(Vec<Write>),
    Read(Read),
    MultiRead(Vec<Read>),
    Watch(WatchRequest),
    Auth {
        scheme: String,
        credentials: Vec<u8>,
    },
    Reconfigure,
    CloseSession,
    Unknown,
}

/// An operation that changes the tree, or fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Create(Create),
    Delete {
        path: String,
        version: i32,
    },
    SetData {
        path: String,
        data: Payload,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: i32,
    },
    Check {
        path: String,
        version: i32,
    },
}

/// A new node. The flags are judged by the state machine, because a wrong one is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) path: String,
    pub(crate) data: Payload,
    pub(crate) acl: Vec<Acl>,
    pub(crate) flags: i32,
    pub(crate) ttl_ms: Option<i64>,
    pub(crate) reply: CreateReply,
}

/// The first version of `create` answers without statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateReply {
    Path,
    PathAndStat,
}

/// An operation that changes nothing but perhaps leaves a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Exists { path: String, watch: bool },
    GetData { path: String, watch: bool },
    GetChildren { path: String, watch: bool },
    GetChildrenAndStat { path: String, watch: bool },
    GetAcl { path: String },
    GetEphemerals { prefix: String },
    CountDescendants { path: String },
    WhoAmI,
    Sync { path: String },
}

/// A request about watches themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WatchRequest {
    /// Restores watches on a new connection; `relative_zxid` is the last change the client saw.
    Set {
        relative_zxid: i64,
        paths: WatchPaths,
    },
    /// Mode 0 is persistent, mode 1 recursive as well.
    Add {
        path: String,
        mode: i32,
    },
    Check {
        path: String,
        kind: i32,
    },
    Remove {
        path: String,
        kind: i32,
    },
}

/// The watches that a returning client wants to have again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchPaths {
    pub(crate) data: Vec<String>,
    pub(crate) exists: Vec<String>,
    pub(crate) children: Vec<String>,
    pub(crate) persistent: Vec<String>,
    pub(crate) recursive: Vec<String>,
}

/// The head of every request after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    pub(crate) xid: i32,
    pub(crate) op: i32,
}

impl Write {
    /// How the client wants to hear of a creation; of no meaning for other writes.
    pub(crate) fn create_reply(&self) -> CreateReply {
        match self {
            Self::Create(create) => create.reply,
            _ => CreateReply::Path,
        }
    }
}
