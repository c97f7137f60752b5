//! The files of this machine as jobs use them: which ones a job may read and write, who is writing one,
//! and destinations that are no regular file.

mod access;
mod destination;
mod folder;
mod in_place;
mod path_lock;
mod written_file;

pub use access::{Access, FileAccess, FolderError};
pub use destination::{Destination, NewFile, is_in_place};
pub use folder::{FileId, FileKind, Folder};
pub use in_place::InPlace;
pub use path_lock::PathLock;
pub use written_file::WrittenFile;
