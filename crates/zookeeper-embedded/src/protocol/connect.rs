//! The handshake that opens a session or re-attaches to one.

use crate::jute::{Decoder, Encoder, Garbled};

/// The secret that proves ownership of a session.
pub(crate) type Password = [u8; 16];

/// The first record on every connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectRequest {
    pub(crate) last_zxid_seen: i64,
    pub(crate) timeout_ms: i32,
    /// Zero asks for a new session.
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    pub(crate) dialect: Dialect,
}

/// Clients older than ZooKeeper 3.4 neither send nor expect the read-only flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    WithReadOnlyFlag,
    Old,
}

impl ConnectRequest {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut decoder = Decoder::new(bytes);
        let _protocol_version = decoder.int()?;
        let last_zxid_seen = decoder.long()?;
        let timeout_ms = decoder.int()?;
        let session = decoder.long()?;
        let password = decoder.buffer()?.to_vec();
        let dialect = match decoder.is_empty() {
            true => Dialect::Old,
            false => Dialect::WithReadOnlyFlag,
        };
        Ok(Self {
            last_zxid_seen,
            timeout_ms,
            session,
            password,
            dialect,
        })
    }
}

/// The answer to a [`ConnectRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectResponse {
    pub(crate) timeout_ms: i32,
    pub(crate) session: i64,
    pub(crate) password: Password,
}

impl ConnectResponse {
    /// Session zero: the session asked for does not exist any more, or the password is wrong.
    pub(crate) const EXPIRED: Self = Self {
        timeout_ms: 0,
        session: 0,
        password: [0; 16],
    };

    pub(crate) fn encode(&self, dialect: Dialect, out: &mut Vec<u8>) {
        Encoder::frame(out, |encoder| {
            encoder.int(0);
            encoder.int(self.timeout_ms);
            encoder.long(self.session);
            encoder.buffer(&self.password);
            if dialect == Dialect::WithReadOnlyFlag {
                encoder.bool(false);
            }
        });
    }
}
