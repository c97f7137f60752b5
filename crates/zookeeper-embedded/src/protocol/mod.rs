//! The records of the client protocol: what arrives, what is answered, and their numbers.

pub(crate) mod acl;
pub(crate) mod connect;
pub(crate) mod error_code;
pub(crate) mod event;
pub(crate) mod op_code;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod stat;

pub(crate) use acl::{Acl, Identity};
pub(crate) use connect::{ConnectRequest, ConnectResponse};
pub(crate) use error_code::ErrorCode;
pub(crate) use event::{EventKind, Notification};
pub(crate) use request::{Create, CreateReply, Read, Request, RequestHeader, WatchPaths, Write};
pub(crate) use response::{Reply, Response};
pub(crate) use stat::Stat;

/// One TCP connection, numbered in the order of acceptance. Watches belong to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);
