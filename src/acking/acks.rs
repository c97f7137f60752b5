//! What tasks, ackers and sources tell each other about roots.

use crate::ids::PeerId;
use std::fmt;
use std::str::FromStr;

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
    /// Whether something of these roots was written.
    pub reach: Reach,
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

/// How far a tree came. A tree of which nothing was written when it is complete was filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nothing of it has left the job.
    #[default]
    Inside,
    /// An output has written something of it.
    Written,
}

/// Roots of one source whose trees are complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completions {
    /// Who read the roots.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// How far all of these trees came.
    pub reach: Reach,
    /// The sequences of the roots, in the order in which they became complete.
    pub roots: Vec<u64>,
}

/// A source asks everybody who works on its job about roots whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Who read the roots, and asks.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// The how-manieth inquiry of that epoch it is.
    pub number: u64,
    /// A tree without an ack for so many milliseconds stands still.
    pub quiet_ms: u32,
    /// The sequences of the roots; at most [`Inquiry::ROOTS_MAX`].
    pub roots: Vec<u64>,
}

impl Inquiry {
    /// It is answered as a whole, and so must never be cut: so many roots fit into the shortest frame
    /// that can be configured, with terms of 64 KiB.
    pub const ROOTS_MAX: usize = 512;
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Who asked.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// The number of the inquiry.
    pub number: u64,
    /// Who answers.
    pub by: PeerId,
    /// Of the roots asked about, those whose trees had an ack here lately, or of which a segment
    /// waits here or is being worked on.
    pub alive: Vec<u64>,
}

/// Roots of one source that somebody could not bring to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Who read the roots.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// What is to become of them.
    pub cause: Cause,
    /// In words, for people; empty when nothing is wrong with the segments.
    pub reason: String,
    /// The sequences of the roots.
    pub roots: Vec<u64>,
}

/// Why roots are given back, from which follows what their source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A function asked for another try: at once, and it counts as one.
    Asked,
    /// Who had them stops, or may not act: at once, and it is nobody's fault.
    GivenBack,
    /// Their acks could not be delivered: soon, and it is nobody's fault.
    Unacked,
    /// No try will ever succeed: they go to the dead letters.
    Failed,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Cause; 4] = [
        Cause::Asked,
        Cause::GivenBack,
        Cause::Unacked,
        Cause::Failed,
    ];
}

/// The name of a root in the whole cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootId {
    /// Who read it.
    pub source: PeerId,
    /// The epoch of that source's task.
    pub epoch: u64,
    /// Its sequence there.
    pub root: u64,
}

impl fmt::Display for RootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.source, self.epoch, self.root)
    }
}

/// It is no name of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a root is named like 4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03.1.77: its source, epoch, number"
)]
pub struct NoRootId;

impl FromStr for RootId {
    type Err = NoRootId;

    fn from_str(text: &str) -> Result<Self, NoRootId> {
        let mut parts = text.split('.');
        let parsed = (|| {
            let id = RootId {
                source: parts.next()?.parse().ok()?,
                epoch: parts.next()?.parse().ok()?,
                root: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(id)
        })();
        parsed.ok_or(NoRootId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    #[test]
    fn the_name_of_a_root_reads_back_and_nothing_else_does() {
        let id = RootId {
            source: IdSource::from_seed(1).peer(),
            epoch: 3,
            root: 77,
        };
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for wrong in ["", "a.b.c", &text[..36], &format!("{text}.1"), &text[..39]] {
            assert_eq!(wrong.parse::<RootId>(), Err(NoRootId), "{wrong}");
        }
    }
}
