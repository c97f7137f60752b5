//! Whether what a folder leads to is everything that was durable in it.

use std::fs;
use std::path::PathBuf;

use tracing::warn;

use super::StorageError;
use super::folder::Folder;
use super::frame::{Frames, Kind};
use super::manifest::{self, Extent};
use super::recovery::Found;

/// Refuses a state that is older than what the manifest knows, unless an operator accepts the loss.
pub(super) fn check(folder: &Folder, found: &Found) -> Result<(), StorageError> {
    let loss = match manifest::read(&folder.manifest())? {
        manifest::Found::Whole(_, extent) => lost(folder, found, extent)?,
        manifest::Found::Damaged => Some(unknown_end(folder, found, "cannot be read")),
        manifest::Found::Absent if has_new_files(folder)? => {
            Some(unknown_end(folder, found, "is missing"))
        }
        // An empty folder, or one of an earlier version, which wrote no manifest.
        manifest::Found::Absent => None,
    };
    let Some(loss) = loss else { return Ok(()) };
    if !folder.accept_loss().exists() {
        return Err(loss);
    }
    warn!(%loss, "goes on without transactions that may be missing, as `accept-loss` says");
    Ok(())
}

/// An accepted loss is accepted once: to be called when a new manifest is durable.
pub(super) fn forget_acceptance(folder: &Folder) -> Result<(), StorageError> {
    let path = folder.accept_loss();
    if path.exists() {
        fs::remove_file(&path).map_err(StorageError::io("remove", &path))?;
        folder.sync()?;
    }
    Ok(())
}

fn lost(
    folder: &Folder,
    found: &Found,
    known: Extent,
) -> Result<Option<StorageError>, StorageError> {
    let last = found.ledger.zxid();
    if last >= known.last {
        return Ok(None);
    }
    let file = folder.segment(known.segment);
    let is_there = file
        .try_exists()
        .map_err(StorageError::io("look for", &file))?;
    let problem = match &found.torn {
        _ if !is_there => "is missing".to_owned(),
        Some(torn) => format!("cannot be read from byte {} on", torn.offset),
        None => "was emptied or cut".to_owned(),
    };
    Ok(Some(StorageError::Lost {
        folder: folder.path().to_owned(),
        last,
        known: known.last,
        file,
        problem,
        accept: folder.accept_loss(),
    }))
}

fn unknown_end(folder: &Folder, found: &Found, problem: &'static str) -> StorageError {
    StorageError::UnknownEnd {
        manifest: folder.manifest(),
        problem,
        last: found.ledger.zxid(),
        accept: folder.accept_loss(),
    }
}

/// Whether any file was written by a version that wrote a manifest before.
fn has_new_files(folder: &Folder) -> Result<bool, StorageError> {
    let segments = folder
        .segments()?
        .into_iter()
        .map(|it| (it.path, Kind::Segment));
    let snapshots = folder.snapshots()?.into_iter();
    let snapshots = snapshots.map(|it| (it.path, Kind::Snapshot));
    for (path, kind) in segments.chain(snapshots) {
        if names_folder(&path, kind)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names_folder(path: &PathBuf, kind: Kind) -> Result<bool, StorageError> {
    let opened = fs::File::open(path).and_then(|file| Frames::open(file, kind));
    let opened = opened.map_err(StorageError::io("read", path))?;
    Ok(opened.is_ok_and(|frames| frames.folder().is_some()))
}
