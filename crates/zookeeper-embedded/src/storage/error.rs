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
         everything from there on, cut it (truncate -s {offset} {file}), move all `log.*` files \
         with higher numbers away and create the file accept-loss beside it",
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
         the `log.*` and `snapshot.*` files that are missing or empty from a backup; or, to give up \
         the later ones, move them away and create the file accept-loss in that folder",
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
    /// The end of the log is not there.
    #[error(
        "the log in {folder} ends with transaction {last}, but all up to {known} were on disk: {file} \
         {problem}. Restore the folder from a backup; or, to go on without the transactions that are \
         missing, create the file {accept} and start again",
        folder = folder.display(),
        file = file.display(),
        accept = accept.display()
    )]
    Lost {
        /// The data folder.
        folder: PathBuf,
        /// The last transaction that was found.
        last: i64,
        /// The last transaction that is known to have been on disk.
        known: i64,
        /// The segment that was written last.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The file that accepts the loss.
        accept: PathBuf,
    },
    /// Nothing tells where the log ended.
    #[error(
        "{manifest} {problem}, so that nothing tells whether the log, which ends with transaction \
         {last}, is whole. Restore the folder from a backup; or, if it is whole or to go on without \
         what may be missing, create the file {accept} and start again",
        manifest = manifest.display(),
        accept = accept.display()
    )]
    UnknownEnd {
        /// The file that tells where the log ended.
        manifest: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// The last transaction that was found.
        last: i64,
        /// The file that accepts the loss.
        accept: PathBuf,
    },
    /// Closed segments hold less than was written to them.
    #[error("the closed segments end with transaction {found} instead of {last}")]
    Short {
        /// The last transaction that was found.
        found: i64,
        /// The last transaction that was written.
        last: i64,
    },
    /// A segment of another folder.
    #[error(
        "{file} was written in another data folder; put the file of this folder in its place, or move \
         it away",
        file = file.display()
    )]
    OtherFolder {
        /// The segment.
        file: PathBuf,
    },
    /// The folder is used for something else.
    #[error(
        "{folder} holds other files, such as {file}, and none of this server; a data-dir is a folder of \
         its own: choose one that is empty, or that does not exist yet",
        folder = folder.display(),
        file = file.display()
    )]
    OtherFiles {
        /// The folder that was to be the data folder.
        folder: PathBuf,
        /// One of its files.
        file: PathBuf,
    },
    /// The file of the secret says nothing.
    #[error(
        "{file} is empty; write a secret into it, or remove it to have another one made",
        file = file.display()
    )]
    NoSecret {
        /// The file.
        file: PathBuf,
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
