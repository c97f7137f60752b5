//! Why durability cannot be had.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a data folder cannot be used, or not any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has the folder.
    #[error(
        "{folder} is in use by another server; stop that one first, or choose another data-dir",
        folder = folder.display()
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder in question.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not what was written, and it cannot be what a crash leaves behind.
    #[error(
        "{file} is damaged at byte {offset}: {problem}. Restore it from a backup; or, to give up \
         everything from there on, cut it (truncate -s {offset} {file}) and move all `log.*` files \
         with higher numbers away",
        file = file.display()
    )]
    Damaged {
        /// The segment.
        file: PathBuf,
        /// Where the first bad record begins.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// No snapshot can be read, and the log does not reach back to the beginning.
    #[error(
        "no snapshot can be read (the newest is {file}: {problem}), and the log before it is gone; \
         restore one from a backup",
        file = file.display()
    )]
    NoSnapshot {
        /// The newest snapshot.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A segment is not there.
    #[error(
        "transactions from {from} on are missing in {folder}, but {next} holds later ones; restore \
         the missing `log.*` files from a backup, or move the later ones away to give them up",
        folder = folder.display(),
        next = next.display()
    )]
    Gap {
        /// The data folder.
        folder: PathBuf,
        /// The first transaction that is missing.
        from: i64,
        /// The first segment behind the gap.
        next: PathBuf,
    },
    /// A bug.
    #[error("the writer of the log panicked; please report what it said")]
    Panicked,
    /// A file that this version of the server did not write.
    #[error(
        "{file} was not written by this version of the server ({problem}); choose another data-dir",
        file = file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// How that can be seen.
        problem: String,
    },
}

impl StorageError {
    /// For `map_err`: names what was tried, and on which file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
