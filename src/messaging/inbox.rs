//! The receiving end, the same for every transport, and the door through which they deliver.

use super::Message;
use super::held::{Held, Ticket};
use super::threshold::Threshold;
use crate::ids::{JobId, TaskName};
use futures_util::FutureExt;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, TryAcquireError, mpsc};

#[cfg(feature = "aeron")]
use super::aeron::Takings;
#[cfg(feature = "aeron")]
use super::threshold::LinkedDoor;

/// Messages for one virtual peer, in the order in which each sender sent them. Dropping it closes it.
pub struct Inbox {
    parcels: mpsc::UnboundedReceiver<Parcel>,
    room: Arc<Room>,
    /// Of the batches that were taken out and not settled.
    unsettled: Vec<Ticket>,
    course: Course,
    on_close: Option<Box<dyn FnOnce() + Send>>,
}

/// How far an inbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Open,
    /// Its owner finishes what comes on the links that lead to it, and takes no others.
    Finishing,
    /// Nothing comes any more.
    Finished,
}

/// What an inbox has seen since it was opened.
#[derive(Debug, Default)]
pub struct InboxCounts {
    received: AtomicU64,
    full: AtomicU64,
}

/// Where messages for an inbox are put. Clones lead to the same inbox.
///
/// Who delivers from this process takes places first. Who delivers for another process has granted
/// it so many before. So the queue between door and inbox is bounded without a bound of
/// its own.
#[derive(Clone)]
pub(super) struct Door {
    parcels: mpsc::UnboundedSender<Parcel>,
    room: Arc<Room>,
    /// How many places the message needs that was turned away last.
    wanted: u32,
}

/// The places of an inbox for senders of this process. Closed with the inbox.
struct Room {
    places: Semaphore,
    capacity: u32,
    counts: InboxCounts,
    held: Held,
    /// For which task segments are taken; of any where it is not said.
    serves: OnceLock<(JobId, TaskName)>,
    threshold: Threshold,
}

/// A message, and who is told when it was taken out.
struct Parcel {
    message: Message,
    /// Of a batch of segments, which is held from now on.
    ticket: Option<Ticket>,
    receipt: Receipt,
}

enum Receipt {
    /// The places it had.
    Places(u32),
    /// The link on which it came from another process, and the places that it had there.
    #[cfg(feature = "aeron")]
    Link(Arc<Takings>, u64),
}

/// Why a door did not take a message, which this is.
pub(super) enum Turned {
    Full(Message),
    Closed(Message),
}

impl Inbox {
    /// An inbox with so many places, and its door. A capacity of 0 counts as 1.
    pub(super) fn new(capacity: usize, on_close: impl FnOnce() + Send + 'static) -> (Self, Door) {
        let (sender, parcels) = mpsc::unbounded_channel();
        let capacity = u32::try_from(capacity.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let capacity = capacity.max(1);
        let room = Arc::new(Room {
            places: Semaphore::new(capacity as usize),
            capacity,
            counts: InboxCounts::default(),
            held: Held::default(),
            serves: OnceLock::new(),
            threshold: Threshold::default(),
        });
        let inbox = Inbox {
            parcels,
            room: room.clone(),
            unsettled: Vec::new(),
            course: Course::Open,
            on_close: Some(Box::new(on_close)),
        };
        let parcels = sender;
        let door = Door {
            parcels,
            room,
            wanted: 1,
        };
        (inbox, door)
    }

    /// Takes nothing more: what is here already can still be read.
    pub fn close(&mut self) {
        self.room.places.close();
        self.parcels.close();
    }

    /// Segments of other tasks go back to a sender of this process: it has not read yet that the peer
    /// does something else.
    pub fn serve(&self, job: JobId, task: TaskName) {
        // An inbox is that of one task.
        let _ = self.room.serves.set((job, task));
    }

    /// Takes nothing more from senders of this process, which keep what they have, and no other links
    /// from elsewhere. What is on the links that there are still comes, until their senders leave them.
    pub fn finish(&mut self) {
        if self.course == Course::Open {
            self.course = Course::Finishing;
            self.room.places.close();
            self.room.threshold.bar();
        }
    }

    /// Whether an inbox that is to finish has: everything that was on the way to it has been read.
    pub fn is_finished(&self) -> bool {
        self.course == Course::Finished
    }

    /// The next message, if one is there.
    pub fn try_next(&mut self) -> Option<Message> {
        match self.course {
            Course::Open => {
                let parcel = self.parcels.try_recv().ok()?;
                Some(self.take(parcel))
            }
            Course::Finishing => self.next().now_or_never().flatten(),
            Course::Finished => None,
        }
    }

    /// The next message, as soon as one is there; nothing when the transport is gone, or when an inbox
    /// that is to finish has.
    pub async fn next(&mut self) -> Option<Message> {
        let parcel = match self.course {
            Course::Open => self.parcels.recv().await,
            Course::Finishing => self.next_of_the_last().await,
            Course::Finished => None,
        }?;
        Some(self.take(parcel))
    }

    async fn next_of_the_last(&mut self) -> Option<Parcel> {
        tokio::select! {
            biased;
            parcel = self.parcels.recv() => {
                if parcel.is_none() {
                    self.course = Course::Finished;
                }
                return parcel;
            }
            () = self.room.threshold.unlinked() => {}
        }
        // A sender of this process may be about to put what it has places for.
        self.parcels.close();
        let parcel = self.parcels.recv().await;
        if parcel.is_none() {
            self.course = Course::Finished;
        }
        parcel
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// How many places there are for messages from this process.
    pub fn capacity(&self) -> usize {
        self.room.capacity as usize
    }

    /// What was seen so far.
    pub fn counts(&self) -> &InboxCounts {
        &self.room.counts
    }

    /// Everything that was taken out has come to its end. Until then it counts as held.
    pub fn settle(&mut self) {
        if !self.unsettled.is_empty() {
            self.room.held.settle(self.unsettled.drain(..));
        }
    }

    fn take(&mut self, parcel: Parcel) -> Message {
        self.unsettled.extend(parcel.ticket);
        self.room.counts.received.fetch_add(1, Ordering::Relaxed);
        match parcel.receipt {
            Receipt::Places(places) => self.room.places.add_permits(places as usize),
            #[cfg(feature = "aeron")]
            Receipt::Link(takings, places) => takings.count(places),
        }
        parcel.message
    }
}

impl InboxCounts {
    /// How many messages were taken out.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How often a sender of this process found no room.
    pub fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }
}

impl Door {
    /// Puts a message where there are places for it. One that needs more than there are at all needs
    /// all of them.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    pub(super) fn try_put(&mut self, message: Message) -> Result<(), Turned> {
        if self.is_for_another_task(&message) {
            return Err(Turned::Closed(message));
        }
        let places = u32::try_from(message.places()).unwrap_or(u32::MAX);
        let places = places.min(self.room.capacity);
        match self.room.places.try_acquire_many(places) {
            Ok(taken) => taken.forget(),
            Err(TryAcquireError::NoPermits) => {
                self.room.counts.full.fetch_add(1, Ordering::Relaxed);
                self.wanted = places;
                return Err(Turned::Full(message));
            }
            Err(TryAcquireError::Closed) => return Err(Turned::Closed(message)),
        }
        let receipt = Receipt::Places(places);
        self.put(message, receipt).map_err(Turned::Closed)
    }

    fn is_for_another_task(&self, message: &Message) -> bool {
        match (message, self.room.serves.get()) {
            (Message::Segments(it), Some((job, task))) => it.job != *job || it.task != *task,
            _ => false,
        }
    }

    /// Waits until there are places for what was turned away last; false when the inbox has closed.
    pub(super) async fn has_room(&self) -> bool {
        self.room.places.acquire_many(self.wanted).await.is_ok()
    }

    /// Puts a message that its sender had been granted; false when the inbox has closed.
    #[cfg(feature = "aeron")]
    pub(super) fn put_granted(&self, message: Message, takings: &Arc<Takings>) -> bool {
        let receipt = Receipt::Link(takings.clone(), message.places());
        !self.is_closed() && self.put(message, receipt).is_ok()
    }

    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    fn put(&self, message: Message, receipt: Receipt) -> Result<(), Message> {
        let held = &self.room.held;
        let ticket = match &message {
            Message::Segments(it) => Some(held.put(it.batch.meta().roots())),
            _ => None,
        };
        let parcel = Parcel {
            message,
            ticket,
            receipt,
        };
        self.parcels.send(parcel).map_err(|back| {
            held.settle(ticket);
            back.0.message
        })
    }

    /// What the task behind the inbox has to work on.
    pub(super) fn held(&self) -> &Held {
        &self.room.held
    }

    /// How many places there are for messages of other processes.
    #[cfg(feature = "aeron")]
    pub(super) fn capacity(&self) -> u64 {
        self.room.capacity.into()
    }

    /// Whether the inbox takes nothing more, not even what is on its links.
    pub(super) fn is_closed(&self) -> bool {
        self.room.threshold.is_shut() || self.parcels.is_closed()
    }

    /// Whether the inbox takes nothing more from senders of this process.
    pub(super) fn is_closed_here(&self) -> bool {
        self.room.places.is_closed()
    }

    /// A link from another process that is to lead here. None when no other may.
    #[cfg(feature = "aeron")]
    pub(super) fn link(&self) -> Option<LinkedDoor> {
        match self.is_closed() {
            true => None,
            false => self.room.threshold.link(),
        }
    }

    /// Closes the inbox to every sender, although somebody may still hold and read it.
    pub(super) fn shut(&self) {
        self.room.places.close();
        self.room.threshold.shut();
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // Links must find it closed before its name is free for another.
        self.close();
        if let Some(on_close) = self.on_close.take() {
            on_close();
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Inbox({} messages, {} places)",
            self.len(),
            self.capacity()
        )
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door(to {} places)", self.room.capacity)
    }
}
