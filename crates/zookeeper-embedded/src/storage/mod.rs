//! Durability: a folder with a log of transactions in segments, and snapshots of the whole state.
//!
//! What is on disk, and what is believed of it at a start, is recorded in `docs/decisions/0029`.

mod compaction;
mod error;
mod folder;
mod frame;
mod manifest;
mod queue;
mod recovery;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod whole;
#[cfg(test)]
mod whole_tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

pub use error::StorageError;
#[cfg(test)]
pub(crate) use folder::FILE_MODE;
pub(crate) use folder::private_file;
pub(crate) use queue::Queue;
pub(crate) use writer::{SnapshotPolicy, Tally, Writer};

use crate::state::Ledger;
use folder::Folder;
use manifest::{Extent, Manifest};
use recovery::Horizon;
use segment::{Format, Segment, Tail};

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
    whole::check(&folder, &found)?;
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
    let (segment, manifest) = begin(&folder, found.tail, zxid)?;
    info!(
        folder = %path.display(),
        zxid,
        snapshot = found.snapshot,
        replayed = found.replayed,
        "read the data folder"
    );
    let writer = Writer::new(folder, (segment, manifest), policy, zxid, found.replayed);
    Ok(Opened {
        ledger: found.ledger,
        writer,
    })
}

/// Goes on with the last segment, or begins one. What is read is on disk before the manifest says so,
/// and no file of the current format is there without a manifest.
fn begin(
    folder: &Folder,
    tail: Option<Tail>,
    last: i64,
) -> Result<(Segment, Manifest), StorageError> {
    let tail = tail.map(Segment::reopen).transpose()?;
    let extent = |segment: Option<&Segment>| Extent {
        segment: segment.map_or(0, Segment::first),
        last,
    };
    let mut manifest = Manifest::create(folder, extent(tail.as_ref()))?;
    whole::forget_acceptance(folder)?;
    let segment = match tail {
        Some(tail) if tail.format() == Format::Current => return Ok((tail, manifest)),
        _ => Segment::create(folder, last + 1)?,
    };
    manifest.note(extent(Some(&segment)))?;
    manifest.sync()?;
    Ok((segment, manifest))
}
