//! The bytes of a file, plain or gzip, without ever waiting for a writer: a pipe that has nothing yet
//! answers `WouldBlock`.

use super::parts::is_gzip;
use crate::files::FileAccess;
use flate2::bufread::GzDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

const GZIP_MAGIC: u8 = 0x1f;

/// A file as the bytes of its content.
#[derive(Debug)]
pub(super) enum FileBytes {
    /// As they are in the file.
    Plain(RawFile),
    /// Of a gzip file, whose name says so.
    Gzip(Box<GzipMembers>),
}

/// A file that does not block.
#[derive(Clone, Debug)]
pub(super) struct RawFile {
    file: Arc<File>,
    /// A named pipe from which nothing has come: an empty read is no end while no writer has been there.
    waits_for_writer: bool,
}

/// The members of a gzip file behind each other, and the padding of zeros that may follow the last one.
#[derive(Debug)]
pub(super) struct GzipMembers {
    at: Option<GzipPlace>,
    members: u64,
    is_padded: bool,
}

#[derive(Debug)]
enum GzipPlace {
    Between(BufReader<RawFile>),
    Within(GzDecoder<BufReader<RawFile>>),
}

impl FileBytes {
    /// Opens a file; its name says whether it is compressed.
    pub(super) fn open(path: &Path, access: &FileAccess) -> io::Result<(Self, Arc<File>)> {
        let mut options = OpenOptions::new();
        // Opening a pipe without a writer would block, and so would reading it.
        let non_blocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = access.open(path, options.read(true).custom_flags(non_blocking))?;
        let is_pipe = file.metadata()?.file_type().is_fifo();
        let raw = RawFile {
            file: Arc::new(file),
            // An unnamed pipe, as standard input is one, has had its writer.
            waits_for_writer: is_pipe && path.canonicalize().is_ok(),
        };
        let file = Arc::clone(&raw.file);
        let bytes = match is_gzip(path) {
            true => FileBytes::Gzip(Box::new(GzipMembers {
                at: Some(GzipPlace::Between(BufReader::new(raw))),
                members: 0,
                is_padded: false,
            })),
            false => FileBytes::Plain(raw),
        };
        Ok((bytes, file))
    }
}

impl Read for FileBytes {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                FileBytes::Plain(raw) => raw.read(room),
                FileBytes::Gzip(members) => members.read(room),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Read for RawFile {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = (&*self.file).read(room)?;
        if read == 0 && self.waits_for_writer && !self.has_lost_its_writer()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.waits_for_writer &= read == 0;
        Ok(read)
    }
}

impl RawFile {
    /// Whether a writer of the pipe has come and gone.
    fn has_lost_its_writer(&self) -> io::Result<bool> {
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec::default()))?;
        Ok(polled[0].revents().contains(PollFlags::HUP))
    }
}

impl Read for GzipMembers {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.at.take() {
                None => return Ok(0),
                Some(GzipPlace::Within(mut member)) => match member.read(room) {
                    Ok(0) if !room.is_empty() => {
                        self.members += 1;
                        self.at = Some(GzipPlace::Between(member.into_inner()));
                    }
                    read => {
                        self.at = Some(GzipPlace::Within(member));
                        return read;
                    }
                },
                Some(GzipPlace::Between(mut file)) => match self.next_member(&mut file) {
                    Ok(true) => self.at = Some(GzipPlace::Within(GzDecoder::new(file))),
                    Ok(false) => return Ok(0),
                    Err(error) => {
                        self.at = Some(GzipPlace::Between(file));
                        return Err(error);
                    }
                },
            }
        }
    }
}

impl GzipMembers {
    /// Whether a member begins at the front of the file. Passes over padding.
    fn next_member(&mut self, file: &mut BufReader<RawFile>) -> io::Result<bool> {
        let wrong = |text: String| Err(io::Error::new(ErrorKind::InvalidData, text));
        loop {
            let front = file.fill_buf()?;
            let Some(first) = front.first() else {
                return match self.members {
                    0 => wrong("it is empty, and its name says that it is a gzip file".into()),
                    _ => Ok(false),
                };
            };
            match (*first, self.members) {
                (GZIP_MAGIC, _) if !self.is_padded => return Ok(true),
                (_, 0) => {
                    return wrong("its name ends in .gz, and its content is not gzip".into());
                }
                (0, _) => {
                    let zeros = front.iter().take_while(|byte| **byte == 0).count();
                    self.is_padded = true;
                    file.consume(zeros);
                }
                (_, members) => {
                    return wrong(format!(
                        "something that is not gzip follows its {members} gzip members"
                    ));
                }
            }
        }
    }
}
