//! Answers, and how they look on the wire.

use std::sync::Arc;

use super::op_code as op;
use super::{Acl, ErrorCode, Identity, Payload, Stat};
use crate::jute::Encoder;

/// The body of a successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// Nothing but the header.
    Empty,
    /// `addWatch` answers with a zero; the Java client insists on it.
    WatchAdded,
    Path(String),
    Created {
        path: String,
        stat: Stat,
    },
    Stat(Stat),
    Data {
        data: Payload,
        stat: Stat,
    },
    Children(Vec<String>),
    ChildrenAndStat {
        children: Vec<String>,
        stat: Stat,
    },
    Acl {
        acl: Arc<[Acl]>,
        stat: Stat,
    },
    Ephemerals(Vec<String>),
    Count(i32),
    Identities(Vec<Identity>),
    /// The results of a multi request or a multi read, in the order of its operations.
    Multi(Vec<Part>),
}

/// The result of one operation inside a multi request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) op: i32,
    pub(crate) result: PartResult,
}

/// Failed multi requests report "no error" for the operations before the failing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PartResult {
    Done(Response),
    RolledBack,
    Failed(ErrorCode),
}

/// A complete answer: header and, unless it is an error, a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) result: Result<Response, ErrorCode>,
}

impl Reply {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Encoder::frame(out, |encoder| {
            encoder.int(self.xid);
            encoder.long(self.zxid);
            match &self.result {
                Ok(response) => {
                    encoder.int(0);
                    response.encode(encoder);
                }
                Err(code) => encoder.int(code.number()),
            }
        });
    }
}

impl Response {
    fn encode(&self, encoder: &mut Encoder<'_>) {
        match self {
            Self::Empty => {}
            Self::WatchAdded => encoder.int(0),
            Self::Path(path) => encoder.string(path),
            Self::Created { path, stat } => {
                encoder.string(path);
                stat.encode(encoder);
            }
            Self::Stat(stat) => stat.encode(encoder),
            Self::Data { data, stat } => {
                data.encode(encoder);
                stat.encode(encoder);
            }
            Self::Children(children) | Self::Ephemerals(children) => encoder.strings(children),
            Self::ChildrenAndStat { children, stat } => {
                encoder.strings(children);
                stat.encode(encoder);
            }
            Self::Acl { acl, stat } => {
                encoder.vector(acl, |encoder, entry| entry.encode(encoder));
                stat.encode(encoder);
            }
            Self::Count(count) => encoder.int(*count),
            Self::Identities(identities) => encoder.vector(identities, |encoder, identity| {
                encoder.string(&identity.scheme);
                encoder.string(identity.user());
            }),
            Self::Multi(parts) => {
                parts.iter().for_each(|part| part.encode(encoder));
                part_header(encoder, op::ERROR, true, -1);
            }
        }
    }

    /// Roughly how many bytes of payload the body carries, for limits.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Data { data, .. } => data.len(),
            Self::Children(children) => children.iter().map(|name| 4 + name.len()).sum(),
            _ => 0,
        }
    }
}

impl Part {
    pub(crate) fn into_response(self) -> Option<Response> {
        match self.result {
            PartResult::Done(response) => Some(response),
            PartResult::RolledBack | PartResult::Failed(_) => None,
        }
    }

    fn encode(&self, encoder: &mut Encoder<'_>) {
        let code = match &self.result {
            PartResult::Done(response) => {
                part_header(encoder, self.op, false, 0);
                return response.encode(encoder);
            }
            PartResult::RolledBack => 0,
            PartResult::Failed(code) => code.number(),
        };
        part_header(encoder, op::ERROR, false, code);
        encoder.int(code);
    }
}

fn part_header(encoder: &mut Encoder<'_>, op: i32, done: bool, error: i32) {
    encoder.int(op);
    encoder.bool(done);
    encoder.int(error);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(result: Result<Response, ErrorCode>) -> Vec<u8> {
        let mut out = Vec::new();
        Reply {
            xid: 1,
            zxid: 2,
            result,
        }
        .encode(&mut out);
        out
    }

    #[test]
    fn an_error_is_a_header_without_a_body() {
        let expected = b"\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\x02\xff\xff\xff\x9b";
        assert_eq!(encoded(Err(ErrorCode::NoNode)), expected);
    }

    #[test]
    fn parts_of_a_failed_multi_carry_their_code_twice() {
        let failed = Part {
            op: op::CREATE2,
            result: PartResult::Failed(ErrorCode::NodeExists),
        };
        let bytes = encoded(Ok(Response::Multi(vec![failed])));
        let parts = &bytes[20..];
        let expected = b"\xff\xff\xff\xff\0\xff\xff\xff\x92\xff\xff\xff\x92\
            \xff\xff\xff\xff\x01\xff\xff\xff\xff";
        assert_eq!(parts, expected);
    }
}
