//! Making a snapshot from what is on disk already: an older snapshot and closed segments.
//!
//! The server does not notice: nothing is copied from its state, and nobody waits. What comes out is
//! what a restart would have computed, and a damaged segment is found while it can still be mended.

use std::fs;
use std::sync::atomic::AtomicBool;

use super::StorageError;
use super::folder::Folder;
use super::recovery::{Horizon, recover};
use super::snapshot::{self, Written};

/// Snapshots to keep: the newest, and one in case it cannot be read.
const KEPT: usize = 2;

/// Writes the snapshot behind a transaction that closed a segment, and removes what is not needed
/// any more.
pub(crate) fn compact(
    folder: &Folder,
    last: i64,
    called_off: &AtomicBool,
) -> Result<Written, StorageError> {
    let found = recover(folder, Horizon::Closed(last))?;
    let written = snapshot::write(folder, &found.ledger, called_off)?;
    if written != Written::CalledOff {
        clean(folder)?;
    }
    Ok(written)
}

/// Keeps what two snapshots need: the log from the older one on, so that either can be the base.
fn clean(folder: &Folder) -> Result<(), StorageError> {
    let snapshots = folder.snapshots()?;
    let Some(spare) = snapshots.len().checked_sub(KEPT) else {
        // The first snapshot: should it be unreadable, the whole log is.
        return Ok(());
    };
    let segments = folder.segments()?;
    let base = snapshots[spare].zxid;
    let needed = segments.partition_point(|segment| segment.zxid <= base + 1);
    let old_segments = segments.iter().take(needed.saturating_sub(1));
    for old in snapshots.iter().take(spare).chain(old_segments) {
        fs::remove_file(&old.path).map_err(StorageError::io("remove", &old.path))?;
    }
    folder.sync()
}
