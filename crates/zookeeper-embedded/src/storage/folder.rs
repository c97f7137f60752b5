//! The data folder: which process has it, what its files are called, who may read them, and the
//! durability of their names.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::StorageError;
use super::frame::{FolderId, Frames, Kind};
use super::manifest;
use crate::secret;

const SEGMENT: &str = "log.";
const SNAPSHOT: &str = "snapshot.";
const UNFINISHED: &str = "unfinished-snapshot";
const LOCK: &str = "lock";
const MANIFEST: &str = "manifest";
const UNFINISHED_MANIFEST: &str = "unfinished-manifest";
const ACCEPT_LOSS: &str = "accept-loss";

/// Names of the log besides those of segments and snapshots.
const NAMES: [&str; 5] = [LOCK, MANIFEST, UNFINISHED, UNFINISHED_MANIFEST, ACCEPT_LOSS];

/// What file systems put into an empty folder themselves.
const OF_FILE_SYSTEMS: &str = "lost+found";

/// Only the user of the server reads and writes the files, …
pub(crate) const FILE_MODE: u32 = 0o600;
/// … and sees what is in the folder.
const FOLDER_MODE: u32 = 0o700;
const OTHERS: u32 = 0o077;

/// A folder that this process has for itself until the value is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    id: FolderId,
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
        if path.exists() {
            refuse_other_files(path)?;
        } else {
            create(path)?;
        }
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(FILE_MODE)
            .open(&lock_path)
            .map_err(StorageError::io("open", &lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StorageError::InUse {
                folder: path.to_owned(),
            },
            TryLockError::Error(source) => StorageError::io("lock", &lock_path)(source),
        })?;
        close_to_others(path)?;
        let folder = Self {
            path: path.to_owned(),
            id: id(path)?,
            _lock: lock,
        };
        for unfinished in [folder.unfinished(), folder.unfinished_manifest()] {
            if unfinished.exists() {
                fs::remove_file(&unfinished).map_err(StorageError::io("remove", &unfinished))?;
            }
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What files of this folder begin with.
    pub(crate) fn id(&self) -> FolderId {
        self.id
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

    pub(crate) fn manifest(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    pub(crate) fn unfinished_manifest(&self) -> PathBuf {
        self.path.join(UNFINISHED_MANIFEST)
    }

    /// A file that an operator creates to go on without transactions that are missing.
    pub(crate) fn accept_loss(&self) -> PathBuf {
        self.path.join(ACCEPT_LOSS)
    }

    /// The segments, oldest first.
    pub(crate) fn segments(&self) -> Result<Vec<Numbered>, StorageError> {
        numbered(&self.path, SEGMENT)
    }

    /// The snapshots, oldest first.
    pub(crate) fn snapshots(&self) -> Result<Vec<Numbered>, StorageError> {
        numbered(&self.path, SNAPSHOT)
    }

    /// Makes names that were given, changed or taken away durable.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        sync(&self.path)
    }
}

/// Creates or empties a file that only the user of the server may use, to write it.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.mode(FILE_MODE).open(path)
}

fn numbered(folder: &Path, prefix: &str) -> Result<Vec<Numbered>, StorageError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if let Some(zxid) = number(&path, prefix) {
            found.push(Numbered { zxid, path });
        }
    }
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<_>>()
    });
    listed.map_err(StorageError::io("list", folder))
}

fn name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn number(path: &Path, prefix: &str) -> Option<i64> {
    let digits = name(path).strip_prefix(prefix)?;
    i64::from_str_radix(digits, 16).ok()
}

fn is_ours(path: &Path) -> bool {
    let is_numbered = [SEGMENT, SNAPSHOT]
        .iter()
        .any(|prefix| number(path, prefix).is_some());
    is_numbered || NAMES.contains(&name(path)) || secret::NAMES.contains(&name(path))
}

/// A folder of other files is not taken: others lose access to what is in a data folder, and of a folder
/// that holds a database of another kind nothing would be found.
fn refuse_other_files(path: &Path) -> Result<(), StorageError> {
    let entries = entries(path)?;
    if entries.iter().any(|entry| is_ours(entry)) {
        return Ok(());
    }
    let is_other = |entry: &&PathBuf| {
        let name = name(entry);
        !name.starts_with('.') && name != OF_FILE_SYSTEMS
    };
    match entries.iter().find(is_other) {
        Some(other) => Err(StorageError::OtherFiles {
            folder: path.to_owned(),
            file: other.clone(),
        }),
        None => Ok(()),
    }
}

/// Creates the folder for the user of this process alone, and the folders above it as usual.
fn create(path: &Path) -> Result<(), StorageError> {
    let created_in = missing_parents(path);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent).map_err(StorageError::io("create", parent))?;
    }
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(StorageError::io("create", path))?;
    // The name of the folder has to be as durable as what is in it.
    created_in.into_iter().try_for_each(sync)
}

/// Takes access to the folder and its files away from other users, who had it from earlier versions.
fn close_to_others(path: &Path) -> Result<(), StorageError> {
    let files = entries(path)?.into_iter().filter(|entry| is_ours(entry));
    for path in files.chain([path.to_owned()]) {
        let metadata = fs::metadata(&path).map_err(StorageError::io("look at", &path))?;
        let mode = metadata.permissions().mode();
        if mode & OTHERS == 0 {
            continue;
        }
        // The owner of a mounted folder may be another user.
        if let Err(problem) = fs::set_permissions(&path, Permissions::from_mode(mode & !OTHERS)) {
            warn!(
                path = %path.display(),
                %problem,
                "other users of this machine may reach the log, and this process cannot prevent it"
            );
        }
    }
    Ok(())
}

/// What the manifest says, or else the newest file that names a folder; a new number for a folder
/// without either.
fn id(path: &Path) -> Result<FolderId, StorageError> {
    if let manifest::Found::Whole(id, _) = manifest::read(&path.join(MANIFEST))? {
        return Ok(id);
    }
    for (prefix, kind) in [(SEGMENT, Kind::Segment), (SNAPSHOT, Kind::Snapshot)] {
        for file in numbered(path, prefix)?.into_iter().rev() {
            let opened = File::open(&file.path).and_then(|opened| Frames::open(opened, kind));
            let opened = opened.map_err(StorageError::io("read", &file.path))?;
            if let Some(id) = opened.ok().and_then(|frames| frames.folder()) {
                return Ok(id);
            }
        }
    }
    Ok(FolderId::draw())
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
