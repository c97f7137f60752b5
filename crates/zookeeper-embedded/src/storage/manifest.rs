//! The manifest: how far the log was durable, and which folder the files belong to.
//!
//! Without it, a folder whose newest segment was removed, emptied or cut looks like one that is whole.
//! The manifest is rewritten after every group, in place and without a sync of its own: what it says was
//! durable before, so that an older copy, which a loss of power may leave, claims less and never more.
//! It is synced where a segment begins and where the server stops.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StorageError;
use super::folder::{Folder, private_file};
use super::frame::FolderId;

const MAGIC: [u8; 8] = *b"zkembMAN";
const VERSION: u32 = 1;

/// Magic, version, folder, count of writes, segment, last transaction, checksum.
const SLOT_BYTES: usize = 48;

/// Two copies in blocks of their own are written in turn, so that a torn write leaves the other.
const SLOTS: [u64; 2] = [0, 4096];

/// The manifest of a folder, open for writing.
#[derive(Debug)]
pub(crate) struct Manifest {
    file: File,
    path: PathBuf,
    record: Record,
}

/// How far the log was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first transaction of the segment that was being written; 0 if there was none yet.
    pub(crate) segment: i64,
    /// The last transaction that was durable.
    pub(crate) last: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    folder: FolderId,
    writes: u64,
    extent: Extent,
}

/// What there is of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Whole(FolderId, Extent),
    Absent,
    /// Neither of the two copies can be read.
    Damaged,
}

impl Manifest {
    /// Makes a manifest in the place of any that is there. It is durable afterwards, name and all.
    pub(crate) fn create(folder: &Folder, extent: Extent) -> Result<Self, StorageError> {
        let (path, unfinished) = (folder.manifest(), folder.unfinished_manifest());
        let record = Record {
            folder: folder.id(),
            writes: 0,
            extent,
        };
        let file = create(&unfinished, &record).map_err(StorageError::io("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(StorageError::io("rename to", &path))?;
        folder.sync()?;
        Ok(Self { file, path, record })
    }

    /// Writes down how far the log is durable by now; the operating system puts it on disk some time.
    pub(crate) fn note(&mut self, extent: Extent) -> Result<(), StorageError> {
        self.record.extent = extent;
        self.record.writes += 1;
        let slot = SLOTS[usize::from(self.record.writes % 2 == 1)];
        self.file
            .write_all_at(&self.record.encode(), slot)
            .map_err(StorageError::io("write to", &self.path))
    }

    /// Puts what was noted on disk.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        self.file
            .sync_data()
            .map_err(StorageError::io("sync", &self.path))
    }
}

fn create(path: &Path, record: &Record) -> io::Result<File> {
    let file = private_file(path)?;
    for slot in SLOTS {
        file.write_all_at(&record.encode(), slot)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Reads a manifest.
pub(crate) fn read(path: &Path) -> Result<Found, StorageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(StorageError::io("read", path)(error)),
    };
    let copies = SLOTS.iter().filter_map(|slot| {
        let from = usize::try_from(*slot).ok()?;
        Record::decode(bytes.get(from..from + SLOT_BYTES)?)
    });
    let newest = copies.max_by_key(|record| record.writes);
    Ok(newest.map_or(Found::Damaged, |record| {
        Found::Whole(record.folder, record.extent)
    }))
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.folder.to_bytes());
        bytes.extend(self.writes.to_be_bytes());
        bytes.extend(self.extent.segment.to_be_bytes());
        bytes.extend(self.extent.last.to_be_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let body = body.strip_prefix(&MAGIC)?;
        let body = body.strip_prefix(&VERSION.to_be_bytes())?;
        let (numbers, _) = body.as_chunks::<8>();
        let [folder, writes, segment, last] = numbers else {
            return None;
        };
        Some(Self {
            folder: FolderId::from_bytes(*folder),
            writes: u64::from_be_bytes(*writes),
            extent: Extent {
                segment: i64::from_be_bytes(*segment),
                last: i64::from_be_bytes(*last),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(writes: u64) -> Record {
        Record {
            folder: FolderId::from_bytes([7; 8]),
            writes,
            extent: Extent {
                segment: 11,
                last: 20,
            },
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = record(3).encode();
        assert_eq!(bytes.len(), SLOT_BYTES);
        assert_eq!(Record::decode(&bytes), Some(record(3)));
    }

    #[test]
    fn a_record_with_any_wrong_bit_is_none() {
        let bytes = record(3).encode();
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&wrong), None, "bit {bit}");
        }
    }
}
