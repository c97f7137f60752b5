//! Transactions as bytes, for the log.

use std::sync::Arc;

use super::node::Owner;
use super::transaction::{Change, Stamp, Transaction};
use crate::jute::{Decoder, Encoder, Garbled};
use crate::protocol::connect::Password;
use crate::protocol::{Acl, Payload};

/// Numbers of the kinds of change. They are on disk: none is ever given another meaning.
mod kind {
    pub(super) const OPEN_SESSION: i32 = 1;
    pub(super) const CLOSE_SESSION: i32 = 2;
    pub(super) const CREATE: i32 = 3;
    pub(super) const DELETE: i32 = 4;
    pub(super) const SET_DATA: i32 = 5;
    pub(super) const SET_ACL: i32 = 6;
    pub(super) const CHECK: i32 = 7;
}

impl Transaction {
    /// Appends the transaction behind its length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Encoder::frame(out, |encoder| {
            encode_stamp(encoder, self.stamp);
            encoder.vector(&self.changes, encode_change);
        });
    }

    /// Takes a transaction from the front.
    pub(crate) fn decode(bytes: &mut Decoder<'_>) -> Result<Self, Garbled> {
        let mut fields = Decoder::new(bytes.buffer()?);
        Ok(Self {
            stamp: decode_stamp(&mut fields)?,
            changes: fields.vector(decode_change)?,
        })
    }
}

fn encode_change(encoder: &mut Encoder<'_>, change: &Change) {
    match change {
        Change::OpenSession {
            session,
            timeout,
            password,
        } => {
            encoder.int(kind::OPEN_SESSION);
            encoder.long(*session);
            encoder.long(*timeout);
            encoder.buffer(password);
        }
        Change::CloseSession { session } => {
            encoder.int(kind::CLOSE_SESSION);
            encoder.long(*session);
        }
        Change::Create {
            path,
            data,
            acl,
            owner,
        } => {
            encoder.int(kind::CREATE);
            encoder.string(path);
            data.encode(encoder);
            encode_acl(encoder, acl);
            encode_owner(encoder, *owner);
        }
        Change::Delete { path } => {
            encoder.int(kind::DELETE);
            encoder.string(path);
        }
        Change::SetData { path, data } => {
            encoder.int(kind::SET_DATA);
            encoder.string(path);
            data.encode(encoder);
        }
        Change::SetAcl { path, acl } => {
            encoder.int(kind::SET_ACL);
            encoder.string(path);
            encode_acl(encoder, acl);
        }
        Change::Check { path } => {
            encoder.int(kind::CHECK);
            encoder.string(path);
        }
    }
}

fn decode_change(bytes: &mut Decoder<'_>) -> Result<Change, Garbled> {
    Ok(match bytes.int()? {
        kind::OPEN_SESSION => Change::OpenSession {
            session: bytes.long()?,
            timeout: bytes.long()?,
            password: decode_password(bytes)?,
        },
        kind::CLOSE_SESSION => Change::CloseSession {
            session: bytes.long()?,
        },
        kind::CREATE => Change::Create {
            path: bytes.string()?.to_owned(),
            data: Payload::decode(bytes)?,
            acl: decode_acl(bytes)?,
            owner: decode_owner(bytes)?,
        },
        kind::DELETE => Change::Delete {
            path: bytes.string()?.to_owned(),
        },
        kind::SET_DATA => Change::SetData {
            path: bytes.string()?.to_owned(),
            data: Payload::decode(bytes)?,
        },
        kind::SET_ACL => Change::SetAcl {
            path: bytes.string()?.to_owned(),
            acl: decode_acl(bytes)?,
        },
        kind::CHECK => Change::Check {
            path: bytes.string()?.to_owned(),
        },
        other => return Err(Garbled::Kind(other)),
    })
}

pub(super) fn encode_stamp(encoder: &mut Encoder<'_>, stamp: Stamp) {
    encoder.long(stamp.zxid);
    encoder.long(stamp.time);
}

pub(super) fn decode_stamp(bytes: &mut Decoder<'_>) -> Result<Stamp, Garbled> {
    Ok(Stamp {
        zxid: bytes.long()?,
        time: bytes.long()?,
    })
}

pub(super) fn encode_acl(encoder: &mut Encoder<'_>, acl: &[Acl]) {
    encoder.vector(acl, |encoder, entry| entry.encode(encoder));
}

pub(super) fn decode_acl(bytes: &mut Decoder<'_>) -> Result<Arc<[Acl]>, Garbled> {
    bytes.vector(Acl::decode).map(Arc::from)
}

pub(super) fn encode_owner(encoder: &mut Encoder<'_>, owner: Owner) {
    let (kind, value) = match owner {
        Owner::Nobody => (0, 0),
        Owner::Session(session) => (1, session),
        Owner::Container => (2, 0),
        Owner::TimeToLive(ttl) => (3, ttl),
    };
    encoder.int(kind);
    encoder.long(value);
}

pub(super) fn decode_owner(bytes: &mut Decoder<'_>) -> Result<Owner, Garbled> {
    match (bytes.int()?, bytes.long()?) {
        (0, _) => Ok(Owner::Nobody),
        (1, session) => Ok(Owner::Session(session)),
        (2, _) => Ok(Owner::Container),
        (3, ttl) => Ok(Owner::TimeToLive(ttl)),
        (other, _) => Err(Garbled::Kind(other)),
    }
}

pub(super) fn decode_password(bytes: &mut Decoder<'_>) -> Result<Password, Garbled> {
    bytes.buffer()?.try_into().map_err(|_| Garbled::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind_of_change() -> Vec<Change> {
        let path = || "/ä/b".to_owned();
        let owners = [
            Owner::Nobody,
            Owner::Session(7),
            Owner::Container,
            Owner::TimeToLive(9),
        ];
        let acl: Arc<[Acl]> = Arc::from([Acl::anyone()]);
        let creates = owners.map(|owner| Change::Create {
            path: path(),
            data: Payload::from(b"data".as_slice()),
            acl: acl.clone(),
            owner,
        });
        let mut changes = Vec::from(creates);
        changes.extend([
            Change::OpenSession {
                session: 1,
                timeout: 2,
                password: [3; 16],
            },
            Change::CloseSession { session: 1 },
            Change::Delete { path: path() },
            Change::SetData {
                path: path(),
                data: Payload::default(),
            },
            Change::SetAcl { path: path(), acl },
            Change::Check { path: path() },
        ]);
        changes
    }

    #[test]
    fn every_change_survives_the_round_trip() {
        let stamp = Stamp { zxid: 1, time: -2 };
        let changes = every_kind_of_change();
        let transaction = Transaction { stamp, changes };
        let mut bytes = Vec::new();
        transaction.encode(&mut bytes);
        transaction.encode(&mut bytes);
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(Transaction::decode(&mut decoder), Ok(transaction.clone()));
        assert_eq!(Transaction::decode(&mut decoder), Ok(transaction));
        assert!(decoder.is_empty());
    }

    #[test]
    fn no_prefix_of_a_transaction_is_one() {
        let stamp = Stamp { zxid: 1, time: 2 };
        let changes = every_kind_of_change();
        let mut bytes = Vec::new();
        Transaction { stamp, changes }.encode(&mut bytes);
        for end in 0..bytes.len() {
            let prefix = Transaction::decode(&mut Decoder::new(&bytes[..end]));
            assert_eq!(prefix, Err(Garbled::Truncated));
        }
    }
}
