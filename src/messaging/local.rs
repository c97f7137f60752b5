//! The transport within one process: messages are handed over as values, their payload still encoded
//! and not copied. Works across threads and runtimes.

use super::inbox::{Inbox, InboxCounts};
use super::{InboxKind, Link, LinkClosed, Message, Transport, TransportError, TrySendError};
use crate::ids::PeerId;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError as ChannelError;

/// The inboxes of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LocalTransport {
    inboxes: Arc<RwLock<Inboxes>>,
}

type Inboxes = BTreeMap<(PeerId, InboxKind), LocalLink>;

#[derive(Clone, Debug)]
struct LocalLink {
    messages: mpsc::Sender<Message>,
    counts: Arc<InboxCounts>,
    shut: Arc<AtomicBool>,
}

impl LocalTransport {
    /// No inboxes yet.
    pub fn new() -> Self {
        LocalTransport::default()
    }

    // A poisoned lock means that another thread panicked between two whole map operations.
    fn read(&self) -> RwLockReadGuard<'_, Inboxes> {
        self.inboxes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inboxes> {
        self.inboxes.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for LocalTransport {
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError> {
        let mut inboxes = self.write();
        let Entry::Vacant(place) = inboxes.entry((peer, kind)) else {
            return Err(TransportError::AlreadyOpen { peer, kind });
        };
        let transport = self.clone();
        let on_close = move || {
            transport.write().remove(&(peer, kind));
        };
        let (inbox, messages, counts) = Inbox::new(capacity, on_close);
        place.insert(LocalLink {
            messages,
            counts,
            shut: Arc::default(),
        });
        Ok(inbox)
    }

    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError> {
        match self.read().get(&(to, kind)) {
            Some(link) => Ok(Box::new(link.clone())),
            None => Err(TransportError::UnknownPeer { peer: to, kind }),
        }
    }

    fn shut(&self, peer: PeerId) {
        let mut inboxes = self.write();
        for kind in [InboxKind::Task, InboxKind::Acker] {
            if let Some(link) = inboxes.remove(&(peer, kind)) {
                link.shut.store(true, Ordering::SeqCst);
            }
        }
    }

    fn alive(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Link for LocalLink {
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(TrySendError::Closed(message));
        }
        match self.messages.try_send(message) {
            Ok(()) => Ok(()),
            Err(ChannelError::Full(message)) => {
                self.counts.count_full();
                Err(TrySendError::Full(message))
            }
            Err(ChannelError::Closed(message)) => Err(TrySendError::Closed(message)),
        }
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>> {
        Box::pin(async {
            if self.shut.load(Ordering::SeqCst) {
                return Err(LinkClosed);
            }
            let room = self.messages.reserve().await;
            room.map(drop).map_err(|_| LinkClosed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use crate::messaging::Retries;

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn message(root: u64) -> Message {
        Message::Retries(Retries {
            source: peer(1),
            epoch: 1,
            roots: vec![root],
        })
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
}
