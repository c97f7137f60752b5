//! A lock on a path: one writer at a time, in whatever process it is.
//!
//! It is a lock of the kernel on a file beside the path, `.NAME.lock`, which also says who has it. The lock
//! ends with its holder, however that ends; the file is removed when the holder ends in order.
//!
//! Of two holders with the same name (job, task and slot) the later one is the successor, as coordination
//! has decided. It waits for the earlier one, and takes over from one that does not end: a process that is
//! stopped keeps its lock.

use super::folder::{FileId, Folder};
use crate::stop_flag::StopFlag;
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts.
const POLL: Duration = Duration::from_millis(5);
/// For how long a successor waits for its predecessor.
#[cfg(not(test))]
const PREDECESSOR_WAIT: Duration = Duration::from_secs(5);
#[cfg(test)]
const PREDECESSOR_WAIT: Duration = Duration::from_millis(5);
/// For how long a holder may take to write who it is.
const NAME_WAIT: Duration = Duration::from_secs(1);

/// What is read of the file of another.
const HOLDER_BYTES_MAX: u64 = 4096;

/// A path that is this holder's, until it is dropped.
#[derive(Debug)]
pub struct PathLock {
    folder: Arc<Folder>,
    name: OsString,
    /// `None` if the file system has no locks.
    held: Option<HeldFile>,
}

/// The file that is locked, while it is open.
#[derive(Debug)]
struct HeldFile {
    file: File,
    id: FileId,
}

impl PathLock {
    /// Locks the path of a file in a folder. `holder` names the writer. While another holder has the lock it
    /// is refused, with the name of that one.
    pub fn acquire(
        folder: &Arc<Folder>,
        file: &OsStr,
        holder: &str,
        stop: &StopFlag,
    ) -> io::Result<PathLock> {
        let name = name_of_lock(file);
        let mut waited = Duration::ZERO;
        loop {
            let file = folder.overwrite(&name)?;
            match file.try_lock() {
                Ok(()) => {
                    let id = FileId::of_file(&file)?;
                    // The last holder may have removed the file meanwhile.
                    if folder.regular(&name)? == Some(id) {
                        return PathLock::held(folder, name, HeldFile { file, id }, holder);
                    }
                }
                Err(TryLockError::WouldBlock) => {
                    if Wait::of(&file, holder, waited)? == Wait::Over {
                        return taken_over(folder, name, holder);
                    }
                    if stop.is_set() {
                        return Err(io::Error::other("the job has ended"));
                    }
                    pause();
                    waited += POLL;
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    let file = name.to_string_lossy().into_owned();
                    tracing::warn!(file, "no locks on this file system, second writers pass");
                    folder.remove(&name)?;
                    let (folder, held) = (folder.clone(), None);
                    return Ok(PathLock { folder, name, held });
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Writes into the file who has it.
    fn held(
        folder: &Arc<Folder>,
        name: OsString,
        mut held: HeldFile,
        holder: &str,
    ) -> io::Result<PathLock> {
        held.file.set_len(0)?;
        let text = format!("{holder}\n{}\n", this_process());
        held.file.write_all(text.as_bytes())?;
        Ok(PathLock {
            folder: folder.clone(),
            name,
            held: Some(held),
        })
    }
}

/// Removes the file, then closes it, which releases the lock.
impl Drop for PathLock {
    fn drop(&mut self) {
        let Some(HeldFile { id, .. }) = self.held else {
            return;
        };
        // A successor that has taken over has another file of this name.
        let removed = match self.folder.regular(&self.name) {
            Ok(Some(found)) if found == id => self.folder.remove(&self.name),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let file = self.name.to_string_lossy();
            tracing::warn!(%file, %error, "lock file not removed");
        }
    }
}

fn name_of_lock(file: &OsStr) -> OsString {
    let mut name = OsString::from(".");
    name.push(file);
    name.push(".lock");
    name
}

/// What to do while another has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    GoesOn,
    /// The predecessor had its time.
    Over,
}

impl Wait {
    fn of(file: &File, holder: &str, waited: Duration) -> io::Result<Wait> {
        let other = read_holder(file)?;
        let mut lines = other.lines();
        match lines.next() {
            Some(name) if name == holder && waited < PREDECESSOR_WAIT => Ok(Wait::GoesOn),
            Some(name) if name == holder => Ok(Wait::Over),
            None if waited < NAME_WAIT => Ok(Wait::GoesOn),
            None => Err(refused("another process")),
            Some(_) => Err(refused(&other.lines().collect::<Vec<_>>().join(", "))),
        }
    }
}

/// Puts a file of its own in the place of a predecessor's that does not end.
fn taken_over(folder: &Arc<Folder>, name: OsString, holder: &str) -> io::Result<PathLock> {
    let mut own = name.clone();
    own.push(format!(".{}", std::process::id()));
    folder.remove(&own)?;
    let file = folder.overwrite(&own)?;
    file.try_lock().map_err(io::Error::from)?;
    let id = FileId::of_file(&file)?;
    folder.rename(&own, &name)?;
    tracing::warn!(
        holder,
        "output file taken over from a predecessor that still holds it"
    );
    PathLock::held(folder, name, HeldFile { file, id }, holder)
}

fn read_holder(mut file: &File) -> io::Result<String> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HOLDER_BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn this_process() -> String {
    let mut words = std::env::args().take(2);
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    let verb = words.next().unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!(
        "process {} (`{}`) on {}",
        std::process::id(),
        format!("{program} {verb}").trim(),
        host.trim()
    )
}

fn refused(holder: &str) -> io::Error {
    let text =
        format!("it is being written by {holder}; wait for that to end, or name another file");
    io::Error::new(ErrorKind::ResourceBusy, text)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a plugin may block its thread, and the wait has a bound"
)]
fn pause() {
    std::thread::sleep(POLL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HOLDER: &str = "job 1, task write, slot 0";

    fn folder_in(path: &Path) -> Arc<Folder> {
        Arc::new(Folder::open(path).unwrap())
    }

    fn lock(folder: &Arc<Folder>, holder: &str) -> io::Result<PathLock> {
        PathLock::acquire(folder, OsStr::new("out"), holder, &StopFlag::default())
    }

    #[test]
    fn another_holder_is_refused_until_the_lock_is_released() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder_in(temporary.path());
        let held = lock(&folder, HOLDER).unwrap();
        let error = lock(&folder, "job 2, task write, slot 0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        let text = error.to_string();
        let process = format!("process {} (`", std::process::id());
        for part in ["it is being written by", HOLDER, process.as_str()] {
            assert!(text.contains(part), "{text}");
        }
        drop(held);
        assert_eq!(folder.names().unwrap(), Vec::<OsString>::new());
        drop(lock(&folder, "job 2, task write, slot 0").unwrap());
        assert_eq!(folder.names().unwrap(), Vec::<OsString>::new());
    }

    #[test]
    fn a_lock_file_without_a_process_that_holds_it_locks_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let left = temporary.path().join(".out.lock");
        std::fs::write(&left, "job 7, task write, slot 0\nprocess 1\n").unwrap();
        let folder = folder_in(temporary.path());
        let held = lock(&folder, HOLDER).unwrap();
        let text = std::fs::read_to_string(&left).unwrap();
        assert!(text.starts_with(HOLDER), "{text}");
        drop(held);
        assert!(!left.exists());
    }

    #[test]
    fn a_successor_takes_over_from_a_holder_that_does_not_end() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder_in(temporary.path());
        let predecessor = lock(&folder, HOLDER).unwrap();
        let successor = lock(&folder, HOLDER).unwrap();
        // What the predecessor releases late is not the successor's.
        drop(predecessor);
        lock(&folder, "job 2, task write, slot 0").unwrap_err();
        drop(successor);
        assert_eq!(folder.names().unwrap(), Vec::<OsString>::new());
    }

    #[test]
    fn of_many_writers_at_once_one_has_the_lock() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = folder_in(temporary.path());
        let writers = (0..8).map(|writer| {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let holder = format!("job {writer}");
                (0..50).filter(|_| lock(&folder, &holder).is_ok()).count()
            })
        });
        let writers: Vec<_> = writers.collect();
        let had: usize = writers.into_iter().map(|it| it.join().unwrap()).sum();
        assert!(had > 0);
        assert_eq!(folder.names().unwrap(), Vec::<OsString>::new());
    }
}
