//! The watches of all connections, and who hears of a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::happening::{Committed, Happening};
use super::path;
use crate::protocol::{Acl, ConnectionId, EventKind, Notification};

/// Watches by path, with an index by connection for the end of a connection.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_path: BTreeMap<Arc<str>, BTreeSet<(ConnectionId, WatchKind)>>,
    by_connection: BTreeMap<ConnectionId, BTreeSet<(Arc<str>, WatchKind)>>,
    /// How many are recursive: without any, nobody needs to look at ancestors.
    recursive: usize,
}

/// What a watch listens to. The first two kinds fire once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WatchKind {
    /// Creation, deletion and data of the node.
    Data,
    /// Deletion of the node, and its list of children.
    Children,
    /// Both, for ever.
    Persistent,
    /// Creation, deletion and data of the node and all its descendants, for ever.
    Recursive,
}

impl WatchKind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Data,
        Self::Children,
        Self::Persistent,
        Self::Recursive,
    ];

    fn fires_once(self) -> bool {
        matches!(self, Self::Data | Self::Children)
    }

    /// Whether an event at the very path of the watch concerns it.
    fn hears(self, event: EventKind) -> bool {
        match self {
            Self::Data | Self::Recursive => event != EventKind::ChildrenChanged,
            Self::Children => matches!(event, EventKind::ChildrenChanged | EventKind::Deleted),
            Self::Persistent => true,
        }
    }
}

impl Watches {
    pub(crate) fn len(&self) -> usize {
        self.by_path.values().map(BTreeSet::len).sum()
    }

    pub(crate) fn add(&mut self, connection: ConnectionId, path: &str, kind: WatchKind) {
        let key = match self.by_path.get_key_value(path) {
            Some((key, _)) => key.clone(),
            None => Arc::from(path),
        };
        if self
            .by_path
            .entry(key.clone())
            .or_default()
            .insert((connection, kind))
        {
            self.by_connection
                .entry(connection)
                .or_default()
                .insert((key, kind));
            self.recursive += usize::from(kind == WatchKind::Recursive);
        }
    }

    pub(crate) fn contains(&self, connection: ConnectionId, path: &str, kind: WatchKind) -> bool {
        self.by_path
            .get(path)
            .is_some_and(|watches| watches.contains(&(connection, kind)))
    }

    /// Removes a watch; tells whether it was there.
    pub(crate) fn remove(&mut self, connection: ConnectionId, path: &str, kind: WatchKind) -> bool {
        let Some((key, watches)) = self.by_path.get_key_value(path) else {
            return false;
        };
        if !watches.contains(&(connection, kind)) {
            return false;
        }
        let key = key.clone();
        self.remove_from_path(connection, &key, kind);
        if let Some(watches) = self.by_connection.get_mut(&connection) {
            watches.remove(&(key, kind));
            if watches.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
        true
    }

    /// The connection is gone, and its watches with it.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        for (path, kind) in self.by_connection.remove(&connection).unwrap_or_default() {
            self.remove_from_path(connection, &path, kind);
        }
    }

    /// The notifications of a transaction, in the order of its changes. A watch that fires for
    /// somebody who may not read there is spent without a word, as in ZooKeeper.
    pub(crate) fn fire(
        &mut self,
        committed: &Committed,
        may_read: impl Fn(ConnectionId, &[Acl]) -> bool,
    ) -> Vec<Notification> {
        let zxid = committed.transaction.stamp.zxid;
        let mut notifications = Vec::new();
        for happening in &committed.happenings {
            let mut heard = self.spend(&happening.path, happening.kind);
            heard.retain(|connection| may_read(*connection, &happening.acl));
            notifications.extend(tell(heard, happening, zxid));
        }
        notifications
    }

    /// Who listens to an event, each connection once, however many of its watches match. Watches
    /// that fire once are gone after it.
    fn spend(&mut self, path: &str, event: EventKind) -> BTreeSet<ConnectionId> {
        let mut heard = BTreeSet::new();
        if self.by_path.is_empty() {
            return heard;
        }
        let mut spent = Vec::new();
        for (connection, kind) in self.by_path.get(path).into_iter().flatten() {
            if kind.hears(event) {
                heard.insert(*connection);
                if kind.fires_once() {
                    spent.push((*connection, *kind));
                }
            }
        }
        if self.recursive > 0 && event != EventKind::ChildrenChanged {
            for ancestor in path::ancestors(path) {
                let watches = self.by_path.get(ancestor).into_iter().flatten();
                let recursive = watches.filter(|(_, kind)| *kind == WatchKind::Recursive);
                heard.extend(recursive.map(|(connection, _)| *connection));
            }
        }
        for (connection, kind) in spent {
            self.remove(connection, path, kind);
        }
        heard
    }

    fn remove_from_path(&mut self, connection: ConnectionId, path: &str, kind: WatchKind) {
        if let Some(watches) = self.by_path.get_mut(path) {
            let was_there = watches.remove(&(connection, kind));
            self.recursive -= usize::from(was_there && kind == WatchKind::Recursive);
            if watches.is_empty() {
                self.by_path.remove(path);
            }
        }
    }
}

fn tell(
    heard: BTreeSet<ConnectionId>,
    happening: &Happening,
    zxid: i64,
) -> impl Iterator<Item = Notification> {
    let (kind, path) = (happening.kind, Arc::<str>::from(happening.path.as_str()));
    heard.into_iter().map(move |connection| Notification {
        connection,
        kind,
        path: path.clone(),
        zxid,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Identity;
    use crate::state::transaction::{Stamp, Transaction};

    const ME: ConnectionId = ConnectionId(1);
    const OTHER: ConnectionId = ConnectionId(2);

    type Told = Vec<(u64, EventKind, String)>;

    /// What is told of one event each at these paths, of which each is for some readers.
    fn told(watches: &mut Watches, events: &[(EventKind, &str)], acl: &Arc<[Acl]>) -> Told {
        let happening = |(kind, path): &(EventKind, &str)| Happening {
            kind: *kind,
            path: (*path).to_owned(),
            acl: acl.clone(),
        };
        let committed = Committed {
            transaction: Transaction {
                stamp: Stamp::default(),
                changes: Vec::new(),
            },
            happenings: events.iter().map(happening).collect(),
        };
        let may_read = |connection, acl: &[Acl]| acl.is_empty() || connection == OTHER;
        let notifications = watches.fire(&committed, may_read);
        let told = notifications.into_iter();
        told.map(|n| (n.connection.0, n.kind, n.path.to_string()))
            .collect()
    }

    fn fire(watches: &mut Watches, events: &[(EventKind, &str)]) -> Told {
        told(watches, events, &Arc::from([]))
    }

    fn create(path: &str) -> [(EventKind, &str); 2] {
        let parent = path::parent(path);
        [
            (EventKind::Created, path),
            (EventKind::ChildrenChanged, parent),
        ]
    }

    fn set(path: &str) -> [(EventKind, &str); 1] {
        [(EventKind::DataChanged, path)]
    }

    fn delete(path: &str) -> [(EventKind, &str); 2] {
        let parent = path::parent(path);
        [
            (EventKind::Deleted, path),
            (EventKind::ChildrenChanged, parent),
        ]
    }

    #[test]
    fn who_may_not_read_hears_nothing_and_the_watch_is_spent() {
        let mut watches = Watches::default();
        watches.add(ME, "/a", WatchKind::Data);
        watches.add(ME, "/", WatchKind::Recursive);
        watches.add(OTHER, "/a", WatchKind::Data);
        let bobs: Arc<[Acl]> = Arc::from([Acl {
            permissions: 1,
            identity: Identity::new("digest", "bob:hash"),
        }]);
        let expected = [(2, EventKind::DataChanged, "/a".to_owned())];
        assert_eq!(told(&mut watches, &set("/a"), &bobs), expected);
        assert_eq!(watches.len(), 1);
        assert_eq!(fire(&mut watches, &set("/a")).len(), 1);
    }

    #[test]
    fn one_shot_watches_fire_once() {
        let mut watches = Watches::default();
        watches.add(ME, "/a", WatchKind::Data);
        watches.add(ME, "/", WatchKind::Children);
        let expected = [
            (1, EventKind::Created, "/a".to_owned()),
            (1, EventKind::ChildrenChanged, "/".to_owned()),
        ];
        assert_eq!(fire(&mut watches, &create("/a")), expected);
        assert_eq!(fire(&mut watches, &set("/a")), []);
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn a_deletion_is_told_once_per_connection() {
        let mut watches = Watches::default();
        for kind in WatchKind::ALL {
            watches.add(ME, "/a", kind);
        }
        watches.add(OTHER, "/a", WatchKind::Children);
        let expected = [
            (1, EventKind::Deleted, "/a".to_owned()),
            (2, EventKind::Deleted, "/a".to_owned()),
        ];
        assert_eq!(fire(&mut watches, &delete("/a")), expected);
        assert_eq!(watches.len(), 2);
    }

    #[test]
    fn recursive_watches_hear_of_descendants_but_not_of_lists() {
        let mut watches = Watches::default();
        watches.add(ME, "/a", WatchKind::Recursive);
        let expected = [(1, EventKind::Created, "/a/b/c".to_owned())];
        assert_eq!(fire(&mut watches, &create("/a/b/c")), expected);
        assert_eq!(fire(&mut watches, &create("/ab")), []);
        assert_eq!(fire(&mut watches, &set("/a")).len(), 1);
    }

    #[test]
    fn persistent_watches_hear_of_the_node_and_its_list() {
        let mut watches = Watches::default();
        watches.add(ME, "/a", WatchKind::Persistent);
        let expected = [(1, EventKind::ChildrenChanged, "/a".to_owned())];
        assert_eq!(fire(&mut watches, &create("/a/b")), expected);
        assert_eq!(fire(&mut watches, &create("/a/b")), expected);
        assert_eq!(fire(&mut watches, &set("/a/b")), []);
    }

    #[test]
    fn a_lost_connection_takes_its_watches_along() {
        let mut watches = Watches::default();
        watches.add(ME, "/a", WatchKind::Recursive);
        watches.add(ME, "/a", WatchKind::Data);
        watches.add(OTHER, "/a", WatchKind::Data);
        watches.forget(ME);
        assert_eq!((watches.len(), watches.recursive), (1, 0));
        assert!(watches.remove(OTHER, "/a", WatchKind::Data));
        assert!(!watches.remove(OTHER, "/a", WatchKind::Data));
    }
}
