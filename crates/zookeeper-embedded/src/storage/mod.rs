//! Durability: a folder with a log of transactions in segments, and snapshots of the whole state.
//!
//! What is on disk, and what is believed of it at a start, is recorded in `docs/decisions/0029`.

mod compaction;
mod error;
mod folder;
mod frame;
mod queue;
mod recovery;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

pub use error::StorageError;
pub(crate) use queue::Queue;
pub(crate) use writer::{SnapshotPolicy, Tally, Writer};

use crate::state::Ledger;
use folder::Folder;
use recovery::Horizon;
use segment::Segment;

/// What a folder held, and the writer that goes on from there.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) ledger: Ledger,
    pub(crate) writer: Writer,
}

/// Takes the folder for this process, and reads what it holds.
pub(crate) fn open(path: &Path, policy: SnapshotPolicy) -> Result<Opened, StorageError> {
    let folder = Arc::new(Folder::take(path)?);
    let found = recovery::recover(&folder, Horizon::Everything)?;
    if let Some(torn) = &found.torn {
        warn!(
            file = %torn.file.display(),
            offset = torn.offset,
            bytes = torn.bytes,
            "dropped the torn end of the log, which nobody was told of"
        );
    }
    folder.sync()?;
    let zxid = found.ledger.zxid();
    let segment = match found.tail {
        Some(tail) => Segment::reopen(tail)?,
        None => Segment::create(&folder, zxid + 1)?,
    };
    info!(
        folder = %path.display(),
        zxid,
        snapshot = found.snapshot,
        replayed = found.replayed,
        "read the data folder"
    );
    let writer = Writer::new(folder, segment, policy, zxid, found.replayed);
    Ok(Opened {
        ledger: found.ledger,
        writer,
    })
}
