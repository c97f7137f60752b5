//! The records of the client protocol: what arrives, what is answered, and their numbers.

mod acl;
pub(crate) mod connect;
mod decode;
mod error_code;
mod event;
pub(crate) mod op_code;
mod payload;
mod request;
pub(crate) mod response;
mod stat;

pub(crate) use acl::{Acl, Identity};
pub(crate) use connect::{ConnectRequest, ConnectResponse};
pub(crate) use error_code::ErrorCode;
pub(crate) use event::{EventKind, Notification};
pub(crate) use payload::Payload;
pub(crate) use request::{
    Create, CreateReply, Read, Request, RequestHeader, WatchPaths, WatchRequest, Write,
};
pub(crate) use response::{Reply, Response};
pub(crate) use stat::Stat;

/// One TCP connection, numbered in the order of acceptance. Watches belong to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);
