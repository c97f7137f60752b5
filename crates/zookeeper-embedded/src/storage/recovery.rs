//! What a folder says: the newest snapshot that can be believed, and the log from there on.

use std::fs::{self, File};
use std::path::PathBuf;

use tracing::warn;

use super::StorageError;
use super::folder::{Folder, Numbered};
use super::frame::{self, BadHead, FILE_HEAD, Flaw, Frames, Kind};
use super::segment::{Format, Tail};
use super::snapshot;
use crate::jute::Decoder;
use crate::state::{Ledger, Transaction};

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Horizon {
    /// To the end of the log, which a crash may have torn.
    Everything,
    /// Up to this transaction, which closes a segment.
    Closed(i64),
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) ledger: Ledger,
    /// The last transaction of the snapshot that was used.
    pub(crate) snapshot: Option<i64>,
    /// Transactions that came from the log.
    pub(crate) replayed: u64,
    pub(crate) torn: Option<Torn>,
    /// The segment to go on with, if there is one.
    pub(crate) tail: Option<Tail>,
}

/// What a crash left of the last group, which was never durable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) file: PathBuf,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Whether a crash can be to blame for the end of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Last,
    Earlier,
}

/// Reads the state that the folder holds.
pub(crate) fn recover(folder: &Folder, horizon: Horizon) -> Result<Found, StorageError> {
    let mut segments = folder.segments()?;
    if let Horizon::Closed(last) = horizon {
        segments.retain(|segment| segment.zxid <= last);
    }
    let (ledger, snapshot) = newest_snapshot(folder, &segments)?;
    let mut found = Found {
        ledger,
        snapshot,
        replayed: 0,
        torn: None,
        tail: None,
    };
    // A segment is of use if the next one begins behind what is known already.
    let next = found.ledger.zxid() + 1;
    let first = segments.partition_point(|segment| segment.zxid <= next);
    let segments = &segments[first.saturating_sub(1)..];
    for (index, segment) in segments.iter().enumerate() {
        let expected = found.ledger.zxid() + 1;
        if segment.zxid > expected {
            return Err(StorageError::Gap {
                folder: folder.path().to_owned(),
                from: expected,
                next: segment.path.clone(),
            });
        }
        let is_last = index + 1 == segments.len() && horizon == Horizon::Everything;
        let place = if is_last { Place::Last } else { Place::Earlier };
        replay(folder, segment, place, &mut found)?;
    }
    if let Horizon::Closed(last) = horizon {
        let found = found.ledger.zxid();
        if found != last {
            return Err(StorageError::Short { found, last });
        }
    }
    Ok(found)
}

fn newest_snapshot(
    folder: &Folder,
    segments: &[Numbered],
) -> Result<(Ledger, Option<i64>), StorageError> {
    let mut newest_problem = None;
    for Numbered { zxid, path } in folder.snapshots()?.into_iter().rev() {
        match snapshot::read(&path, folder.id()) {
            Ok(ledger) => return Ok((ledger, Some(zxid))),
            Err(problem) => {
                warn!(file = %path.display(), %problem, "cannot use a snapshot, trying the one before");
                let problem = problem.to_string();
                newest_problem.get_or_insert(StorageError::NoSnapshot {
                    file: path,
                    problem,
                });
            }
        }
    }
    let log_is_whole = segments.first().is_none_or(|segment| segment.zxid == 1);
    match newest_problem {
        Some(problem) if segments.is_empty() || !log_is_whole => Err(problem),
        _ => Ok((Ledger::new(0), None)),
    }
}

/// Replays a segment onto what was found so far.
fn replay(
    folder: &Folder,
    segment: &Numbered,
    place: Place,
    found: &mut Found,
) -> Result<(), StorageError> {
    let path = &segment.path;
    let reading = || StorageError::io("read", path);
    let file = File::open(path).map_err(reading())?;
    let size = file.metadata().map_err(reading())?.len();
    let mut frames = match Frames::open(file, Kind::Segment).map_err(reading())? {
        Ok(frames) => frames,
        Err(bad) => return judge_head(segment, place, &bad, size, found),
    };
    if frames.folder().is_some_and(|other| other != folder.id()) {
        return Err(StorageError::OtherFolder { file: path.clone() });
    }
    let mut last = segment.zxid - 1;
    loop {
        let offset = frames.position();
        match frames.next().map_err(reading())? {
            Ok(Some(group)) => {
                last = replay_group(&group, found).map_err(|problem| StorageError::Damaged {
                    file: path.clone(),
                    offset,
                    problem,
                })?;
            }
            Ok(None) => break,
            Err(flaw) => {
                judge_flaw(segment, place, &flaw, &frames, found)?;
                break;
            }
        }
    }
    // A snapshot can be ahead of a log that somebody has cut.
    let goes_on_here = last == found.ledger.zxid();
    found.tail = goes_on_here.then(|| Tail {
        first: segment.zxid,
        format: match frames.folder() {
            Some(_) => Format::Current,
            None => Format::Old,
        },
        path: path.clone(),
        length: frames.position(),
        salt: frames.salt(),
    });
    Ok(())
}

/// Answers with the number of the last transaction.
fn replay_group(group: &[u8], found: &mut Found) -> Result<i64, String> {
    let mut bytes = Decoder::new(group);
    let mut last = 0;
    while !bytes.is_empty() {
        let transaction = Transaction::decode(&mut bytes).map_err(|error| error.to_string())?;
        last = transaction.stamp.zxid;
        if transaction.stamp.zxid <= found.ledger.zxid() {
            continue;
        }
        found
            .ledger
            .replay(&transaction)
            .map_err(|error| error.to_string())?;
        found.replayed += 1;
    }
    Ok(last)
}

/// A segment gets its header before anything is written to it: without one it is a new one that a
/// crash prevented, or none of ours.
fn judge_head(
    segment: &Numbered,
    place: Place,
    bad: &BadHead,
    size: u64,
    found: &mut Found,
) -> Result<(), StorageError> {
    let was_just_begun = size <= FILE_HEAD as u64 && !matches!(bad, BadHead::Version(_));
    if place == Place::Last && was_just_begun {
        // The next one takes its name, and its place.
        found.tail = None;
        return Ok(());
    }
    if matches!(bad, BadHead::Cut) {
        // It was emptied: what it held is missing before the next one.
        return Ok(());
    }
    Err(StorageError::Foreign {
        file: segment.path.clone(),
        problem: bad.to_string(),
    })
}

fn judge_flaw(
    segment: &Numbered,
    place: Place,
    flaw: &Flaw,
    frames: &Frames,
    found: &mut Found,
) -> Result<(), StorageError> {
    let (path, offset) = (&segment.path, frames.position());
    let bytes = fs::read(path).map_err(StorageError::io("read", path))?;
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    // The first byte belongs to the bad frame.
    let more_follows = frame::holds_frame(rest.get(1..).unwrap_or_default(), frames.salt());
    if place == Place::Earlier || more_follows {
        let behind = match place {
            Place::Earlier => "and there are later segments",
            Place::Last => "and good records follow",
        };
        return Err(StorageError::Damaged {
            file: path.clone(),
            offset,
            problem: format!("{flaw}, {behind}"),
        });
    }
    found.torn = Some(Torn {
        file: path.clone(),
        offset,
        bytes: frames.length() - offset,
    });
    Ok(())
}
