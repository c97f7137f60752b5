//! The tree of nodes: applies single changes, and takes them back when a later one fails.
//!
//! It guards the shape of the tree (parents exist, names are free, deleted nodes are leaves).
//! Versions and sequence numbers are decided before, in `prepare`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::Millis;
use super::node::{History, Node, Owner};
use super::path;
use super::transaction::{Change, Stamp};
use crate::protocol::{Acl, ErrorCode, Payload};

/// All nodes by path, with the indexes that closing sessions and cleaning up need.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
    ephemerals: BTreeMap<i64, BTreeSet<String>>,
    /// Containers and nodes with a time to live.
    transient: BTreeSet<String>,
}

/// What it takes to reverse one change. Undone in reverse order, it restores the tree exactly.
#[derive(Debug)]
pub(crate) enum Undo {
    Nothing,
    Create {
        path: String,
        parent: History,
    },
    Delete {
        path: String,
        node: Node,
        parent: History,
    },
    Rewrite {
        path: String,
        data: Payload,
        acl: Arc<[Acl]>,
        history: History,
    },
}

impl Tree {
    /// A tree with the nodes that every ZooKeeper server starts with.
    pub(crate) fn new() -> Self {
        let mut tree = Self::bare();
        let acl: Arc<[Acl]> = Arc::from([Acl::anyone()]);
        for path in path::SYSTEM_PATHS {
            let node = Node::new(
                Payload::from(Payload::EMPTY),
                acl.clone(),
                Owner::Nobody,
                Stamp::default(),
            );
            tree.restore(path.to_owned(), node);
        }
        tree
    }

    /// Nothing, not even a root.
    pub(crate) fn bare() -> Self {
        Self {
            nodes: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            transient: BTreeSet::new(),
        }
    }

    /// Puts a node back as it was; its parent has to be there already.
    pub(crate) fn restore(&mut self, path: String, node: Node) {
        if path != "/"
            && let Some(parent) = self.nodes.get_mut(path::parent(&path))
        {
            parent.children.insert(path::name(&path).to_owned());
        }
        self.remember_owner(&path, node.owner);
        self.nodes.insert(path, node);
    }

    /// All nodes, parents before their children.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    /// The paths of a session's ephemeral nodes.
    pub(crate) fn ephemerals(&self, session: i64) -> impl Iterator<Item = &String> {
        self.ephemerals.get(&session).into_iter().flatten()
    }

    pub(crate) fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn count_descendants(&self, path: &str) -> usize {
        let prefix = path::descendant_prefix(path);
        self.nodes
            .range::<str, _>((Bound::Excluded(prefix.as_str()), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(&prefix))
            .count()
    }

    /// Containers and TTL nodes whose time has come.
    pub(crate) fn abandoned(&self, now: Millis) -> Vec<String> {
        let is_abandoned =
            |path: &&String| self.get(path).is_some_and(|node| node.is_abandoned(now));
        self.transient
            .iter()
            .filter(is_abandoned)
            .cloned()
            .collect()
    }

    pub(crate) fn apply(&mut self, stamp: Stamp, change: &Change) -> Result<Undo, ErrorCode> {
        match change {
            Change::Create {
                path,
                data,
                acl,
                owner,
            } => {
                let node = Node::new(data.clone(), acl.clone(), *owner, stamp);
                self.create(stamp, path, node)
            }
            Change::Delete { path } => self.delete(stamp, path),
            Change::SetData { path, data } => self.rewrite(path, |node| {
                node.data = data.clone();
                node.history.modified = stamp;
                node.history.data_version = node.history.data_version.wrapping_add(1);
            }),
            Change::SetAcl { path, acl } => self.rewrite(path, |node| {
                node.acl = acl.clone();
                node.history.acl_version = node.history.acl_version.wrapping_add(1);
            }),
            Change::Check { path } => self.node(path).map(|_| Undo::Nothing),
            Change::OpenSession { .. } | Change::CloseSession { .. } => Ok(Undo::Nothing),
        }
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Create { path, parent } => {
                if let Some(node) = self.nodes.remove(&path) {
                    self.forget_owner(&path, node.owner);
                }
                self.restore_parent(&path, parent, |children, name| {
                    children.remove(name);
                });
            }
            Undo::Delete { path, node, parent } => {
                self.remember_owner(&path, node.owner);
                self.restore_parent(&path, parent, |children, name| {
                    children.insert(name.to_owned());
                });
                self.nodes.insert(path, node);
            }
            Undo::Rewrite {
                path,
                data,
                acl,
                history,
            } => {
                if let Some(node) = self.nodes.get_mut(&path) {
                    (node.data, node.acl, node.history) = (data, acl, history);
                }
            }
        }
    }

    fn create(&mut self, stamp: Stamp, path: &str, node: Node) -> Result<Undo, ErrorCode> {
        if self.nodes.contains_key(path) {
            return Err(ErrorCode::NodeExists);
        }
        let parent = self
            .nodes
            .get_mut(path::parent(path))
            .ok_or(ErrorCode::NoNode)?;
        if let Owner::Session(_) = parent.owner {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let undo = Undo::Create {
            path: path.to_owned(),
            parent: parent.history,
        };
        parent.children.insert(path::name(path).to_owned());
        parent.history.children_created = parent.history.children_created.wrapping_add(1);
        parent.history.pzxid = stamp.zxid;
        self.remember_owner(path, node.owner);
        self.nodes.insert(path.to_owned(), node);
        Ok(undo)
    }

    fn delete(&mut self, stamp: Stamp, path: &str) -> Result<Undo, ErrorCode> {
        if !self.node(path)?.children.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let parent = self
            .nodes
            .get_mut(path::parent(path))
            .ok_or(ErrorCode::NoNode)?;
        let old_parent = parent.history;
        parent.children.remove(path::name(path));
        parent.history.pzxid = stamp.zxid;
        let node = self.nodes.remove(path).ok_or(ErrorCode::NoNode)?;
        self.forget_owner(path, node.owner);
        Ok(Undo::Delete {
            path: path.to_owned(),
            node,
            parent: old_parent,
        })
    }

    fn rewrite(&mut self, path: &str, edit: impl FnOnce(&mut Node)) -> Result<Undo, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        let (data, acl, history) = (node.data.clone(), node.acl.clone(), node.history);
        edit(node);
        Ok(Undo::Rewrite {
            path: path.to_owned(),
            data,
            acl,
            history,
        })
    }

    fn restore_parent(
        &mut self,
        path: &str,
        history: History,
        edit: impl FnOnce(&mut BTreeSet<String>, &str),
    ) {
        if let Some(parent) = self.nodes.get_mut(path::parent(path)) {
            parent.history = history;
            edit(&mut parent.children, path::name(path));
        }
    }

    fn remember_owner(&mut self, path: &str, owner: Owner) {
        match owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                self.ephemerals
                    .entry(session)
                    .or_default()
                    .insert(path.to_owned());
            }
            Owner::Container | Owner::TimeToLive(_) => {
                self.transient.insert(path.to_owned());
            }
        }
    }

    fn forget_owner(&mut self, path: &str, owner: Owner) {
        match owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                if let Some(paths) = self.ephemerals.get_mut(&session) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Container | Owner::TimeToLive(_) => {
                self.transient.remove(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &str, owner: Owner) -> Change {
        Change::Create {
            path: path.to_owned(),
            data: Payload::default(),
            acl: Arc::from([]),
            owner,
        }
    }

    fn delete(path: &str) -> Change {
        Change::Delete {
            path: path.to_owned(),
        }
    }

    fn stamp(zxid: i64) -> Stamp {
        Stamp {
            zxid,
            time: zxid * 10,
        }
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::new();
        for path in paths {
            tree.apply(stamp(1), &create(path, Owner::Nobody)).unwrap();
        }
        tree
    }

    #[test]
    fn a_fresh_root_looks_as_in_zookeeper() {
        let stat = Tree::new().node("/").unwrap().stat();
        assert_eq!((stat.cversion, stat.num_children), (-1, 1));
    }

    #[test]
    fn the_shape_of_the_tree_is_guarded() {
        let mut tree = tree(&["/a", "/a/b"]);
        tree.apply(stamp(2), &create("/e", Owner::Session(1)))
            .unwrap();
        let mut refused = |change| tree.apply(stamp(3), &change).unwrap_err();
        assert_eq!(refused(create("/a", Owner::Nobody)), ErrorCode::NodeExists);
        assert_eq!(refused(create("/x/y", Owner::Nobody)), ErrorCode::NoNode);
        assert_eq!(
            refused(create("/e/y", Owner::Nobody)),
            ErrorCode::NoChildrenForEphemerals
        );
        assert_eq!(refused(delete("/a")), ErrorCode::NotEmpty);
        assert_eq!(refused(delete("/x")), ErrorCode::NoNode);
    }

    #[test]
    fn the_parent_counts_creations_and_deletions() {
        let mut tree = tree(&["/a"]);
        tree.apply(stamp(2), &create("/a/b", Owner::Nobody))
            .unwrap();
        tree.apply(stamp(3), &create("/a/c", Owner::Nobody))
            .unwrap();
        tree.apply(stamp(4), &delete("/a/b")).unwrap();
        let stat = tree.node("/a").unwrap().stat();
        assert_eq!((stat.cversion, stat.num_children, stat.pzxid), (3, 1, 4));
        assert_eq!(tree.node("/a").unwrap().history.children_created, 2);
    }

    #[test]
    fn undone_changes_leave_no_trace() {
        let mut tree = tree(&["/a", "/a/b"]);
        tree.apply(stamp(2), &create("/a/e", Owner::Session(1)))
            .unwrap();
        let before = format!("{tree:?}");
        let changes = [
            create("/a/b/c", Owner::Container),
            Change::SetData {
                path: "/a/b".to_owned(),
                data: Payload::from(b"new".as_slice()),
            },
            Change::SetAcl {
                path: "/a/b".to_owned(),
                acl: Arc::from([Acl::anyone()]),
            },
            delete("/a/b/c"),
            delete("/a/b"),
            delete("/a/e"),
            create("/a/b", Owner::Session(2)),
        ];
        let undos = changes.map(|change| tree.apply(stamp(3), &change).unwrap());
        assert_ne!(format!("{tree:?}"), before);
        for undo in undos.into_iter().rev() {
            tree.undo(undo);
        }
        assert_eq!(format!("{tree:?}"), before);
    }

    #[test]
    fn descendants_are_counted_without_look_alikes() {
        let tree = tree(&["/a", "/a/b", "/a/b/c", "/a-b", "/ab"]);
        assert_eq!(tree.count_descendants("/a"), 2);
        assert_eq!(tree.count_descendants("/"), tree.len() - 1);
    }
}
