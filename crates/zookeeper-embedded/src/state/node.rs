//! One node of the tree and the facts that its `Stat` is made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Millis;
use super::transaction::Stamp;
use crate::protocol::{Acl, Payload, Stat};

/// A node: its payload, its history and the names of its children.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) data: Payload,
    pub(crate) acl: Arc<[Acl]>,
    pub(crate) owner: Owner,
    pub(crate) history: History,
    pub(crate) children: BTreeSet<String>,
}

/// Whose life ends a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Lives until it is deleted.
    Nobody,
    /// Ephemeral: ends with the session.
    Session(i64),
    /// Ends some time after its last child.
    Container,
    /// Ends when it had no children and no change for so long.
    TimeToLive(Millis),
}

/// When and how often a node changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) created: Stamp,
    pub(crate) modified: Stamp,
    /// The last transaction that added or removed a child.
    pub(crate) pzxid: i64,
    pub(crate) data_version: i32,
    pub(crate) acl_version: i32,
    /// Counts creations only; it is also the next sequence number.
    pub(crate) children_created: i32,
}

impl Node {
    pub(crate) fn new(data: Payload, acl: Arc<[Acl]>, owner: Owner, stamp: Stamp) -> Self {
        let history = History {
            created: stamp,
            modified: stamp,
            pzxid: stamp.zxid,
            ..History::default()
        };
        Self {
            data,
            acl,
            owner,
            history,
            children: BTreeSet::new(),
        }
    }

    pub(crate) fn stat(&self) -> Stat {
        let num_children = count(self.children.len());
        Stat {
            czxid: self.history.created.zxid,
            mzxid: self.history.modified.zxid,
            ctime: self.history.created.time,
            mtime: self.history.modified.time,
            version: self.history.data_version,
            // The public number counts deletions too: every creation that has no child any more.
            cversion: self
                .history
                .children_created
                .wrapping_mul(2)
                .wrapping_sub(num_children),
            aversion: self.history.acl_version,
            ephemeral_owner: self.owner.as_wire(),
            data_length: count(self.data.len()),
            num_children,
            pzxid: self.history.pzxid,
        }
    }

    /// Whether the server should remove this container or TTL node by now.
    pub(crate) fn is_abandoned(&self, now: Millis) -> bool {
        if !self.children.is_empty() {
            return false;
        }
        match self.owner {
            Owner::Nobody | Owner::Session(_) => false,
            // A container that never had a child is still waiting for its first one.
            Owner::Container => self.history.children_created > 0,
            Owner::TimeToLive(ttl) => now - self.history.modified.time > ttl,
        }
    }
}

impl Owner {
    /// The longest time to live, in milliseconds, that ZooKeeper can store.
    pub(crate) const MAX_TTL: Millis = (1 << 40) - 1;

    /// The `ephemeralOwner` field: clients are not told of the other kinds of end.
    fn as_wire(self) -> i64 {
        match self {
            Self::Session(session) => session,
            Self::Nobody | Self::Container | Self::TimeToLive(_) => 0,
        }
    }
}

/// Numbers on the wire have 32 bits; requests are too small to exceed them.
fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(owner: Owner) -> Node {
        Node::new(
            Payload::default(),
            Arc::from([]),
            owner,
            Stamp {
                zxid: 1,
                time: 1000,
            },
        )
    }

    #[test]
    fn a_container_waits_for_its_first_child() {
        let mut container = node(Owner::Container);
        assert!(!container.is_abandoned(i64::MAX));
        container.history.children_created = 1;
        assert!(container.is_abandoned(0));
    }

    #[test]
    fn a_ttl_node_lives_as_long_as_it_has_children() {
        let mut node = node(Owner::TimeToLive(500));
        assert!(!node.is_abandoned(1500));
        assert!(node.is_abandoned(1501));
        node.children.insert("child".to_owned());
        assert!(!node.is_abandoned(1501));
    }

    #[test]
    fn only_sessions_show_as_owners() {
        assert_eq!(node(Owner::Session(7)).stat().ephemeral_owner, 7);
        assert_eq!(node(Owner::Container).stat().ephemeral_owner, 0);
        assert_eq!(node(Owner::TimeToLive(9)).stat().ephemeral_owner, 0);
    }
}
