//! What a path for writing leads to: a regular file, which gets its name when it is whole, or something
//! that is written in place.

use super::access::{Access, FileAccess};
use super::folder::{FileKind, Folder};
use super::in_place::InPlace;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is written to.
#[derive(Debug)]
pub enum Destination {
    /// A regular file, or nothing yet.
    File(NewFile),
    /// A pipe, a device, or a standard stream of the process.
    InPlace(InPlace),
}

/// The name of a file that is written or replaced, behind all links.
#[derive(Debug)]
pub struct NewFile {
    /// The folder of it, which exists.
    pub folder: Arc<Folder>,
    /// The name in the folder.
    pub name: OsString,
    /// Both, for people.
    pub path: PathBuf,
}

/// Links that lead to links; the kernel follows as many.
const LINKS_MAX: usize = 40;

/// What a path leads to behind all links.
enum End {
    /// The descriptor of a process with this number, as `/dev/stdout` leads to `/proc/self/fd/1`.
    Descriptor(u32, PathBuf),
    /// A path that is no link.
    Path(PathBuf),
}

/// Whether a path leads to something that is written in place.
pub fn is_in_place(path: &Path) -> bool {
    match end_of_links(path) {
        Ok(End::Descriptor(..)) => true,
        Ok(End::Path(path)) => fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()),
        Err(_) => false,
    }
}

fn end_of_links(path: &Path) -> io::Result<End> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINKS_MAX {
        if let Some(number) = descriptor(&path) {
            return Ok(End::Descriptor(number, path));
        }
        let Ok(link) = fs::read_link(&path) else {
            return Ok(End::Path(path));
        };
        path = path.parent().unwrap_or(Path::new("/")).join(link);
    }
    Err(refused("it is a link to a link, and so on without an end"))
}

fn descriptor(path: &Path) -> Option<u32> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = path.parent()?.canonicalize().ok()?;
    let is_of_process = folder.starts_with("/proc") && folder.file_name()? == "fd";
    is_of_process.then_some(number)
}

impl FileAccess {
    /// Finds out what a path leads to, and opens the folder of it, which is made if it is missing. A link
    /// is followed: what it leads to is written, and the link stays.
    pub fn destination(&self, path: &Path) -> io::Result<Destination> {
        match end_of_links(path)? {
            End::Path(path) => self.unlinked(path),
            End::Descriptor(_, path) if self.folders(Access::Write).is_some() => {
                Err(self.refusal(&path, Access::Write))
            }
            End::Descriptor(number, path) => {
                InPlace::of_descriptor(number, &path).map(Destination::InPlace)
            }
        }
    }

    fn unlinked(&self, path: PathBuf) -> io::Result<Destination> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused("it is a folder; name a file in it"));
        };
        let folder = self.folder_to_write(folder)?;
        let name = name.to_owned();
        match folder.kind(&name)? {
            None | Some(FileKind::Regular(_)) => {
                let folder = Arc::new(folder);
                Ok(Destination::File(NewFile { folder, name, path }))
            }
            Some(FileKind::Pipe | FileKind::CharacterDevice) => {
                InPlace::of_name(folder, name).map(Destination::InPlace)
            }
            Some(FileKind::Folder) => Err(refused("it is a folder; name a file in it")),
            Some(FileKind::BlockDevice) => Err(refused(
                "it is a disk, which rows would destroy; name a file or a pipe",
            )),
            Some(FileKind::Socket) => Err(refused(
                "it is a socket; name a file or a pipe, or write to a pipe of `socat`",
            )),
            Some(FileKind::Link) => Err(refused("it has become a link while it was opened")),
        }
    }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn destination(path: &Path) -> io::Result<Destination> {
        FileAccess::default().destination(path)
    }

    #[test]
    fn a_link_leads_to_the_file_that_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        symlink("sub/target", at("link")).unwrap();
        symlink(at("link"), at("sub/link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let found = |name: &str| match destination(&at(name)).unwrap() {
            Destination::File(file) => file.path,
            Destination::InPlace(_) => panic!("{name} is a file"),
        };
        assert_eq!(found("sub/link"), at("sub/target"));
        assert_eq!(found("new/folder/file"), at("new/folder/file"));
        let error = destination(&at("loop")).unwrap_err();
        insta::assert_snapshot!(error, @"it is a link to a link, and so on without an end");
    }

    #[test]
    fn a_standard_stream_or_a_device_is_written_in_place_and_never_replaced() {
        for path in ["/dev/stdout", "/dev/fd/2", "/proc/self/fd/1", "/dev/null"] {
            let found = destination(Path::new(path)).unwrap();
            assert!(matches!(found, Destination::InPlace(_)), "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = destination(&socket).unwrap_err();
        insta::assert_snapshot!(error, @"it is a socket; name a file or a pipe, or write to a pipe of `socat`");
        let error = destination(folder.path()).unwrap_err();
        insta::assert_snapshot!(error, @"it is a folder; name a file in it");
    }

    #[test]
    fn a_job_that_is_bound_to_folders_writes_to_no_stream_of_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let bound = FileAccess::within(&[], &[folder.path().into()]).unwrap();
        let error = bound.destination(Path::new("/dev/stdout")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(bound.destination(&folder.path().join("a/b")).is_ok());
        let error = bound.destination(&folder.path().join("../b")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}
