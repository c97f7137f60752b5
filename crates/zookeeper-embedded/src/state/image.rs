//! The whole ledger as a sequence of pieces, for snapshots.

use std::collections::BTreeSet;

use super::Millis;
use super::ledger::Ledger;
use super::node::{History, Node};
use super::record::{
    decode_acl, decode_owner, decode_password, decode_stamp, encode_acl, encode_owner, encode_stamp,
};
use super::sessions::Sessions;
use super::tree::Tree;
use crate::jute::{Decoder, Encoder, Garbled};
use crate::protocol::Payload;
use crate::protocol::connect::Password;

/// A part of an image, borrowed from the ledger that it shows.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    Session {
        id: i64,
        timeout: Millis,
        password: Password,
    },
    Node {
        path: &'a str,
        node: &'a Node,
    },
    /// The last one; an image without it is not whole.
    Seal {
        zxid: i64,
        last_session: i64,
        nodes: i64,
    },
}

/// A ledger that is put together from its pieces.
#[derive(Debug)]
pub(crate) struct Assembly {
    tree: Tree,
    sessions: Sessions,
    sealed: Option<i64>,
}

/// Numbers of the kinds of piece. They are on disk: none is ever given another meaning.
mod kind {
    pub(super) const SESSION: i32 = 1;
    pub(super) const NODE: i32 = 2;
    pub(super) const SEAL: i32 = 3;
}

/// The pieces of a ledger, in the order in which an [`Assembly`] wants them.
pub(crate) fn pieces(ledger: &Ledger) -> impl Iterator<Item = Piece<'_>> {
    let sessions = ledger.sessions().all();
    let sessions = sessions.map(|(id, timeout, password)| Piece::Session {
        id,
        timeout,
        password,
    });
    let nodes = ledger.tree().nodes();
    let nodes = nodes.map(|(path, node)| Piece::Node { path, node });
    let seal = Piece::Seal {
        zxid: ledger.zxid(),
        last_session: ledger.sessions().last_id(),
        nodes: i64::try_from(ledger.tree().len()).unwrap_or(i64::MAX),
    };
    sessions.chain(nodes).chain([seal])
}

impl Piece<'_> {
    /// Appends the piece behind its length.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        Encoder::frame(out, |encoder| match self {
            Self::Session {
                id,
                timeout,
                password,
            } => {
                encoder.int(kind::SESSION);
                encoder.long(*id);
                encoder.long(*timeout);
                encoder.buffer(password);
            }
            Self::Node { path, node } => {
                encoder.int(kind::NODE);
                encoder.string(path);
                encode_node(encoder, node);
            }
            Self::Seal {
                zxid,
                last_session,
                nodes,
            } => {
                encoder.int(kind::SEAL);
                encoder.long(*zxid);
                encoder.long(*last_session);
                encoder.long(*nodes);
            }
        });
    }
}

impl Assembly {
    /// Nothing yet, not even a root.
    pub(crate) fn new() -> Self {
        Self {
            tree: Tree::bare(),
            sessions: Sessions::new(0),
            sealed: None,
        }
    }

    /// Takes all the pieces that the bytes hold.
    pub(crate) fn take_all(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        let mut bytes = Decoder::new(bytes);
        while !bytes.is_empty() {
            self.take(&mut Decoder::new(bytes.buffer()?))?;
        }
        Ok(())
    }

    /// The ledger, if the seal was there and fits.
    pub(crate) fn finish(self) -> Option<Ledger> {
        Some(Ledger::restored(self.tree, self.sessions, self.sealed?))
    }

    fn take(&mut self, fields: &mut Decoder<'_>) -> Result<(), Garbled> {
        match fields.int()? {
            kind::SESSION => {
                let (id, timeout) = (fields.long()?, fields.long()?);
                let password = decode_password(fields)?;
                self.sessions.open(id, timeout, password, 0);
            }
            kind::NODE => {
                let path = fields.string()?.to_owned();
                self.tree.restore(path, decode_node(fields)?);
            }
            kind::SEAL => {
                let (zxid, last_session, nodes) = (fields.long()?, fields.long()?, fields.long()?);
                self.sessions.skip_to(last_session);
                let is_whole = usize::try_from(nodes) == Ok(self.tree.len());
                self.sealed = is_whole.then_some(zxid);
            }
            other => return Err(Garbled::Kind(other)),
        }
        Ok(())
    }
}

/// The names of the children are those of the paths below.
fn encode_node(encoder: &mut Encoder<'_>, node: &Node) {
    node.data.encode(encoder);
    encode_acl(encoder, &node.acl);
    encode_owner(encoder, node.owner);
    let history = &node.history;
    encode_stamp(encoder, history.created);
    encode_stamp(encoder, history.modified);
    encoder.long(history.pzxid);
    encoder.int(history.data_version);
    encoder.int(history.acl_version);
    encoder.int(history.children_created);
}

fn decode_node(fields: &mut Decoder<'_>) -> Result<Node, Garbled> {
    Ok(Node {
        data: Payload::decode(fields)?,
        acl: decode_acl(fields)?,
        owner: decode_owner(fields)?,
        history: History {
            created: decode_stamp(fields)?,
            modified: decode_stamp(fields)?,
            pzxid: fields.long()?,
            data_version: fields.int()?,
            acl_version: fields.int()?,
            children_created: fields.int()?,
        },
        children: BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    fn image(ledger: &Ledger) -> Vec<u8> {
        let mut bytes = Vec::new();
        pieces(ledger).for_each(|piece| piece.encode(&mut bytes));
        bytes
    }

    #[test]
    fn an_image_shows_the_whole_ledger() {
        let ledger = sample::ledger(&sample::history(7, 200));
        let mut assembly = Assembly::new();
        assembly.take_all(&image(&ledger)).unwrap();
        let restored = assembly.finish().unwrap();
        assert_eq!(sample::shown(&restored), sample::shown(&ledger));
    }

    #[test]
    fn an_image_without_its_end_is_none() {
        let bytes = image(&sample::ledger(&sample::history(1, 20)));
        for end in 0..bytes.len() {
            let mut assembly = Assembly::new();
            let taken = assembly.take_all(&bytes[..end]);
            assert!(taken.is_err() || assembly.finish().is_none(), "{end}");
        }
    }
}
