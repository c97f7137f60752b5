//! How requests look on the wire.

use super::op_code as op;
use super::{
    Acl, Create, CreateReply, Payload, Read, Request, RequestHeader, WatchPaths, WatchRequest,
    Write,
};
use crate::jute::{Decoder, Garbled};

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
        if let Some(watch) = WatchRequest::decode(op, body)? {
            return Ok(Self::Watch(watch));
        }
        Ok(match op {
            op::PING => Self::Ping,
            op::MULTI => Self::Multi(decode_multi(body, Write::decode_in_multi)?),
            op::MULTI_READ => Self::MultiRead(decode_multi(body, Read::decode_in_multi)?),
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
                data: Payload::decode(body)?,
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
            data: Payload::decode(body)?,
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

impl WatchRequest {
    fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Option<Self>, Garbled> {
        Ok(Some(match op {
            op::SET_WATCHES | op::SET_WATCHES2 => Self::Set {
                relative_zxid: body.long()?,
                paths: WatchPaths::decode(op, body)?,
            },
            op::ADD_WATCH => Self::Add {
                path: path(body)?,
                mode: body.int()?,
            },
            op::CHECK_WATCHES => Self::Check {
                path: path(body)?,
                kind: body.int()?,
            },
            op::REMOVE_WATCHES => Self::Remove {
                path: path(body)?,
                kind: body.int()?,
            },
            _ => return Ok(None),
        }))
    }
}

impl WatchPaths {
    fn decode(op: i32, body: &mut Decoder<'_>) -> Result<Self, Garbled> {
        let (data, exists, children) = (body.strings()?, body.strings()?, body.strings()?);
        let (persistent, recursive) = match op {
            op::SET_WATCHES2 => (body.strings()?, body.strings()?),
            _ => (Vec::new(), Vec::new()),
        };
        Ok(Self {
            data,
            exists,
            children,
            persistent,
            recursive,
        })
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

fn path(body: &mut Decoder<'_>) -> Result<String, Garbled> {
    body.string().map(str::to_owned)
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

    #[test]
    fn random_bytes_never_panic() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..20_000 {
            let length = random() % 64;
            // Mostly small numbers, so that lengths are often plausible.
            let byte = |bits: u64| {
                if bits.is_multiple_of(4) {
                    bits.to_le_bytes()[1]
                } else {
                    0
                }
            };
            let bytes: Vec<u8> = (0..length).map(|_| byte(random())).collect();
            for op in -11..108 {
                let _ = decode(op, &bytes);
            }
        }
    }
}
