//! The data folder: who has it, what its files are called, and the durability of their names.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::StorageError;

const SEGMENT: &str = "log.";
const SNAPSHOT: &str = "snapshot.";
const UNFINISHED: &str = "unfinished-snapshot";

/// A folder that this process has for itself until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The operating system gives the lock back however the process ends.
    _lock: File,
}

/// A file whose name tells a transaction: the first of a segment, the last of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Numbered {
    pub(crate) zxid: i64,
    pub(crate) path: PathBuf,
}

impl Folder {
    /// Creates the folder if need be, and takes it.
    pub(crate) fn take(path: &Path) -> Result<Self, StorageError> {
        if !path.exists() {
            let created_in = missing_parents(path);
            fs::create_dir_all(path).map_err(StorageError::io("create", path))?;
            // The name of the folder has to be as durable as what is in it.
            for parent in created_in {
                sync(parent)?;
            }
        }
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(StorageError::io("open", &lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StorageError::InUse {
                folder: path.to_owned(),
            },
            TryLockError::Error(source) => StorageError::io("lock", &lock_path)(source),
        })?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        let unfinished = folder.unfinished();
        if unfinished.exists() {
            fs::remove_file(&unfinished).map_err(StorageError::io("remove", &unfinished))?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Numbers have a fixed width, so that names sort as numbers do.
    pub(crate) fn segment(&self, first: i64) -> PathBuf {
        self.path.join(format!("{SEGMENT}{first:016x}"))
    }

    pub(crate) fn snapshot(&self, last: i64) -> PathBuf {
        self.path.join(format!("{SNAPSHOT}{last:016x}"))
    }

    /// Where a snapshot is written before it gets its name.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.path.join(UNFINISHED)
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Result<Vec<Numbered>, StorageError> {
        self.numbered(SEGMENT)
    }

    /// The snapshots, oldest first.
    pub(crate) fn snapshots(&self) -> Result<Vec<Numbered>, StorageError> {
        self.numbered(SNAPSHOT)
    }

    /// Makes names that were given, changed or taken away durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        sync(&self.path)
    }

    fn numbered(&self, prefix: &str) -> Result<Vec<Numbered>, StorageError> {
        let mut found = Vec::new();
        let entries = fs::read_dir(&self.path).map_err(StorageError::io("list", &self.path))?;
        for entry in entries {
            let path = entry.map_err(StorageError::io("list", &self.path))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_prefix(prefix));
            if let Some(zxid) = number.and_then(|digits| i64::from_str_radix(digits, 16).ok()) {
                found.push(Numbered { zxid, path });
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The folders that get a new entry when this one is created.
fn missing_parents(path: &Path) -> Vec<&Path> {
    let missing = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    missing.filter_map(Path::parent).collect()
}

fn sync(folder: &Path) -> Result<(), StorageError> {
    // The last ancestor of a relative path is the empty one.
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StorageError::io("sync", folder))
}
