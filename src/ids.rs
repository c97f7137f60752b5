//! The names of things: peers, jobs, tasks, slots, positions, and where fresh ones come from.

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        /// The order of their bytes. As numbers they are compared in place, without a call, which
        /// is most of what a look into a small map takes.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    };
}

uuid_id!(
    /// One incarnation of a virtual peer. A restarted peer has a new id, so that nothing it wrote
    /// before can be mistaken for something it says now.
    PeerId
);
uuid_id!(
    /// A submitted job.
    JobId
);
uuid_id!(
    /// Whoever writes to the log: a peer, a peer group or a client. See [`EntrySource`].
    WriterId
);
uuid_id!(
    /// A peer group: one process with its session. Peers of one group die together.
    GroupId
);

impl From<PeerId> for WriterId {
    fn from(peer: PeerId) -> Self {
        WriterId(peer.0)
    }
}

impl From<GroupId> for WriterId {
    fn from(group: GroupId) -> Self {
        WriterId(group.0)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// The name of a task, unique within its job. Cloning shares the text.
    TaskName
);
text_id!(
    /// The name of a node, for people: two nodes may have the same one, their groups tell them apart.
    /// Empty if an earlier version or a person wrote the entry. Cloning shares the text.
    NodeName
);

impl NodeName {
    /// Whether the name is not known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for NodeName {
    fn default() -> Self {
        NodeName::from("")
    }
}

/// The position of an entry in the log: the counter of its sequential node. The first entry is 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The position after the last one that was read, if one was: the log begins with 0.
    pub fn after(last: Option<LogPosition>) -> LogPosition {
        last.map_or(LogPosition(0), LogPosition::next)
    }

    /// The position after this one; the last one there can be has none and stays.
    pub fn next(self) -> LogPosition {
        LogPosition(self.0.saturating_add(1))
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of the entry that last changed a job's allocation. What is written about an
/// allocation names its version, so that a late word about an older one changes nothing.
pub type AllocationVersion = LogPosition;

/// A log of state changes that is kept outside of the cluster's log, as whoever keeps it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StateLogId {
    /// A ledger of BookKeeper.
    Ledger(u64),
    /// A log of anything else.
    Named(Uuid),
}

impl fmt::Display for StateLogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateLogId::Ledger(ledger) => ledger.fmt(f),
            StateLogId::Named(name) => name.fmt(f),
        }
    }
}

/// What a job consists of, as one number: equal jobs have equal hashes. Written as 16 hexadecimal
/// digits, since many readers of JSON cannot hold 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(pub u64);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<ContentHash> for String {
    fn from(hash: ContentHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ContentHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let number = u64::from_str_radix(&text, 16);
        number
            .map(ContentHash)
            .map_err(|_| format!("`{text}` is no content hash; one has 16 hexadecimal digits"))
    }
}

/// A stable small number of a peer within its task: the smallest free one when it was assigned.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SlotId(pub u32);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wrote an entry, and the how-manieth of that writer it is. Sequences start at 1 and grow, so
/// an entry that was written twice after an unknown outcome is applied once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySource {
    /// The writer.
    pub writer: WriterId,
    /// The writer's own count, from 1.
    pub sequence: u64,
}

/// Where fresh ids and random draws come from: the operating system in a node, a seed in a
/// simulation. The only place that may invent one.
#[derive(Debug)]
pub struct IdSource(StdRng);

impl IdSource {
    /// Seeded by the operating system.
    pub fn from_entropy() -> Self {
        IdSource(StdRng::from_rng(&mut rand::rng()))
    }

    /// The same seed gives the same ids.
    pub fn from_seed(seed: u64) -> Self {
        IdSource(StdRng::seed_from_u64(seed))
    }

    /// A fresh version-4 UUID.
    pub fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid()
    }

    /// A fresh peer id.
    pub fn peer(&mut self) -> PeerId {
        PeerId(self.uuid())
    }

    /// A fresh job id.
    pub fn job(&mut self) -> JobId {
        JobId(self.uuid())
    }

    /// A draw from [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// A draw of 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let draw = |seed| {
            let mut ids = IdSource::from_seed(seed);
            (ids.peer(), ids.job())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn ids_read_back_what_they_print() {
        let peer = IdSource::from_seed(1).peer();
        assert_eq!(peer.to_string().parse::<PeerId>().ok(), Some(peer));
    }
}
