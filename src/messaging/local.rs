//! The transport within one process: messages are handed over as values, their payload still encoded
//! and not copied. Works across threads and runtimes.

use super::inbox::{Door, Inbox, Turned};
use super::{InboxKind, Link, LinkClosed, Message, Transport, TransportError, TrySendError};
use crate::ids::{GroupId, PeerId};
use crate::replica::{Member, SharedMap, Site};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// The inboxes of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct LocalTransport {
    doors: Arc<RwLock<Doors>>,
    /// Its links never break.
    broken: watch::Sender<()>,
}

type Doors = BTreeMap<(PeerId, InboxKind), Door>;

impl Default for LocalTransport {
    fn default() -> Self {
        LocalTransport::new()
    }
}

impl LocalTransport {
    /// No inboxes yet.
    pub fn new() -> Self {
        LocalTransport {
            doors: Arc::default(),
            broken: watch::Sender::new(()),
        }
    }

    /// Opens an inbox; `on_close` is called after it has closed.
    pub(super) fn open(
        &self,
        (peer, kind): (PeerId, InboxKind),
        capacity: usize,
        on_close: impl FnOnce() + Send + 'static,
    ) -> Result<Inbox, TransportError> {
        let mut doors = self.write();
        let Entry::Vacant(place) = doors.entry((peer, kind)) else {
            return Err(TransportError::AlreadyOpen { peer, kind });
        };
        let transport = self.clone();
        let (inbox, door) = Inbox::new(capacity, move || {
            transport.remove_closed(peer, kind);
            on_close();
        });
        place.insert(door);
        Ok(inbox)
    }

    /// Frees the name of an inbox that has closed. One that was shut before may have a successor, which
    /// stays.
    fn remove_closed(&self, peer: PeerId, kind: InboxKind) {
        let mut doors = self.write();
        if doors.get(&(peer, kind)).is_some_and(Door::is_closed) {
            doors.remove(&(peer, kind));
        }
    }

    /// The door of the inbox that is open now.
    pub(super) fn door(&self, peer: PeerId, kind: InboxKind) -> Option<Door> {
        self.read().get(&(peer, kind)).cloned()
    }

    // A poisoned lock means that another thread panicked between two whole map operations.
    fn read(&self) -> RwLockReadGuard<'_, Doors> {
        self.doors.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Doors> {
        self.doors.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for LocalTransport {
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError> {
        self.open((peer, kind), capacity, || {})
    }

    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError> {
        match self.door(to, kind) {
            Some(door) if !door.is_closed_here() => Ok(Box::new(door)),
            Some(_) | None => Err(TransportError::UnknownPeer { peer: to, kind }),
        }
    }

    fn segment_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn held(&self, by: PeerId, of: (PeerId, u64), roots: &[u64]) -> Vec<u64> {
        let door = self.door(by, InboxKind::Task);
        door.map_or_else(Vec::new, |door| door.held().any_of(of, roots))
    }

    fn shut(&self, peer: PeerId) {
        for kind in [InboxKind::Task, InboxKind::Acker] {
            self.shut_inbox(peer, kind);
        }
    }

    fn shut_inbox(&self, peer: PeerId, kind: InboxKind) {
        if let Some(door) = self.write().remove(&(peer, kind)) {
            door.shut();
        }
    }

    fn site(&self, group: GroupId) -> Site {
        Site(format!("local:{group}"))
    }

    fn learn_sites(&self, _members: &SharedMap<PeerId, Member>) {
        // Everybody whom it reaches has an inbox here.
    }

    fn refused(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn alive(&self) -> Result<(), String> {
        Ok(())
    }

    fn losses(&self) -> u64 {
        0
    }

    fn broken(&self) -> watch::Receiver<()> {
        self.broken.subscribe()
    }
}

impl Link for Door {
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        self.try_put(message).map_err(|turned| match turned {
            Turned::Full(message) => TrySendError::Full(message),
            Turned::Closed(message) => TrySendError::Closed(message),
        })
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>> {
        Box::pin(async { self.has_room().await.then_some(()).ok_or(LinkClosed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::{Cause, Retries};
    use crate::ids::IdSource;
    use crate::messaging::PLACE_BYTES;
    use crate::messaging::contract::{Ends, segments};
    use futures_util::FutureExt;

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn message(root: u64) -> Message {
        Message::Retries(Retries {
            source: peer(1),
            epoch: 1,
            cause: Cause::Asked,
            reason: String::new(),
            roots: vec![root],
        })
    }

    #[tokio::test]
    async fn the_contract_holds_in_memory() {
        let transport = LocalTransport::new();
        let ends = Ends {
            sending: &transport,
            receiving: &transport,
        };
        ends.keep_the_contract().await;
    }

    #[tokio::test]
    async fn messages_arrive_in_order_and_are_counted() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 2).unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        link.try_send(message(1)).unwrap();
        link.try_send(message(2)).unwrap();
        assert_eq!(
            link.try_send(message(3)),
            Err(TrySendError::Full(message(3)))
        );
        assert_eq!(inbox.try_next(), Some(message(1)));
        assert_eq!(inbox.next().await, Some(message(2)));
        assert_eq!(inbox.try_next(), None);
        assert_eq!((inbox.counts().received(), inbox.counts().full()), (2, 1));
    }

    #[tokio::test]
    async fn a_peer_that_is_shut_gets_nothing_although_its_inbox_is_held() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 2).unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        link.try_send(message(1)).unwrap();
        transport.shut(peer(1));
        assert_eq!(
            link.try_send(message(2)),
            Err(TrySendError::Closed(message(2)))
        );
        assert_eq!(link.ready().await, Err(LinkClosed));
        assert!(transport.link(peer(1), InboxKind::Task).is_err());
        assert_eq!(inbox.try_next(), Some(message(1)));
        assert_eq!(inbox.try_next(), None);
    }

    #[tokio::test]
    async fn segments_for_another_task_go_back_to_their_sender() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 2).unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        let Message::Segments(batch) = segments(2, 10) else {
            panic!("these are segments");
        };
        let own = Message::Segments(batch.clone());
        inbox.serve(batch.job, batch.task.clone());
        link.try_send(own.clone()).unwrap();
        let (mut other_task, mut other_job) = (batch.clone(), batch);
        other_task.task = "read".into();
        other_job.job = IdSource::from_seed(6).job();
        for other in [other_task, other_job].map(Message::Segments) {
            let back = link.try_send(other.clone());
            assert_eq!(back, Err(TrySendError::Closed(other)));
        }
        // Control messages are for the peer, whichever task it runs.
        link.try_send(message(1)).unwrap();
        assert_eq!(inbox.try_next(), Some(own));
        assert_eq!(inbox.try_next(), Some(message(1)));
    }

    #[tokio::test]
    async fn an_inbox_that_was_shut_leaves_its_successor_open_when_it_is_dropped() {
        let transport = LocalTransport::new();
        let open = || transport.open_inbox(peer(1), InboxKind::Task, 2).unwrap();
        let abandoned = open();
        transport.shut_inbox(peer(1), InboxKind::Task);
        let mut successor = open();
        drop(abandoned);
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        link.try_send(message(1)).unwrap();
        assert_eq!(successor.try_next(), Some(message(1)));
    }

    #[tokio::test]
    async fn a_full_link_is_ready_when_a_message_was_taken() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 1).unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        link.try_send(message(1)).unwrap();
        let (ready, taken) = tokio::join!(link.ready(), inbox.next());
        assert_eq!((ready, taken), (Ok(()), Some(message(1))));
        assert_eq!(link.try_send(message(2)), Ok(()));
    }

    #[tokio::test]
    async fn a_link_ends_with_its_inbox_and_does_not_reach_the_next() {
        let transport = LocalTransport::new();
        let open = || transport.open_inbox(peer(1), InboxKind::Task, 1);
        let first = open().unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        let (peer, kind) = (peer(1), InboxKind::Task);
        assert_eq!(
            open().err(),
            Some(TransportError::AlreadyOpen { peer, kind })
        );
        drop(first);
        let gone = transport.link(peer, kind).err();
        assert_eq!(gone, Some(TransportError::UnknownPeer { peer, kind }));
        let mut second = open().unwrap();
        assert_eq!(
            link.try_send(message(1)),
            Err(TrySendError::Closed(message(1)))
        );
        assert_eq!(link.ready().await, Err(LinkClosed));
        assert_eq!(second.try_next(), None);
        assert!(transport.link(peer, kind).is_ok());
    }

    #[test]
    fn links_work_across_threads_and_runtimes() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Acker, 4).unwrap();
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };
        let sender = std::thread::spawn(move || {
            runtime().block_on(async {
                let mut link = transport.link(peer(1), InboxKind::Acker).unwrap();
                for root in 0..1000 {
                    link.ready().await.unwrap();
                    link.try_send(message(root)).unwrap();
                }
            });
        });
        runtime().block_on(async {
            for root in 0..1000 {
                assert_eq!(inbox.next().await, Some(message(root)));
            }
        });
        sender.join().unwrap();
    }

    #[tokio::test]
    async fn large_messages_take_as_many_places_as_their_bytes_fill() {
        let transport = LocalTransport::new();
        let mut inbox = transport.open_inbox(peer(1), InboxKind::Task, 4).unwrap();
        let mut link = transport.link(peer(1), InboxKind::Task).unwrap();
        let large = |places: usize| {
            let roots = (PLACE_BYTES * places / 8) as u64;
            Message::Retries(Retries {
                source: peer(1),
                epoch: 1,
                cause: Cause::Asked,
                reason: String::new(),
                roots: (0..roots).collect(),
            })
        };
        link.try_send(large(3)).unwrap();
        assert!(matches!(
            link.try_send(large(2)),
            Err(TrySendError::Full(_))
        ));
        // Who waits for two is not told of one.
        assert!(link.ready().now_or_never().is_none());
        inbox.next().await.unwrap();
        assert_eq!(link.ready().await, Ok(()));
        // What is larger than the inbox has it alone.
        link.try_send(large(9)).unwrap();
        assert!(link.try_send(message(1)).is_err());
        inbox.next().await.unwrap();
        assert_eq!(link.try_send(message(1)), Ok(()));
    }
}
