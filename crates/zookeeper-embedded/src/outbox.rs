//! The outgoing bytes of one connection, bounded.
//!
//! What shows a transaction that is not durable yet is held back until it is, and so is everything
//! behind it. A client that reads slowly is not served further requests until it has caught up. If the
//! notifications that others cause pile up nevertheless, the connection is given up.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// With more than this waiting, no further request of the client is served.
const HIGH_WATER: usize = 256 << 10;

/// With more than this waiting, a further notification ends the connection.
const LIMIT: usize = 4 << 20;

/// Bytes on their way to a client, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pending: Mutex<Pending>,
    filled: Notify,
    emptied: Notify,
    aborted: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many of the bytes may leave.
    free: usize,
    /// What holds the others back, in order.
    holds: VecDeque<Hold>,
    stage: Stage,
}

/// Bytes up to `end` that wait for a transaction to be durable.
#[derive(Debug)]
struct Hold {
    zxid: i64,
    end: usize,
}

/// When bytes may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    AtOnce,
    WhenDurable(i64),
}

/// Whether anything is still held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    All,
    Some,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// What is here still goes out, nothing more comes in.
    Finishing,
    Aborted,
}

/// Whether a notification found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    Exceeded,
}

impl Outbox {
    /// Appends an answer. There is always room for one, because requests wait for room.
    pub(crate) fn push_answer(&self, leaves: Leaves, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.lock();
        if pending.stage == Stage::Open {
            self.append(&mut pending, leaves, encode);
        }
    }

    /// Appends what the client did not ask for right now; too much of it ends the connection.
    pub(crate) fn push_notification(
        &self,
        leaves: Leaves,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Room {
        let mut pending = self.lock();
        if pending.stage == Stage::Open && pending.bytes.len() > LIMIT {
            drop(pending);
            self.abort();
            return Room::Exceeded;
        }
        if pending.stage == Stage::Open {
            self.append(&mut pending, leaves, encode);
        }
        Room::Enough
    }

    /// Transactions up to this one are durable.
    pub(crate) fn release(&self, durable: i64) -> Released {
        let mut pending = self.lock();
        while let Some(hold) = pending.holds.pop_front_if(|hold| hold.zxid <= durable) {
            pending.free = hold.end;
        }
        if pending.free > 0 {
            self.filled.notify_one();
        }
        if pending.holds.is_empty() {
            Released::All
        } else {
            Released::Some
        }
    }

    /// Lets the connection end once everything is written.
    pub(crate) fn finish(&self) {
        let mut pending = self.lock();
        if pending.stage == Stage::Open {
            pending.stage = Stage::Finishing;
        }
        self.filled.notify_one();
    }

    /// Ends the connection at once.
    pub(crate) fn abort(&self) {
        let mut pending = self.lock();
        pending.stage = Stage::Aborted;
        pending.bytes = Vec::new();
        pending.holds.clear();
        pending.free = 0;
        self.aborted.notify_one();
    }

    /// Waits for the end that [`Outbox::abort`] asks for. For one waiter.
    pub(crate) async fn aborted(&self) {
        self.aborted.notified().await;
    }

    /// Waits until another request may be served. For one waiter.
    pub(crate) async fn room(&self) {
        while self.lock().bytes.len() > HIGH_WATER {
            self.emptied.notified().await;
        }
    }

    /// The next bytes to write, or `None` after the last. For one waiter.
    pub(crate) async fn take(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut pending = self.lock();
                if pending.free > 0 {
                    self.emptied.notify_one();
                    return Some(pending.take_free());
                }
                if pending.bytes.is_empty() && pending.stage != Stage::Open {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    fn append(&self, pending: &mut Pending, leaves: Leaves, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut pending.bytes);
        let end = pending.bytes.len();
        match (leaves, pending.holds.back_mut()) {
            (Leaves::AtOnce, None) => {
                pending.free = end;
                self.filled.notify_one();
            }
            (Leaves::AtOnce, Some(hold)) => hold.end = end,
            (Leaves::WhenDurable(zxid), Some(hold)) if hold.zxid == zxid => hold.end = end,
            (Leaves::WhenDurable(zxid), _) => pending.holds.push_back(Hold { zxid, end }),
        }
    }

    /// A panic elsewhere cannot leave half a frame behind, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn take_free(&mut self) -> Vec<u8> {
        let taken = mem::take(&mut self.free);
        let held = self.bytes.split_off(taken);
        for hold in &mut self.holds {
            hold.end -= taken;
        }
        mem::replace(&mut self.bytes, held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(outbox: &Outbox, length: usize) {
        outbox.push_answer(Leaves::AtOnce, |bytes| {
            bytes.resize(bytes.len() + length, 0);
        });
    }

    fn hold(outbox: &Outbox, zxid: i64, byte: u8) {
        outbox.push_answer(Leaves::WhenDurable(zxid), |bytes| bytes.push(byte));
    }

    #[tokio::test]
    async fn what_shows_a_transaction_waits_for_the_disk_and_so_does_what_is_behind_it() {
        let outbox = Outbox::default();
        fill(&outbox, 1);
        hold(&outbox, 5, 5);
        hold(&outbox, 5, 5);
        hold(&outbox, 7, 7);
        outbox.finish();
        assert_eq!(outbox.take().await, Some(vec![0]));
        assert_eq!(outbox.release(4), Released::Some);
        assert_eq!(outbox.release(6), Released::Some);
        assert_eq!(outbox.take().await, Some(vec![5, 5]));
        assert_eq!(outbox.release(7), Released::All);
        assert_eq!(outbox.take().await, Some(vec![7]));
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn what_was_pushed_before_the_end_still_goes_out() {
        let outbox = Outbox::default();
        fill(&outbox, 3);
        outbox.finish();
        fill(&outbox, 5);
        assert_eq!(outbox.take().await, Some(vec![0; 3]));
        assert_eq!(outbox.take().await, None);
    }

    #[tokio::test]
    async fn requests_wait_for_room() {
        let outbox = Outbox::default();
        fill(&outbox, HIGH_WATER + 1);
        let (taken, ()) = tokio::join!(outbox.take(), outbox.room());
        assert_eq!(taken.map(|bytes| bytes.len()), Some(HIGH_WATER + 1));
    }

    #[tokio::test]
    async fn too_many_notifications_end_the_connection() {
        let outbox = Outbox::default();
        fill(&outbox, LIMIT);
        assert_eq!(
            outbox.push_notification(Leaves::AtOnce, |bytes| bytes.push(1)),
            Room::Enough
        );
        assert_eq!(
            outbox.push_notification(Leaves::AtOnce, |bytes| bytes.push(1)),
            Room::Exceeded
        );
        outbox.aborted().await;
        assert_eq!(outbox.take().await, None);
    }
}
