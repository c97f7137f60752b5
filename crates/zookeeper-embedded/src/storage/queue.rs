//! Transactions on their way to the disk. While one group is being synced, the next one gathers here.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// With more than this waiting, no further request is served.
const HIGH_WATER: usize = 16 << 20;

/// Buffers of this size are kept between groups; larger ones are returned.
const KEPT_BUFFER: usize = 1 << 20;

/// Where connections leave transactions and one writer takes them.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    group: Group,
    stage: Stage,
}

/// Transactions that become durable together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    /// The number of the last transaction.
    pub(crate) last: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// What is here is still written, nothing more comes in.
    Closed,
}

impl Queue {
    /// Takes over transactions that end with this number.
    pub(crate) fn push(&self, bytes: &mut Vec<u8>, last: i64) {
        let mut waiting = self.lock();
        if waiting.stage == Stage::Open {
            waiting.group.bytes.append(bytes);
            waiting.group.last = last;
            self.filled.notify_one();
        }
        bytes.clear();
        bytes.shrink_to(KEPT_BUFFER);
    }

    /// Waits for something to write, and swaps it for the group that was written; answers `false`
    /// after the last.
    pub(crate) fn take(&self, group: &mut Group) -> bool {
        group.bytes.clear();
        group.bytes.shrink_to(KEPT_BUFFER);
        let mut waiting = self.lock();
        while waiting.group.bytes.is_empty() {
            if waiting.stage == Stage::Closed {
                return false;
            }
            waiting = self
                .filled
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut waiting.group, group);
        drop(waiting);
        self.emptied.notify_waiters();
        true
    }

    /// Waits until another request may be served.
    pub(crate) async fn room(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().group.bytes.len() <= HIGH_WATER {
                return;
            }
            emptied.await;
        }
    }

    /// Nothing more comes in.
    pub(crate) fn close(&self) {
        self.lock().stage = Stage::Closed;
        self.filled.notify_one();
        self.emptied.notify_waiters();
    }

    /// Transactions are appended whole, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
