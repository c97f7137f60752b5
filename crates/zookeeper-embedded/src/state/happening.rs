//! What a committed transaction lets watchers see, and whose eyes it is for.
//!
//! The lists are those at the moment of the change: a deleted node has none any more.

use std::sync::Arc;

use super::path;
use super::transaction::{Change, Transaction};
use super::tree::{Tree, Undo};
use crate::protocol::{Acl, EventKind};

/// A transaction that was just applied, with everything that watches can hear of it.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) transaction: Transaction,
    /// In the order of the changes.
    pub(crate) happenings: Vec<Happening>,
}

/// One event at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) kind: EventKind,
    pub(crate) path: String,
    /// Who may read here is who may hear of it.
    pub(crate) acl: Arc<[Acl]>,
}

impl Happening {
    /// What a change that was just applied to the tree makes happen.
    pub(super) fn of(tree: &Tree, change: &Change, undo: &Undo) -> Vec<Self> {
        match change {
            Change::Create { path, acl, .. } => {
                let created = Self::new(EventKind::Created, path, acl.clone());
                vec![created, Self::at_parent(tree, path)]
            }
            Change::Delete { path } => {
                let acl = match undo {
                    Undo::Delete { node, .. } => node.acl.clone(),
                    Undo::Nothing | Undo::Create { .. } | Undo::Rewrite { .. } => {
                        acl_at(tree, path)
                    }
                };
                let deleted = Self::new(EventKind::Deleted, path, acl);
                vec![deleted, Self::at_parent(tree, path)]
            }
            Change::SetData { path, .. } => {
                vec![Self::new(EventKind::DataChanged, path, acl_at(tree, path))]
            }
            Change::SetAcl { .. }
            | Change::Check { .. }
            | Change::OpenSession { .. }
            | Change::CloseSession { .. } => Vec::new(),
        }
    }

    fn at_parent(tree: &Tree, path: &str) -> Self {
        let parent = path::parent(path);
        Self::new(EventKind::ChildrenChanged, parent, acl_at(tree, parent))
    }

    fn new(kind: EventKind, path: &str, acl: Arc<[Acl]>) -> Self {
        let path = path.to_owned();
        Self { kind, path, acl }
    }
}

fn acl_at(tree: &Tree, path: &str) -> Arc<[Acl]> {
    let node = tree.get(path);
    node.map_or_else(|| Arc::from([]), |node| node.acl.clone())
}
