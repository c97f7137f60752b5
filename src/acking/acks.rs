//! What tasks tell ackers, and ackers sources.

use crate::ids::PeerId;

/// The acks of one batch for one acker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckMessage {
    /// Whose acks these are.
    pub sender: PeerId,
    /// The epoch of the sender's task; it grows.
    pub epoch: u64,
    /// The how-manieth message of this sender and epoch to this acker it is, from 1. A message that is
    /// sent again after an unknown outcome keeps its sequence, and is applied once.
    pub sequence: u64,
    /// The acks, by where their roots were read.
    pub groups: Vec<AckGroup>,
}

/// Acks of roots that one source read in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckGroup {
    /// Who read the roots.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// At most one ack per root.
    pub acks: Vec<Ack>,
}

/// What one batch did to the tree of one root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The sequence of the root.
    pub root: u64,
    /// The XOR of what was received and what was sent on.
    pub value: u64,
}

/// Roots of one source whose trees are complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completions {
    /// Who read the roots.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// The sequences of the roots, in the order in which they became complete.
    pub roots: Vec<u64>,
}
