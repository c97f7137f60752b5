//! The receiving end, the same for every transport.

use super::Message;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Messages for one virtual peer, in the order in which each sender sent them. Dropping it closes it.
pub struct Inbox {
    messages: mpsc::Receiver<Message>,
    counts: Arc<InboxCounts>,
    on_close: Option<Box<dyn FnOnce() + Send>>,
}

/// What an inbox has seen since it was opened.
#[derive(Debug, Default)]
pub struct InboxCounts {
    received: AtomicU64,
    full: AtomicU64,
}

impl Inbox {
    /// An inbox for so many messages, and where to put them. A capacity of 0 counts as 1.
    pub(super) fn new(
        capacity: usize,
        on_close: impl FnOnce() + Send + 'static,
    ) -> (Self, mpsc::Sender<Message>, Arc<InboxCounts>) {
        let (sender, messages) = mpsc::channel(capacity.max(1));
        let counts = Arc::new(InboxCounts::default());
        let inbox = Inbox {
            messages,
            counts: counts.clone(),
            on_close: Some(Box::new(on_close)),
        };
        (inbox, sender, counts)
    }

    /// Takes nothing more: what is here already can still be read.
    pub fn close(&mut self) {
        self.messages.close();
    }

    /// The next message, if one is there.
    pub fn try_next(&mut self) -> Option<Message> {
        let message = self.messages.try_recv().ok()?;
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        Some(message)
    }

    /// The next message, as soon as one is there; nothing when the transport is gone.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.messages.recv().await?;
        self.counts.received.fetch_add(1, Ordering::Relaxed);
        Some(message)
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages can wait.
    pub fn capacity(&self) -> usize {
        self.messages.max_capacity()
    }

    /// What was seen so far.
    pub fn counts(&self) -> &InboxCounts {
        &self.counts
    }
}

impl InboxCounts {
    /// How many messages were taken out.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How often a sender found no room.
    pub fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn count_full(&self) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // Links must find it closed before its name is free for another.
        self.messages.close();
        if let Some(on_close) = self.on_close.take() {
            on_close();
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} of {} messages)", self.len(), self.capacity())
    }
}
