//! The thread that makes transactions durable, and has snapshots made now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tracing::{error, info};

use super::StorageError;
use super::compaction::compact;
use super::folder::Folder;
use super::manifest::{Extent, Manifest};
use super::queue::{Group, Queue};
use super::segment::Segment;
use super::snapshot::Written;
use crate::statistics::Counter;

/// Writes groups of transactions, one after the other.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: Arc<Folder>,
    segment: Segment,
    manifest: Manifest,
    policy: SnapshotPolicy,
    /// The last transaction that is durable.
    last: i64,
    /// What the next snapshot would save from being replayed.
    since_snapshot: Backlog,
    /// A snapshot is not made before the log has grown by as much as the last one had.
    snapshot_bytes: u64,
    compaction: Option<Compaction>,
    tally: Arc<Tally>,
}

/// When to make a snapshot: whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotPolicy {
    pub(crate) transactions: u64,
    pub(crate) bytes: u64,
}

/// What a writer has done.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) syncs: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) failed_snapshots: Counter,
}

#[derive(Clone, Copy, Debug, Default)]
struct Backlog {
    transactions: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Compaction {
    /// Answers with the size of the snapshot.
    thread: JoinHandle<u64>,
    called_off: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn new(
        folder: Arc<Folder>,
        (segment, manifest): (Segment, Manifest),
        policy: SnapshotPolicy,
        last: i64,
        replayed: u64,
    ) -> Self {
        let since_snapshot = Backlog {
            transactions: replayed,
            bytes: 0,
        };
        Self {
            folder,
            segment,
            manifest,
            policy,
            last,
            since_snapshot,
            snapshot_bytes: 0,
            compaction: None,
            tally: Arc::default(),
        }
    }

    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Writes until the queue is closed and empty. Tells after every group how far the log is
    /// durable.
    pub(crate) fn run(
        mut self,
        queue: &Queue,
        durable: impl FnMut(i64),
    ) -> Result<(), StorageError> {
        let written = self.write(queue, durable);
        if let Some(compaction) = self.compaction.take() {
            compaction.called_off.store(true, Ordering::Relaxed);
            self.await_snapshot(compaction);
        }
        written
    }

    fn write(&mut self, queue: &Queue, mut durable: impl FnMut(i64)) -> Result<(), StorageError> {
        let mut group = Group::default();
        while queue.take(&mut group) {
            self.segment.append(&group.bytes)?;
            self.tally.syncs.increment();
            // Before others know of it, so that its loss is noticed.
            self.manifest.note(self.extent(group.last))?;
            durable(group.last);
            self.since_snapshot.transactions += (group.last - self.last).unsigned_abs();
            self.since_snapshot.bytes += group.bytes.len() as u64;
            self.last = group.last;
            if self.is_snapshot_due() {
                self.begin_snapshot()?;
            }
        }
        self.manifest.sync()
    }

    fn extent(&self, last: i64) -> Extent {
        Extent {
            segment: self.segment.first(),
            last,
        }
    }

    fn is_snapshot_due(&self) -> bool {
        let Backlog {
            transactions,
            bytes,
        } = self.since_snapshot;
        let is_much = transactions >= self.policy.transactions || bytes >= self.policy.bytes;
        is_much && bytes >= self.snapshot_bytes
    }

    /// Closes the segment, and has a snapshot made of everything up to here.
    fn begin_snapshot(&mut self) -> Result<(), StorageError> {
        match self.compaction.take() {
            Some(compaction) if !compaction.thread.is_finished() => {
                self.compaction = Some(compaction);
                return Ok(());
            }
            Some(compaction) => self.await_snapshot(compaction),
            None => {}
        }
        self.segment = Segment::create(&self.folder, self.last + 1)?;
        self.manifest.note(self.extent(self.last))?;
        self.manifest.sync()?;
        self.since_snapshot = Backlog::default();
        let (folder, last, tally) = (self.folder.clone(), self.last, self.tally.clone());
        let called_off = Arc::new(AtomicBool::new(false));
        let flag = called_off.clone();
        let thread = thread::Builder::new()
            .name("zookeeper-snapshot".to_owned())
            .spawn(move || tally.conclude(compact(&folder, last, &flag), last))
            .map_err(StorageError::io("start a thread for", self.folder.path()))?;
        self.compaction = Some(Compaction { thread, called_off });
        Ok(())
    }

    fn await_snapshot(&mut self, compaction: Compaction) {
        match compaction.thread.join() {
            Ok(bytes) => self.snapshot_bytes = bytes,
            Err(_) => {
                self.tally.failed_snapshots.increment();
                error!("making a snapshot panicked; the log grows on");
            }
        }
    }
}

impl Tally {
    /// Without a snapshot the log is longer, and as good; so that is no reason to stop.
    fn conclude(&self, made: Result<Written, StorageError>, last: i64) -> u64 {
        match made {
            Ok(Written::Whole(bytes)) => {
                self.snapshots.increment();
                info!(zxid = last, bytes, "a snapshot is made");
                bytes
            }
            Ok(Written::CalledOff) => 0,
            Err(problem) => {
                self.failed_snapshots.increment();
                error!(zxid = last, %problem, "cannot make a snapshot; the log grows on");
                0
            }
        }
    }
}
