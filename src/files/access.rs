//! Which files a job may read and write: those below some folders, or whatever the user of the process may.
//!
//! A path is opened first and judged afterwards, by where it had led: a link that is swapped in between
//! changes nothing.

use super::folder::Folder;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The folders below which jobs may read and write. Clones share them. The default is everything that the
/// user of the process may read and write.
#[derive(Clone, Debug, Default)]
pub struct FileAccess {
    read: Bounds,
    write: Bounds,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read it.
    Read,
    /// To write, replace or remove it.
    Write,
}

impl Access {
    fn verb(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }
}

#[derive(Clone, Debug, Default)]
enum Bounds {
    #[default]
    Everywhere,
    /// Below these folders, whose paths have no links in them.
    Within(Arc<[PathBuf]>),
}

/// A folder of the configuration that jobs cannot be bound to.
#[derive(Debug, thiserror::Error)]
#[error("files.{option}: {}: {reason}; make the folder, or name another", .folder.display())]
pub struct FolderError {
    option: &'static str,
    folder: PathBuf,
    reason: String,
}

impl FileAccess {
    /// Jobs read and write below these folders only. The folder `/` stands for everything.
    pub fn within(read: &[PathBuf], write: &[PathBuf]) -> Result<Self, FolderError> {
        Ok(FileAccess {
            read: Bounds::of(read, Access::Read)?,
            write: Bounds::of(write, Access::Write)?,
        })
    }

    /// The folders for a use; `None` if it is not restricted.
    pub fn folders(&self, access: Access) -> Option<&[PathBuf]> {
        match self.bounds(access) {
            Bounds::Everywhere => None,
            Bounds::Within(folders) => Some(folders),
        }
    }

    /// Opens a file to read it, with options that do not write.
    pub fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        match self.read {
            Bounds::Everywhere => options.open(path),
            Bounds::Within(_) => {
                let pinned = self.pin(path, Access::Read)?;
                options.open(pinned.link())
            }
        }
    }

    /// What kind of file it is, and how long, for a file that may be read.
    pub fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.read {
            Bounds::Everywhere => fs::metadata(path),
            Bounds::Within(_) => File::from(self.pin(path, Access::Read)?.0).metadata(),
        }
    }

    /// The names in a folder that may be read, in no order.
    pub fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let names = match self.read {
            Bounds::Everywhere => fs::read_dir(folder)?,
            // The folder stays pinned while it is listed.
            Bounds::Within(_) => {
                let pinned = self.pin(folder, Access::Read)?;
                let names = fs::read_dir(pinned.link())?;
                return names.map(|name| Ok(name?.file_name())).collect();
            }
        };
        names.map(|name| Ok(name?.file_name())).collect()
    }

    /// Whether a file may be used, or made where it is not there yet. What it leads to now decides; opening
    /// it decides again.
    pub fn check(&self, path: &Path, access: Access) -> io::Result<()> {
        if let Bounds::Everywhere = self.bounds(access) {
            return Ok(());
        }
        for existing in std::path::absolute(path)?.ancestors() {
            if let Ok(pinned) = Pinned::open(existing) {
                return self.permit(&pinned.real_path()?, path, access);
            }
        }
        Err(self.refusal(path, access))
    }

    /// Opens the folder of a file that is to be written, and makes it where it is missing.
    pub fn folder_to_write(&self, path: &Path) -> io::Result<Folder> {
        let path = std::path::absolute(path)?;
        if let Bounds::Everywhere = self.write {
            fs::create_dir_all(&path)?;
            return Folder::open(&path);
        }
        self.check(&path, Access::Write)?;
        let mut missing = Vec::new();
        let mut at = path.as_path();
        let mut folder = loop {
            match Folder::open(at) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let (Some(Component::Normal(name)), Some(parent)) =
                        (at.components().next_back(), at.parent())
                    else {
                        return Err(error);
                    };
                    missing.push(name);
                    at = parent;
                }
                opened => break opened?,
            }
        };
        self.permit(&real_path(folder.descriptor())?, &path, Access::Write)?;
        while let Some(name) = missing.pop() {
            folder = folder.made_within(name)?;
        }
        Ok(folder)
    }

    /// Pins what a path leads to, if that may be used.
    fn pin(&self, path: &Path, access: Access) -> io::Result<Pinned> {
        let pinned = match Pinned::open(path) {
            Ok(pinned) => pinned,
            Err(error) => {
                // The error of a path outside must not show whether it exists.
                self.check(path, access)?;
                return Err(error);
            }
        };
        self.permit(&pinned.real_path()?, path, access)?;
        Ok(pinned)
    }

    fn permit(&self, real: &Path, path: &Path, access: Access) -> io::Result<()> {
        match self.bounds(access) {
            Bounds::Everywhere => Ok(()),
            Bounds::Within(folders) if folders.iter().any(|it| real.starts_with(it)) => Ok(()),
            Bounds::Within(_) => Err(self.refusal(path, access)),
        }
    }

    pub(super) fn refusal(&self, path: &Path, access: Access) -> io::Error {
        let verb = access.verb();
        let folders = self.folders(access).unwrap_or_default();
        let allowed = match folders {
            [] => "in no folder".into(),
            folders => {
                let folders = folders.iter().map(|it| it.display().to_string());
                format!("only within {}", folders.collect::<Vec<_>>().join(", "))
            }
        };
        let text = format!(
            "jobs of this node {verb} {allowed}, and {} does not lead there; its operator sets the \
             folders with files.{verb}",
            path.display()
        );
        io::Error::new(ErrorKind::PermissionDenied, text)
    }

    fn bounds(&self, access: Access) -> &Bounds {
        match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        }
    }
}

impl Bounds {
    fn of(folders: &[PathBuf], access: Access) -> Result<Bounds, FolderError> {
        let mut within = Vec::with_capacity(folders.len());
        for folder in folders {
            let error = |reason: String| FolderError {
                option: access.verb(),
                folder: folder.clone(),
                reason,
            };
            let real = folder.canonicalize();
            let real = real.map_err(|cause| error(cause.to_string()))?;
            if !real.is_dir() {
                return Err(error("it is no folder".into()));
            }
            if real.parent().is_none() {
                return Ok(Bounds::Everywhere);
            }
            within.push(real);
        }
        Ok(Bounds::Within(within.into()))
    }
}

/// What a path led to when it was opened, neither to read nor to write; it stays that, whatever becomes of
/// the path.
struct Pinned(OwnedFd);

impl Pinned {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(Pinned(rustix::fs::open(path, flags, Mode::empty())?))
    }

    fn link(&self) -> PathBuf {
        link_of(self.0.as_raw_fd())
    }

    fn real_path(&self) -> io::Result<PathBuf> {
        real_path(&self.0)
    }
}

/// Where the kernel says that an open file is.
fn real_path(descriptor: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(link_of(descriptor.as_raw_fd())).map_err(|error| {
        let text = format!("cannot tell where it leads, without /proc/self/fd: {error}");
        io::Error::new(error.kind(), text)
    })
}

fn link_of(descriptor: RawFd) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

#[cfg(test)]
mod tests;
