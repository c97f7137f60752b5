//! A folder that is open: names in it are used relative to it, and never through a link.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// An open folder. It stays the same one, whatever becomes of its path.
#[derive(Debug)]
pub struct Folder {
    descriptor: OwnedFd,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular(FileId),
    /// A folder.
    Folder,
    /// A named pipe.
    Pipe,
    /// A terminal, `/dev/null` and the like.
    CharacterDevice,
    /// A disk.
    BlockDevice,
    /// A socket.
    Socket,
    /// A link, which is not followed.
    Link,
}

impl Folder {
    /// Opens a folder that is there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Folder { descriptor })
    }

    /// Opens a folder within this one, and makes it if it is missing.
    pub(super) fn made_within(&self, name: &OsStr) -> io::Result<Folder> {
        match rustix::fs::mkdirat(&self.descriptor, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let descriptor = self.open_at(name, flags)?;
        Ok(Folder { descriptor })
    }

    /// Makes a file, to read and append to; fails if there is something of this name.
    pub fn create_new(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        Ok(self.open_at(name, flags)?.into())
    }

    /// Opens a file to read and append to, and makes it if it is missing.
    pub fn append(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        Ok(self.open_at(name, flags)?.into())
    }

    /// Opens a file to read and overwrite, and makes it if it is missing.
    pub(super) fn overwrite(&self, name: &OsStr) -> io::Result<File> {
        Ok(self.open_at(name, OFlags::RDWR | OFlags::CREATE)?.into())
    }

    /// Opens something that is there to write to it in place, without waiting for a reader.
    pub(super) fn write_in_place(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(self.open_at(name, flags)?.into())
    }

    fn open_at(&self, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(rustix::fs::openat(&self.descriptor, name, flags, mode)?)
    }

    /// Gives a file another name, in place of what has it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let folder = &self.descriptor;
        Ok(rustix::fs::renameat(folder, from, folder, to)?)
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What a name stands for; `None` if there is nothing of this name.
    pub fn kind(&self, name: &OsStr) -> io::Result<Option<FileKind>> {
        let found = rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW);
        let found = match found {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => FileKind::Folder,
            FileType::Fifo => FileKind::Pipe,
            FileType::CharacterDevice => FileKind::CharacterDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Socket => FileKind::Socket,
            FileType::Symlink => FileKind::Link,
            FileType::RegularFile | FileType::Unknown => FileKind::Regular(FileId::of(&found)),
        }))
    }

    /// The file of a name, if it is a regular one.
    pub fn regular(&self, name: &OsStr) -> io::Result<Option<FileId>> {
        Ok(match self.kind(name)? {
            Some(FileKind::Regular(id)) => Some(id),
            _ => None,
        })
    }

    /// The names in it, in no order.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStrExt;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.descriptor)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Syncs which names are in it.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.descriptor)?)
    }

    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}

impl FileId {
    fn of(found: &Stat) -> Self {
        FileId {
            device: found.st_dev,
            inode: found.st_ino,
        }
    }

    /// Of an open file.
    pub fn of_file(file: &File) -> io::Result<Self> {
        Ok(FileId::of(&rustix::fs::fstat(file)?))
    }
}
