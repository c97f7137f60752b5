//! Which links from other processes lead to an inbox: an inbox that finishes waits for them, and takes
//! no others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The links to one inbox.
#[derive(Default)]
pub(super) struct Threshold {
    shared: Arc<Shared>,
    shut: AtomicBool,
}

/// Counts for a link as long as it lives.
#[derive(Debug)]
#[cfg(feature = "aeron")]
pub(super) struct LinkedDoor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    links: Mutex<Links>,
    /// Notified when a link goes: an inbox that finishes waits for the last one.
    fewer: Notify,
}

#[derive(Debug, Default)]
struct Links {
    count: usize,
    /// No others are taken.
    is_barred: bool,
}

impl Threshold {
    /// Counts one more link. `None` if the inbox finishes.
    #[cfg(feature = "aeron")]
    pub(super) fn link(&self) -> Option<LinkedDoor> {
        let mut links = self.shared.links();
        if links.is_barred {
            return None;
        }
        links.count += 1;
        Some(LinkedDoor(self.shared.clone()))
    }

    /// Takes no more links.
    pub(super) fn bar(&self) {
        self.shared.links().is_barred = true;
    }

    /// Waits until there is no link.
    pub(super) async fn unlinked(&self) {
        while self.shared.links().count > 0 {
            // One that goes between both leaves word.
            self.shared.fewer.notified().await;
        }
    }

    /// Accepts no more messages, from any link.
    pub(super) fn shut(&self) {
        self.bar();
        self.shut.store(true, Ordering::SeqCst);
    }

    /// Whether it takes nothing more.
    #[cfg(feature = "aeron")]
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }
}

impl Shared {
    // A poisoned lock means that another thread panicked between two whole steps.
    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "aeron")]
impl Drop for LinkedDoor {
    fn drop(&mut self) {
        self.0.links().count -= 1;
        self.0.fewer.notify_one();
    }
}
