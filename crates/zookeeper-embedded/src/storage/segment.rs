//! A segment: the transactions from one number on, in groups that became durable together.
//!
//! A group is one frame. The next one is written only after the one before is durable, so a bad
//! frame with a good one behind it is damage, and no crash can have caused it.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StorageError;
use super::folder::{Folder, private_file};
use super::frame::{self, FolderId, Kind, Salt};

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Segment {
    first: i64,
    format: Format,
    file: File,
    path: PathBuf,
    salt: Salt,
    buffer: Vec<u8>,
}

/// Where the last segment ends, as far as it can be believed.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) first: i64,
    pub(crate) format: Format,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) salt: Salt,
}

/// Whether a segment names its folder, as those do that have a manifest beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Old,
    Current,
}

/// Frames above this size are not kept as a buffer.
const KEPT_BUFFER: usize = 1 << 20;

impl Segment {
    /// Begins a segment. It is durable, name and all, before anything is written to it.
    pub(crate) fn create(folder: &Folder, first: i64) -> Result<Self, StorageError> {
        let path = folder.segment(first);
        let salt = Salt::draw();
        let file = create(&path, salt, folder.id()).map_err(StorageError::io("create", &path))?;
        folder.sync()?;
        Ok(Self {
            first,
            format: Format::Current,
            file,
            path,
            salt,
            buffer: Vec::new(),
        })
    }

    /// Goes on with a segment; what is behind its tail goes.
    pub(crate) fn reopen(tail: Tail) -> Result<Self, StorageError> {
        let Tail {
            first,
            format,
            path,
            length,
            salt,
        } = tail;
        let file = reopen(&path, length).map_err(StorageError::io("go on with", &path))?;
        Ok(Self {
            first,
            format,
            file,
            path,
            salt,
            buffer: Vec::new(),
        })
    }

    /// The number of its first transaction.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Writes a group of transactions and returns when they are durable.
    ///
    /// After an error nobody knows what is on disk, so nothing may be written any more.
    pub(crate) fn append(&mut self, group: &[u8]) -> Result<(), StorageError> {
        frame::frame(self.salt, group, &mut self.buffer);
        self.file
            .write_all(&self.buffer)
            .map_err(StorageError::io("write to", &self.path))?;
        self.buffer.shrink_to(KEPT_BUFFER);
        self.file
            .sync_data()
            .map_err(StorageError::io("sync", &self.path))
    }
}

fn create(path: &Path, salt: Salt, folder: FolderId) -> std::io::Result<File> {
    let mut file = private_file(path)?;
    file.write_all(&frame::head(Kind::Segment, salt, folder))?;
    file.sync_all()?;
    Ok(file)
}

fn reopen(path: &Path, length: u64) -> std::io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() != length {
        file.set_len(length)?;
    }
    // What a killed writer had not synced yet was read all the same, and is about to be shown.
    file.sync_all()?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}
