//! Requests about watches themselves: restore, add, look up and remove.

use std::sync::Arc;

use super::access::{self, Permissions};
use super::authentication::Author;
use super::tree::Tree;
use super::watches::{WatchKind, Watches};
use crate::protocol::{
    ConnectionId, ErrorCode, EventKind, Notification, Response, WatchPaths, WatchRequest,
};

/// The answer to a request about watches, and the events that the client had missed.
pub(crate) fn answer(
    tree: &Tree,
    watches: &mut Watches,
    connection: ConnectionId,
    author: &Author,
    request: WatchRequest,
) -> (Result<Response, ErrorCode>, Vec<Notification>) {
    let result = match request {
        WatchRequest::Set {
            relative_zxid,
            paths,
        } => {
            let mut missed = set_watches(tree, watches, connection, relative_zxid, paths);
            // What may not be read now does not become known by having been missed.
            missed.retain(|event| may_read(tree, author, &event.path));
            return (Ok(Response::Empty), missed);
        }
        WatchRequest::Add { path, mode } => {
            add_watch(watches, connection, &path, mode).map(|()| Response::WatchAdded)
        }
        WatchRequest::Check { path, kind } => {
            check_watches(watches, connection, &path, kind).map(|()| Response::Empty)
        }
        WatchRequest::Remove { path, kind } => {
            remove_watches(watches, connection, &path, kind).map(|()| Response::Empty)
        }
    };
    (result, Vec::new())
}

/// Restores the watches of a returning client. What it missed since `relative_zxid` fires at once.
fn set_watches(
    tree: &Tree,
    watches: &mut Watches,
    connection: ConnectionId,
    relative_zxid: i64,
    paths: WatchPaths,
) -> Vec<Notification> {
    let mut missed = Vec::new();
    let mut restore = |path: String, kind: WatchKind, event: Option<EventKind>| match event {
        None => watches.add(connection, &path, kind),
        Some(kind) => {
            let (path, zxid) = (Arc::from(path), Notification::NO_ZXID);
            missed.push(Notification {
                connection,
                kind,
                path,
                zxid,
            });
        }
    };
    for path in paths.data {
        let event = match tree.get(&path) {
            None => Some(EventKind::Deleted),
            Some(node) if node.history.modified.zxid > relative_zxid => {
                Some(EventKind::DataChanged)
            }
            Some(_) => None,
        };
        restore(path, WatchKind::Data, event);
    }
    for path in paths.exists {
        let event = tree.get(&path).map(|_| EventKind::Created);
        restore(path, WatchKind::Data, event);
    }
    for path in paths.children {
        let event = match tree.get(&path) {
            None => Some(EventKind::Deleted),
            Some(node) if node.history.pzxid > relative_zxid => Some(EventKind::ChildrenChanged),
            Some(_) => None,
        };
        restore(path, WatchKind::Children, event);
    }
    for path in paths.persistent {
        restore(path, WatchKind::Persistent, None);
    }
    for path in paths.recursive {
        restore(path, WatchKind::Recursive, None);
    }
    missed
}

fn may_read(tree: &Tree, author: &Author, path: &str) -> bool {
    let node = tree.get(path);
    node.is_none_or(|node| access::permits(&node.acl, author, Permissions::READ))
}

/// Adds a watch that stays. As in ZooKeeper anybody may; what it tells depends on who may read.
fn add_watch(
    watches: &mut Watches,
    connection: ConnectionId,
    path: &str,
    mode: i32,
) -> Result<(), ErrorCode> {
    let kind = match mode {
        0 => WatchKind::Persistent,
        1 => WatchKind::Recursive,
        _ => return Err(ErrorCode::MarshallingError),
    };
    watches.add(connection, path, kind);
    Ok(())
}

/// Fails with "no watcher" unless the connection has a watch of that kind there.
fn check_watches(
    watches: &Watches,
    connection: ConnectionId,
    path: &str,
    kind: i32,
) -> Result<(), ErrorCode> {
    let kinds = kinds(kind)?;
    let found = kinds
        .iter()
        .any(|kind| watches.contains(connection, path, *kind));
    if found {
        Ok(())
    } else {
        Err(ErrorCode::NoWatcher)
    }
}

/// Removes all watches of that kind; fails with "no watcher" if there is none.
fn remove_watches(
    watches: &mut Watches,
    connection: ConnectionId,
    path: &str,
    kind: i32,
) -> Result<(), ErrorCode> {
    check_watches(watches, connection, path, kind)?;
    for kind in kinds(kind)? {
        watches.remove(connection, path, *kind);
    }
    Ok(())
}

/// The kinds of watch behind ZooKeeper's `WatcherType` number.
fn kinds(number: i32) -> Result<&'static [WatchKind], ErrorCode> {
    match number {
        1 => Ok(&[WatchKind::Children]),
        2 => Ok(&[WatchKind::Data]),
        3 => Ok(&WatchKind::ALL),
        4 => Ok(&[WatchKind::Persistent]),
        5 => Ok(&[WatchKind::Recursive]),
        _ => Err(ErrorCode::MarshallingError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Payload;
    use crate::state::node::Owner;
    use crate::state::transaction::{Change, Stamp};

    const ME: ConnectionId = ConnectionId(1);

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for (zxid, path) in [(1, "/a"), (5, "/a/b")] {
            let (path, data, acl) = (path.to_owned(), Payload::default(), Arc::from([]));
            let change = Change::Create {
                path,
                data,
                acl,
                owner: Owner::Nobody,
            };
            tree.apply(Stamp { zxid, time: 0 }, &change).unwrap();
        }
        tree
    }

    fn missed(relative_zxid: i64, paths: WatchPaths) -> (Vec<EventKind>, usize) {
        let mut watches = Watches::default();
        let missed = set_watches(&tree(), &mut watches, ME, relative_zxid, paths);
        (
            missed
                .into_iter()
                .map(|notification| notification.kind)
                .collect(),
            watches.len(),
        )
    }

    #[test]
    fn data_watches_remember_the_last_change() {
        let data = vec!["/a".to_owned(), "/a/b".to_owned(), "/gone".to_owned()];
        let paths = WatchPaths {
            data,
            ..WatchPaths::default()
        };
        assert_eq!(
            missed(4, paths),
            (vec![EventKind::DataChanged, EventKind::Deleted], 1)
        );
    }

    #[test]
    fn exists_watches_only_care_whether_the_node_is_there() {
        let exists = vec!["/a".to_owned(), "/later".to_owned()];
        let paths = WatchPaths {
            exists,
            ..WatchPaths::default()
        };
        assert_eq!(missed(9, paths), (vec![EventKind::Created], 1));
    }

    #[test]
    fn child_watches_remember_the_last_child() {
        let children = vec!["/a".to_owned()];
        let paths = WatchPaths {
            children,
            ..WatchPaths::default()
        };
        assert_eq!(
            missed(4, paths.clone()),
            (vec![EventKind::ChildrenChanged], 0)
        );
        assert_eq!(missed(5, paths), (vec![], 1));
    }

    #[test]
    fn removing_needs_a_watch() {
        let mut watches = Watches::default();
        add_watch(&mut watches, ME, "/a", 1).unwrap();
        assert_eq!(
            check_watches(&watches, ME, "/a", 1),
            Err(ErrorCode::NoWatcher)
        );
        assert_eq!(remove_watches(&mut watches, ME, "/a", 3), Ok(()));
        assert_eq!(
            remove_watches(&mut watches, ME, "/a", 3),
            Err(ErrorCode::NoWatcher)
        );
        assert_eq!(
            add_watch(&mut watches, ME, "/a", 2),
            Err(ErrorCode::MarshallingError)
        );
    }
}
