//! What is written where it is and never replaced: pipes, terminals, devices, and the standard streams of
//! the process.

use super::folder::Folder;
use crate::stop_flag::StopFlag;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// A pipe takes as many bytes at once or none, so that a write behind a poll does not wait.
const CHUNK_BYTES: usize = 4096;

/// For how long a pipe without a reader is offered one.
const READER_WAIT: Duration = Duration::from_secs(30);
/// Between two attempts to open a pipe that has no reader, which nothing announces.
const READER_POLL: Duration = Duration::from_millis(20);

/// How long a write waits at once for a reader that is slow, before it looks whether the job has ended.
const STOP_POLL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Something that is written in place.
#[derive(Debug)]
pub struct InPlace(State);

#[derive(Debug)]
enum State {
    Open(File),
    /// A named pipe without a reader, which cannot be opened yet.
    WithoutReader(Folder, OsString),
}

impl InPlace {
    /// A stream that the process was started with, 1 or 2, or another of its descriptors.
    pub(super) fn of_descriptor(number: u32, path: &Path) -> io::Result<Self> {
        // These share the place in the file with the other writers of the stream.
        let file = match number {
            1 => io::stdout().as_fd().try_clone_to_owned()?.into(),
            2 => io::stderr().as_fd().try_clone_to_owned()?.into(),
            _ => OpenOptions::new().append(true).open(path)?,
        };
        Ok(InPlace(State::Open(file)))
    }

    /// A device, or a named pipe, which may have no reader yet.
    pub(super) fn of_name(folder: Folder, name: OsString) -> io::Result<Self> {
        Ok(InPlace(match opened(&folder, &name)? {
            Some(file) => State::Open(file),
            None => State::WithoutReader(folder, name),
        }))
    }

    /// Writes everything. Waits for a reader that is slow, and 30 s for one that is not there yet, unless it
    /// is stopped.
    pub fn write_all(&mut self, mut bytes: &[u8], stop: &StopFlag) -> io::Result<()> {
        let file = self.file(stop)?;
        while !bytes.is_empty() {
            let mut waited = [PollFd::new(&*file, PollFlags::OUT)];
            match poll(&mut waited, Some(&STOP_POLL)) {
                Ok(0) | Err(Errno::INTR) if stop.is_set() => return Err(stopped()),
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match file.write(&bytes[..bytes.len().min(CHUNK_BYTES)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    ErrorKind::BrokenPipe => {
                        let text = "its reader has left before everything was written";
                        return Err(io::Error::new(ErrorKind::BrokenPipe, text));
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Nothing more is written. A reader that came for nothing gets its end.
    pub fn finish(&mut self) -> io::Result<()> {
        if let State::WithoutReader(folder, name) = &self.0
            && let Some(file) = opened(folder, name)?
        {
            self.0 = State::Open(file);
        }
        Ok(())
    }

    fn file(&mut self, stop: &StopFlag) -> io::Result<&mut File> {
        if let State::WithoutReader(folder, name) = &self.0 {
            self.0 = State::Open(with_reader(folder, name, stop)?);
        }
        match &mut self.0 {
            State::Open(file) => Ok(file),
            State::WithoutReader(..) => Err(io::Error::other("the pipe was just opened")),
        }
    }
}

fn with_reader(folder: &Folder, name: &OsString, stop: &StopFlag) -> io::Result<File> {
    for _ in 0..READER_WAIT.as_millis() / READER_POLL.as_millis() {
        if let Some(file) = opened(folder, name)? {
            return Ok(file);
        }
        if stop.is_set() {
            return Err(stopped());
        }
        pause();
    }
    let text = format!(
        "no program has opened the pipe to read it within {} s; start the reader first",
        READER_WAIT.as_secs()
    );
    Err(io::Error::new(ErrorKind::TimedOut, text))
}

fn stopped() -> io::Error {
    io::Error::new(
        ErrorKind::Interrupted,
        "the job has ended before its reader took everything",
    )
}

/// `None` if it is a pipe without a reader.
fn opened(folder: &Folder, name: &OsString) -> io::Result<Option<File>> {
    match folder.write_in_place(name) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a plugin may block its thread, and the kernel announces no reader of a pipe"
)]
fn pause() {
    std::thread::sleep(READER_POLL);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Command;
    use std::thread;

    fn pipe() -> (tempfile::TempDir, InPlace) {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status();
        assert!(made.unwrap().success());
        let opened = Folder::open(folder.path()).unwrap();
        (folder, InPlace::of_name(opened, "pipe".into()).unwrap())
    }

    #[test]
    fn a_reader_that_comes_later_gets_everything() {
        let (folder, mut pipe) = pipe();
        let path = folder.path().join("pipe");
        let reader = thread::spawn(move || std::fs::read(path).unwrap());
        let written = vec![b'x'; 300_000];
        pipe.write_all(&written, &StopFlag::default()).unwrap();
        drop(pipe);
        assert_eq!(reader.join().unwrap(), written);
    }

    #[test]
    fn a_reader_that_leaves_is_an_error_of_the_write() {
        let (folder, mut pipe) = pipe();
        let path = folder.path().join("pipe");
        let reader = thread::spawn(move || File::open(path).unwrap().read_exact(&mut [0]));
        let stop = StopFlag::default();
        let error = loop {
            if let Err(error) = pipe.write_all(&[b'x'; 1000], &stop) {
                break error;
            }
        };
        reader.join().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        insta::assert_snapshot!(error, @"its reader has left before everything was written");
    }

    #[test]
    fn a_write_to_a_reader_that_stalls_ends_with_its_job() {
        let (folder, mut pipe) = pipe();
        let reader = thread::spawn({
            let path = folder.path().join("pipe");
            move || File::open(path).unwrap()
        });
        let stop = StopFlag::default();
        let writer = thread::spawn({
            let stop = stop.clone();
            move || pipe.write_all(&[b'x'; 1_000_000], &stop)
        });
        let stalled = reader.join().unwrap();
        stop.set();
        let error = writer.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        drop(stalled);
    }

    #[test]
    fn a_pipe_without_a_reader_is_waited_for_until_the_job_ends() {
        let (_folder, mut pipe) = pipe();
        let stop = StopFlag::default();
        let writer = thread::spawn({
            let stop = stop.clone();
            move || pipe.write_all(b"x", &stop)
        });
        stop.set();
        let error = writer.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}
