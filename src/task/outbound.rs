//! What a task has to send: to downstream tasks, to ackers, to sources. Bounded by one batch: no
//! further batch is read before everything has been taken by a link.

use super::counters::{Count, TaskCounters};
use super::retries::RetriesBySource;
use crate::acking::{AckGroup, Cause, Inquiry, Retries};
use crate::ids::{PeerId, SlotId, TaskName};
use crate::messaging::{InboxKind, Links, Lost, Message, SegmentsMessage, Transport, TrySendError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

/// The queue and the links it empties into.
pub(super) struct Outbound {
    transport: Arc<dyn Transport>,
    routes: Vec<Route>,
    ackers: Links,
    sources: Links,
    queue: VecDeque<Parcel>,
    /// For sources. Nobody waits until they are told: a source that was moved to another task may
    /// itself be waiting for whoever has something to tell it. There are no more of these than roots
    /// are under way.
    told: VecDeque<Retries>,
    /// For who works on the job, and by links of their own: nobody waits until one is asked who
    /// cannot be reached. No more than one round of questions.
    asked: VecDeque<(PeerId, Inquiry)>,
    workers: Links,
    /// Acks that their acker cannot have any more.
    undelivered: Vec<(PeerId, AckGroup)>,
    /// Changes when a link has broken.
    broken: watch::Receiver<()>,
    counters: Arc<TaskCounters>,
}

/// A downstream task and the peers that can receive for it.
struct Route {
    task: TaskName,
    peers: Vec<PeerId>,
    links: Links,
    /// Whose turn it is.
    turn: usize,
}

struct Parcel {
    to: To,
    message: Message,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Any ready peer of the downstream task with this index.
    Route(usize),
    /// The acking daemon of a peer.
    Acker(PeerId),
}

/// Whether the queue is empty now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything was taken.
    All,
    /// A link is full, or a task has no ready peer.
    Blocked,
}

impl Outbound {
    /// An empty queue without routes.
    pub(super) fn new(transport: Arc<dyn Transport>, counters: Arc<TaskCounters>) -> Self {
        let (ackers, sources) = (Links::to(InboxKind::Acker), Links::to(InboxKind::Task));
        let (routes, queue) = (Vec::new(), VecDeque::new());
        Outbound {
            broken: transport.broken(),
            transport,
            routes,
            ackers,
            sources,
            queue,
            told: VecDeque::new(),
            asked: VecDeque::new(),
            workers: Links::to(InboxKind::Acker),
            undelivered: Vec::new(),
            counters,
        }
    }

    /// Takes over who can receive. Links to peers that stay are kept.
    pub(super) fn reroute(&mut self, downstream: &[(TaskName, Vec<(SlotId, PeerId)>)]) {
        let mut old: BTreeMap<TaskName, Route> = self
            .routes
            .drain(..)
            .map(|route| (route.task.clone(), route))
            .collect();
        for (task, slots) in downstream {
            let peers: Vec<PeerId> = slots.iter().map(|(_, peer)| *peer).collect();
            let (mut links, turn) = match old.remove(task) {
                Some(route) => (route.links, route.turn),
                None => (Links::to(InboxKind::Task), 0),
            };
            links.keep_only(&peers);
            self.routes.push(Route {
                task: task.clone(),
                peers,
                links,
                turn,
            });
        }
    }

    /// The downstream tasks, in route order.
    pub(super) fn tasks(&self) -> impl ExactSizeIterator<Item = &TaskName> {
        self.routes.iter().map(|route| &route.task)
    }

    /// How many downstream tasks there are.
    pub(super) fn routes(&self) -> usize {
        self.routes.len()
    }

    /// The longest segment, encoded, that the transport carries.
    pub(super) fn segment_bytes_max(&self) -> usize {
        self.transport.segment_bytes_max()
    }

    /// Puts a message behind the others.
    pub(super) fn push(&mut self, to: To, message: Message) {
        self.queue.push_back(Parcel { to, message });
    }

    /// Tells a source about roots of its, as soon as it has room.
    pub(super) fn tell(&mut self, retries: Retries) {
        self.told.push_back(retries);
    }

    /// Asks who works on the job, as soon as they have room. What was asked before and has not left
    /// yet is too old to be asked.
    pub(super) fn ask(&mut self, inquiries: Vec<(PeerId, Inquiry)>) {
        self.asked = inquiries.into();
    }

    /// Whether a source is to be told something that it has no room for.
    pub(super) fn has_to_tell(&self) -> bool {
        !self.told.is_empty()
    }

    /// Takes out the batches that nobody took yet; words to ackers stay.
    pub(super) fn take_unsent(&mut self) -> Vec<SegmentsMessage> {
        let mut unsent = Vec::new();
        for parcel in std::mem::take(&mut self.queue) {
            match parcel.message {
                Message::Segments(batch) => unsent.push(batch),
                message => self.queue.push_back(Parcel { message, ..parcel }),
            }
        }
        unsent
    }

    /// Whether everything has been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends as much as links take, in order. Sources that have no room do not hold up the rest.
    pub(super) fn flush(&mut self) -> Flushed {
        if self.broken.has_changed().unwrap_or(false) {
            self.broken.mark_unchanged();
            self.make_up_for_lost();
        }
        let flushed = self.flush_queue();
        self.tell_sources();
        self.ask_workers();
        flushed
    }

    /// What was on links that have broken: sources are asked to play segments again, words are said
    /// again, and mean nothing where they were heard before.
    fn make_up_for_lost(&mut self) {
        let mut back = RetriesBySource::default();
        for route in &mut self.routes {
            for (_, lost) in route.links.take_lost() {
                if let Lost::Segments(meta) = lost {
                    back.add_all(&meta);
                }
            }
        }
        self.told.extend(back.into_messages());
        for (acker, lost) in self.ackers.take_lost() {
            if let Lost::Word(message) = lost {
                self.push(To::Acker(acker), message);
            }
        }
        // Who was asked and did not hear it does not answer.
        drop(self.workers.take_lost());
        for (_, lost) in self.sources.take_lost() {
            if let Lost::Word(Message::Retries(retries)) = lost {
                self.tell(retries);
            }
        }
    }

    fn tell_sources(&mut self) {
        for retries in std::mem::take(&mut self.told) {
            let (source, message) = (retries.source, Message::Retries(retries));
            match self.sources.try_send(&*self.transport, source, message) {
                Ok(()) => {}
                Err(TrySendError::Full(Message::Retries(back))) => self.told.push_back(back),
                // A source that is gone has taken its pending set along.
                Err(_) => self.counters.add(Count::Misdirected, 1),
            }
        }
    }

    /// Who is not asked does not answer, and is asked again.
    fn ask_workers(&mut self) {
        for (peer, inquiry) in std::mem::take(&mut self.asked) {
            let message = Message::Inquiry(inquiry);
            match self.workers.try_send(&*self.transport, peer, message) {
                Err(TrySendError::Full(Message::Inquiry(back))) => {
                    self.asked.push_back((peer, back));
                }
                Err(_) => self.counters.add(Count::Misdirected, 1),
                Ok(()) => {}
            }
        }
    }

    fn flush_queue(&mut self) -> Flushed {
        while let Some(Parcel { to, message }) = self.queue.pop_front() {
            let sent = match to {
                To::Route(index) => self.routes[index].send(&*self.transport, message),
                To::Acker(peer) => self.ackers.try_send(&*self.transport, peer, message),
            };
            match (sent, to) {
                (Ok(()), _) => {}
                // An acker that cannot be reached has died, and its ledger with it, or the link broke
                // and what was on it is lost. Those who read the roots can only play them again.
                (Err(TrySendError::Closed(Message::Acks(acks))), To::Acker(acker)) => {
                    self.counters.add(Count::Misdirected, 1);
                    let groups = acks.groups.into_iter().map(|group| (acker, group));
                    self.undelivered.extend(groups);
                }
                (Err(TrySendError::Full(message) | TrySendError::Closed(message)), _) => {
                    self.queue.push_front(Parcel { to, message });
                    return Flushed::Blocked;
                }
                (
                    Err(TrySendError::TooLarge {
                        message,
                        bytes,
                        limit,
                    }),
                    _,
                ) => {
                    tracing::error!(bytes, limit, "a message is too large for the transport");
                    self.counters.add(Count::Oversized, 1);
                    self.fail_first(&message, bytes, limit);
                    if let Some(message) = without_first(message) {
                        self.queue.push_front(Parcel { to, message });
                    }
                }
            }
        }
        Flushed::All
    }

    /// Takes out the acks that could not be delivered since this was asked last, with the ackers for
    /// which they were.
    pub(super) fn take_undelivered(&mut self) -> Vec<(PeerId, AckGroup)> {
        std::mem::take(&mut self.undelivered)
    }

    /// The root of a segment that can never be sent fails.
    fn fail_first(&mut self, message: &Message, bytes: usize, limit: usize) {
        let Message::Segments(segments) = message else {
            return;
        };
        if segments.batch.is_empty() {
            return;
        }
        let reason = format!(
            "a segment for task `{}` has {bytes} bytes on its way, and the transport carries at most \
             {limit}",
            segments.task
        );
        let mut back = RetriesBySource::default();
        back.add(segments.batch.meta(), 0, Cause::Failed, &reason);
        for retry in back.into_messages() {
            self.tell(retry);
        }
    }

    /// Tells the sources of acks that got lost.
    pub(super) fn give_back(&mut self, undelivered: Vec<(PeerId, AckGroup)>) {
        for (_, group) in undelivered {
            let retries = Retries {
                source: group.source,
                epoch: group.epoch,
                cause: Cause::Unacked,
                reason: String::new(),
                roots: group.acks.iter().map(|ack| ack.root).collect(),
            };
            self.tell(retries);
        }
    }

    /// Waits until the first message that is blocked may be taken, until a source has room for what
    /// it is to be told or a peer for what it is asked, or until a link has broken. Waits for ever when there is nothing of it, and
    /// when a task has no ready peer: a newer assignment has to come.
    pub(super) async fn writable(&mut self) {
        let sources: BTreeSet<PeerId> = self.told.iter().map(|retries| retries.source).collect();
        let workers: BTreeSet<PeerId> = self.asked.iter().map(|(peer, _)| *peer).collect();
        let (routes, ackers) = (&mut self.routes, &mut self.ackers);
        let first = self.queue.front().map(|parcel| parcel.to);
        let sent = async {
            match first {
                Some(To::Route(index)) => routes[index].links.any_ready().await,
                Some(To::Acker(peer)) => drop(ackers.ready(peer).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sent => {}
            () = self.sources.one_ready(&sources) => {}
            () = self.workers.one_ready(&workers) => {}
            // The next flush makes up for it.
            Ok(()) = self.broken.changed() => self.broken.mark_changed(),
        }
    }
}

impl Route {
    /// Gives the message to the next peer that has room; the message comes back when none has.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    fn send(
        &mut self,
        transport: &dyn Transport,
        mut message: Message,
    ) -> Result<(), TrySendError> {
        for offset in 0..self.peers.len() {
            let at = (self.turn + offset) % self.peers.len();
            match self.links.try_send(transport, self.peers[at], message) {
                Ok(()) => {
                    self.turn = at + 1;
                    return Ok(());
                }
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => message = back,
                too_large => return too_large,
            }
        }
        Err(TrySendError::Full(message))
    }
}

/// What is left when the first segment of a batch cannot be sent.
fn without_first(message: Message) -> Option<Message> {
    match message {
        Message::Segments(message) if message.batch.len() > 1 => {
            let (_, batch) = message.batch.split_at(1);
            Some(Message::Segments(SegmentsMessage { batch, ..message }))
        }
        _ => None,
    }
}
