//! What every transport promises to who sends and who receives. Run for each of them.

use super::{Inbox, InboxKind, Link, LinkClosed, Message, SegmentsMessage, Transport};
use super::{TransportError, TrySendError};
use crate::acking::{Cause, Retries};
use crate::codec::{Batch, BatchMeta, EncodedBuilder, Origin};
use crate::ids::{IdSource, LogPosition, PeerId};
use crate::segment::Segment;

/// Two transports of which one reaches the inboxes of the other; they may be the same one.
pub(super) struct Ends<'a> {
    pub(super) sending: &'a dyn Transport,
    pub(super) receiving: &'a dyn Transport,
}

/// A peer of these tests. Their seeds are below 20.
pub(super) fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(1000 + seed).peer()
}

pub(super) fn message(sender: u64, number: u64) -> Message {
    Message::Retries(Retries {
        source: peer(sender),
        epoch: sender,
        cause: Cause::Asked,
        reason: String::new(),
        roots: vec![number],
    })
}

pub(super) fn segments(count: usize, text: usize) -> Message {
    let mut payload = EncodedBuilder::default();
    for n in 0..count {
        let fields = [("n", n.to_string()), ("text", "x".repeat(text))];
        let segment: Segment = fields.into_iter().collect();
        payload.push(&segment).unwrap();
    }
    let origin = Origin {
        source: peer(1),
        acker: peer(2),
        epoch: 1,
        traced: 0,
    };
    let meta = BatchMeta::of_roots(origin, 0, count);
    Message::Segments(SegmentsMessage {
        job: IdSource::from_seed(5).job(),
        task: "write".into(),
        sender: peer(1),
        version: LogPosition(1),
        batch: Batch::new(meta, payload.finish()).unwrap(),
    })
}

/// Sends as soon as there is room.
pub(super) async fn send(link: &mut dyn Link, mut message: Message) -> Result<(), TrySendError> {
    loop {
        match link.try_send(message) {
            Err(TrySendError::Full(back)) => message = back,
            known => return known,
        }
        // A link that has closed says so when it is used.
        let _ = link.ready().await;
    }
}

/// Waits until nothing can be sent any more.
pub(super) async fn closed(link: &mut dyn Link) {
    while !matches!(link.try_send(message(0, 0)), Err(TrySendError::Closed(_))) {
        let _ = link.ready().await;
    }
    assert_eq!(link.ready().await, Err(LinkClosed));
}

impl Ends<'_> {
    fn inbox(&self, seed: u64, capacity: usize) -> Inbox {
        let opened = self
            .receiving
            .open_inbox(peer(seed), InboxKind::Task, capacity);
        opened.unwrap()
    }

    fn link(&self, seed: u64) -> Box<dyn Link> {
        self.sending.link(peer(seed), InboxKind::Task).unwrap()
    }

    /// Everything.
    pub(super) async fn keep_the_contract(&self) {
        self.order_is_kept_on_each_link().await;
        self.a_slow_receiver_bounds_memory_and_loses_nothing().await;
        self.a_slow_inbox_does_not_stall_another().await;
        self.a_link_ends_with_its_inbox_and_does_not_reach_the_next()
            .await;
        self.a_peer_that_is_shut_gets_nothing_although_its_inbox_is_held()
            .await;
        self.an_inbox_that_finishes_gets_what_was_sent_and_nothing_else()
            .await;
        self.nobody_is_reached_where_there_is_no_inbox().await;
        self.inboxes_of_both_kinds_are_apart().await;
        self.a_large_batch_arrives_whole().await;
    }

    async fn order_is_kept_on_each_link(&self) {
        let mut inbox = self.inbox(1, 8);
        let sending = |sender: u64| {
            let mut link = self.link(1);
            async move {
                for number in 0..300 {
                    send(&mut *link, message(sender, number)).await.unwrap();
                }
                link
            }
        };
        let receiving = async {
            let mut next = [0; 3];
            for _ in 0..900 {
                let Some(Message::Retries(it)) = inbox.next().await else {
                    panic!("something else arrived");
                };
                let next = &mut next[it.epoch as usize];
                assert_eq!(it.roots, [*next]);
                *next += 1;
            }
        };
        tokio::join!(sending(0), sending(1), sending(2), receiving);
        assert_eq!(inbox.counts().received(), 900);
    }

    async fn a_slow_receiver_bounds_memory_and_loses_nothing(&self) {
        let mut inbox = self.inbox(2, 4);
        let (mut one, mut other) = (self.link(2), self.link(2));
        let mut sent = [0, 0];
        let mut taken = 0;
        while taken < 200 {
            for (link, sent) in [&mut one, &mut other].into_iter().zip(&mut sent) {
                // As much as goes in without waiting.
                while link.try_send(message(0, *sent)).is_ok() {
                    *sent += 1;
                }
            }
            if sent[0] + sent[1] == taken {
                send(&mut *one, message(0, sent[0])).await.unwrap();
                sent[0] += 1;
            }
            assert!(inbox.len() <= 4 + 2 * 2, "{} wait", inbox.len());
            inbox.next().await.unwrap();
            taken += 1;
        }
        while taken < sent[0] + sent[1] {
            inbox.next().await.unwrap();
            taken += 1;
        }
        assert!(inbox.is_empty());
    }

    async fn a_slow_inbox_does_not_stall_another(&self) {
        let (mut slow, mut quick) = (self.inbox(3, 1), self.inbox(4, 1));
        let mut to_slow = self.link(3);
        let mut waiting = 0;
        send(&mut *to_slow, message(0, waiting)).await.unwrap();
        while to_slow.try_send(message(0, waiting + 1)).is_ok() {
            waiting += 1;
        }
        let mut to_quick = self.link(4);
        for number in 0..100 {
            send(&mut *to_quick, message(0, number)).await.unwrap();
            assert_eq!(quick.next().await, Some(message(0, number)));
        }
        for number in 0..=waiting {
            assert_eq!(slow.next().await, Some(message(0, number)));
        }
    }

    async fn a_link_ends_with_its_inbox_and_does_not_reach_the_next(&self) {
        let mut first = self.inbox(5, 4);
        let mut link = self.link(5);
        send(&mut *link, message(0, 1)).await.unwrap();
        assert_eq!(first.next().await, Some(message(0, 1)));
        drop(first);
        let mut second = self.inbox(5, 4);
        closed(&mut *link).await;
        let mut link = self.link(5);
        send(&mut *link, message(0, 2)).await.unwrap();
        assert_eq!(second.next().await, Some(message(0, 2)));
        assert!(second.is_empty());
    }

    async fn a_peer_that_is_shut_gets_nothing_although_its_inbox_is_held(&self) {
        let mut inbox = self.inbox(6, 4);
        let mut link = self.link(6);
        send(&mut *link, message(0, 1)).await.unwrap();
        assert_eq!(inbox.next().await, Some(message(0, 1)));
        self.receiving.shut(peer(6));
        closed(&mut *link).await;
        assert!(inbox.is_empty());
    }

    async fn an_inbox_that_finishes_gets_what_was_sent_and_nothing_else(&self) {
        let mut inbox = self.inbox(10, 8);
        let (mut link, mut words) = (self.link(10), self.link(10));
        // It does not wait for a link of words, which its sender may keep for ever.
        send(&mut *words, message(0, 1)).await.unwrap();
        assert_eq!(inbox.next().await, Some(message(0, 1)));
        let batch = segments(3, 10);
        let mut sent = 0;
        while sent < 2 {
            send(&mut *link, batch.clone()).await.unwrap();
            sent += 1;
        }
        inbox.finish();
        assert!(!inbox.is_finished());
        // Its sender keeps what it cannot send, or the inbox waits for what it can.
        match link.try_send(batch.clone()) {
            Ok(()) => sent += 1,
            Err(TrySendError::Closed(back) | TrySendError::Full(back)) => assert_eq!(back, batch),
            Err(other) => panic!("{other}"),
        }
        drop(link);
        for _ in 0..sent {
            assert_eq!(inbox.next().await, Some(batch.clone()));
        }
        assert_eq!(inbox.next().await, None);
        assert!(inbox.is_finished());
        self.is_not_reached(10).await;
    }

    async fn nobody_is_reached_where_there_is_no_inbox(&self) {
        self.is_not_reached(7).await;
    }

    async fn is_not_reached(&self, seed: u64) {
        match self.sending.link(peer(seed), InboxKind::Task) {
            Ok(mut link) => closed(&mut *link).await,
            Err(error) => assert!(matches!(error, TransportError::UnknownPeer { .. })),
        }
    }

    async fn inboxes_of_both_kinds_are_apart(&self) {
        let mut task = self.inbox(8, 4);
        let opened = self.receiving.open_inbox(peer(8), InboxKind::Acker, 4);
        let mut acker = opened.unwrap();
        let again = self.receiving.open_inbox(peer(8), InboxKind::Acker, 4);
        assert!(matches!(again, Err(TransportError::AlreadyOpen { .. })));
        let mut link = self.sending.link(peer(8), InboxKind::Acker).unwrap();
        send(&mut *link, message(0, 1)).await.unwrap();
        assert_eq!(acker.next().await, Some(message(0, 1)));
        assert_eq!(task.try_next(), None);
    }

    async fn a_large_batch_arrives_whole(&self) {
        const SEGMENTS: usize = 3000;
        let mut inbox = self.inbox(9, 2);
        let mut link = self.link(9);
        let sent = segments(SEGMENTS, 1000);
        let sending = send(&mut *link, sent.clone());
        let receiving = async {
            let mut rows = Vec::new();
            let mut bytes = Vec::new();
            while rows.len() < SEGMENTS {
                let Some(Message::Segments(it)) = inbox.next().await else {
                    panic!("something else arrived");
                };
                rows.extend(it.batch.meta().rows());
                bytes.extend(it.batch.payload().iter().map(<[u8]>::to_vec));
            }
            (rows, bytes)
        };
        let (result, (rows, bytes)) = tokio::join!(sending, receiving);
        assert_eq!(result, Ok(()));
        let Message::Segments(sent) = sent else {
            unreachable!("these are segments");
        };
        assert!(rows.into_iter().eq(sent.batch.meta().rows()));
        assert!(
            bytes
                .iter()
                .map(Vec::as_slice)
                .eq(sent.batch.payload().iter())
        );
    }
}
