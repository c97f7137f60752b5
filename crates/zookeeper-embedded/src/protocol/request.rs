//! Requests, decoded into values that the state machine understands.

use std::sync::Arc;

use super::Acl;
use super::op_code as op;
use crate::jute::{Decoder, Garbled};

/// What a client may ask for once it has a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Ping,
    Write(Write),
    Multi(Vec<Write>),
    Read(Read),
    MultiRead(Vec<Read>),
    SetWatches {
        relative_zxid: i64,
        paths: WatchPaths,
    },
    AddWatch {
        path: String,
        mode: i32,
    },
    CheckWatches {
        path: String,
        kind: i32,
    },
    RemoveWatches {
        path: String,
        kind: i32,
    },
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
        data: Arc<[u8]>,
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
    pub(crate) data: Arc<[u8]>,
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

impl RequestHeader {
    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Garbled> {
        Ok(Self {
            xid: decoder.int()?,
            op: decoder.int()?,
        })
    }
}

impl Request {
    /// Decodes the body that follows the header; bytes after the last field are ignored.
    pub(crate) fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Self, Garbled> {
        if let Some(write) = Write::decode(op, body)? {
            return Ok(Self::Write(write));
        }
        if let Some(read) = Read::decode(op, body)? {
            return Ok(Self::Read(read));
        }
        Ok(match op {
            op::PING => Self::Ping,
            op::MULTI => Self::Multi(decode_multi(body, Write::decode_in_multi)?),
            op::MULTI_READ => Self::MultiRead(decode_multi(body, Read::decode_in_multi)?),
            op::SET_WATCHES | op::SET_WATCHES2 => decode_set_watches(op, body)?,
            op::ADD_WATCH => Self::AddWatch {
                path: path(body)?,
                mode: body.int()?,
            },
            op::CHECK_WATCHES => Self::CheckWatches {
                path: path(body)?,
                kind: body.int()?,
            },
            op::REMOVE_WATCHES => Self::RemoveWatches {
                path: path(body)?,
                kind: body.int()?,
            },
            op::AUTH => {
                let _type = body.int()?;
                let scheme = body.string()?.to_owned();
                Self::Auth {
                    scheme,
                    credentials: body.buffer()?.to_vec(),
                }
            }
            op::RECONFIG => Self::Reconfigure,
            op::CLOSE_SESSION => Self::CloseSession,
            _ => Self::Unknown,
        })
    }
}

impl Write {
    /// How the client wants to hear of a creation; of no meaning for other writes.
    pub(crate) fn create_reply(&self) -> CreateReply {
        match self {
            Self::Create(create) => create.reply,
            _ => CreateReply::Path,
        }
    }

    fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Option<Self>, Garbled> {
        Ok(Some(match op {
            op::CREATE | op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
                Self::Create(Create::decode(op, body)?)
            }
            op::DELETE => Self::Delete {
                path: path(body)?,
                version: body.int()?,
            },
            op::SET_DATA => Self::SetData {
                path: path(body)?,
                data: data(body)?,
                version: body.int()?,
            },
            op::SET_ACL => Self::SetAcl {
                path: path(body)?,
                acl: body.vector(Acl::decode)?,
                version: body.int()?,
            },
            op::CHECK => Self::Check {
                path: path(body)?,
                version: body.int()?,
            },
            _ => return Ok(None),
        }))
    }

    /// Access control lists cannot be changed as a part of something else.
    fn decode_in_multi(op: i32, body: &mut Decoder<'_>) -> Result<Option<Self>, Garbled> {
        if op == op::SET_ACL {
            Ok(None)
        } else {
            Self::decode(op, body)
        }
    }
}

impl Create {
    fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Self, Garbled> {
        Ok(Self {
            path: path(body)?,
            data: data(body)?,
            acl: body.vector(Acl::decode)?,
            flags: body.int()?,
            ttl_ms: if op == op::CREATE_TTL {
                Some(body.long()?)
            } else {
                None
            },
            reply: if op == op::CREATE {
                CreateReply::Path
            } else {
                CreateReply::PathAndStat
            },
        })
    }
}

impl Read {
    fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Option<Self>, Garbled> {
        Ok(Some(match op {
            op::EXISTS => Self::Exists {
                path: path(body)?,
                watch: body.bool()?,
            },
            op::GET_DATA => Self::GetData {
                path: path(body)?,
                watch: body.bool()?,
            },
            op::GET_CHILDREN => Self::GetChildren {
                path: path(body)?,
                watch: body.bool()?,
            },
            op::GET_CHILDREN2 => Self::GetChildrenAndStat {
                path: path(body)?,
                watch: body.bool()?,
            },
            op::GET_ACL => Self::GetAcl { path: path(body)? },
            op::GET_EPHEMERALS => Self::GetEphemerals {
                prefix: path(body)?,
            },
            op::GET_ALL_CHILDREN_NUMBER => Self::CountDescendants { path: path(body)? },
            op::WHO_AM_I => Self::WhoAmI,
            op::SYNC => Self::Sync { path: path(body)? },
            _ => return Ok(None),
        }))
    }

    /// Only data and the names of children can be read in bulk.
    fn decode_in_multi(op: i32, body: &mut Decoder<'_>) -> Result<Option<Self>, Garbled> {
        match op {
            op::GET_DATA | op::GET_CHILDREN => Self::decode(op, body),
            _ => Ok(None),
        }
    }
}

/// The operations of a multi request, each behind its own header, up to the closing header.
fn decode_multi<T>(
    body: &mut Decoder<'_>,
    decode: impl Fn(i32, &mut Decoder<'_>) -> Result<Option<T>, Garbled>,
) -> Result<Vec<T>, Garbled> {
    let mut operations = Vec::new();
    loop {
        let op = body.int()?;
        let done = body.bool()?;
        let _error = body.int()?;
        if done {
            return Ok(operations);
        }
        operations.push(decode(op, body)?.ok_or(Garbled::MultiOperation(op))?);
    }
}

fn decode_set_watches(op: i32, body: &mut Decoder<'_>) -> Result<Request, Garbled> {
    let relative_zxid = body.long()?;
    let mut paths = WatchPaths {
        data: body.strings()?,
        exists: body.strings()?,
        children: body.strings()?,
        ..WatchPaths::default()
    };
    if op == op::SET_WATCHES2 {
        paths.persistent = body.strings()?;
        paths.recursive = body.strings()?;
    }
    Ok(Request::SetWatches {
        relative_zxid,
        paths,
    })
}

fn path(body: &mut Decoder<'_>) -> Result<String, Garbled> {
    body.string().map(str::to_owned)
}

fn data(body: &mut Decoder<'_>) -> Result<Arc<[u8]>, Garbled> {
    body.buffer().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(op: i32, bytes: &[u8]) -> Result<Request, Garbled> {
        Request::decode(op, &mut Decoder::new(bytes))
    }

    #[test]
    fn a_read_knows_its_path_and_watch() {
        let bytes = b"\0\0\0\x02/a\x01";
        let expected = Read::Exists {
            path: "/a".to_owned(),
            watch: true,
        };
        assert_eq!(decode(op::EXISTS, bytes), Ok(Request::Read(expected)));
    }

    #[test]
    fn an_unknown_operation_is_a_request_of_its_own() {
        assert_eq!(decode(4711, b""), Ok(Request::Unknown));
    }

    #[test]
    fn a_multi_request_needs_its_closing_header() {
        assert_eq!(decode(op::MULTI, b""), Err(Garbled::Truncated));
        let closed = [&[0xff; 4][..], &[1], &[0xff; 4]].concat();
        assert_eq!(decode(op::MULTI, &closed), Ok(Request::Multi(Vec::new())));
    }

    #[test]
    fn a_multi_request_cannot_be_nested() {
        let nested = [&op::MULTI.to_be_bytes()[..], &[0], &[0xff; 4]].concat();
        assert_eq!(
            decode(op::MULTI, &nested),
            Err(Garbled::MultiOperation(op::MULTI))
        );
        let exists = [&op::EXISTS.to_be_bytes()[..], &[0], &[0xff; 4]].concat();
        assert_eq!(
            decode(op::MULTI_READ, &exists),
            Err(Garbled::MultiOperation(op::EXISTS))
        );
    }

    #[test]
    fn no_prefix_of_a_request_panics() {
        let body =
            b"\0\0\0\x02/a\0\0\0\x01x\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\0";
        assert!(decode(op::CREATE2, body).is_ok());
        for end in 0..body.len() {
            assert_eq!(decode(op::CREATE2, &body[..end]), Err(Garbled::Truncated));
        }
    }
}
