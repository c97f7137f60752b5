//! Snapshots: the whole state behind one transaction.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use super::StorageError;
use super::folder::{Folder, private_file};
use super::frame::{self, BadHead, Flaw, FolderId, Frames, Kind, Salt};
use crate::jute::Garbled;
use crate::state::{Assembly, Ledger, pieces};

/// About how much of a state goes into one frame.
const FRAME_BYTES: usize = 256 << 10;

/// How writing a snapshot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is durable, and has so many bytes.
    Whole(u64),
    /// The server ends; there is no snapshot.
    CalledOff,
}

/// Why a snapshot cannot be believed.
#[derive(Debug, Error)]
pub(crate) enum Corrupt {
    #[error(transparent)]
    Head(#[from] BadHead),
    #[error(transparent)]
    Flaw(#[from] Flaw),
    #[error(transparent)]
    Garbled(#[from] Garbled),
    #[error("its end is missing")]
    Unsealed,
    #[error("it was written in another data folder")]
    OtherFolder,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a snapshot under another name and gives it its own when it is durable.
pub(crate) fn write(
    folder: &Folder,
    ledger: &Ledger,
    called_off: &AtomicBool,
) -> Result<Written, StorageError> {
    let unfinished = folder.unfinished();
    let written = write_file(&unfinished, folder.id(), ledger, called_off)
        .map_err(StorageError::io("write", &unfinished))?;
    match written {
        Written::Whole(_) => {
            let path = folder.snapshot(ledger.zxid());
            fs::rename(&unfinished, &path).map_err(StorageError::io("rename to", &path))?;
            folder.sync()?;
        }
        Written::CalledOff => {
            fs::remove_file(&unfinished).map_err(StorageError::io("remove", &unfinished))?;
        }
    }
    Ok(written)
}

fn write_file(
    path: &Path,
    folder: FolderId,
    ledger: &Ledger,
    called_off: &AtomicBool,
) -> io::Result<Written> {
    let salt = Salt::draw();
    let mut file = BufWriter::new(private_file(path)?);
    file.write_all(&frame::head(Kind::Snapshot, salt, folder))?;
    let (mut payload, mut bytes) = (Vec::new(), Vec::new());
    for piece in pieces(ledger) {
        if payload.len() >= FRAME_BYTES {
            if called_off.load(Ordering::Relaxed) {
                return Ok(Written::CalledOff);
            }
            frame::frame(salt, &payload, &mut bytes);
            file.write_all(&bytes)?;
            payload.clear();
        }
        piece.encode(&mut payload);
    }
    frame::frame(salt, &payload, &mut bytes);
    file.write_all(&bytes)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(Written::Whole(file.metadata()?.len()))
}

/// Reads a snapshot of this folder to its end.
pub(crate) fn read(path: &Path, folder: FolderId) -> Result<Ledger, Corrupt> {
    let mut frames = Frames::open(File::open(path)?, Kind::Snapshot)??;
    if frames.folder().is_some_and(|other| other != folder) {
        return Err(Corrupt::OtherFolder);
    }
    let mut assembly = Assembly::new();
    while let Some(payload) = frames.next()?? {
        assembly.take_all(&payload)?;
    }
    assembly.finish().ok_or(Corrupt::Unsealed)
}
