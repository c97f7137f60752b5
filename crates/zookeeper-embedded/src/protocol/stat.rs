//! `Stat`, the public facts of a node as clients see them.

use crate::jute::Encoder;

/// The statistics record of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) ephemeral_owner: i64,
    pub(crate) data_length: i32,
    pub(crate) num_children: i32,
    pub(crate) pzxid: i64,
}

impl Stat {
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.long(self.czxid);
        encoder.long(self.mzxid);
        encoder.long(self.ctime);
        encoder.long(self.mtime);
        encoder.int(self.version);
        encoder.int(self.cversion);
        encoder.int(self.aversion);
        encoder.long(self.ephemeral_owner);
        encoder.int(self.data_length);
        encoder.int(self.num_children);
        encoder.long(self.pzxid);
    }
}
