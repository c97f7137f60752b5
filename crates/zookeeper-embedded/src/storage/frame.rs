//! The bytes of a file: a header, then frames with a checksum each.
//!
//! A header names the folder that the file was written in, so that a file of another folder does not
//! pass for one of this. Files of format 1, which had no manifest beside them, name none.
//!
//! Every file draws a salt that enters its checksums, so that neither what a client stores in a node
//! nor what an older file left on the disk can pass for a frame.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, Read};

use thiserror::Error;

/// How a frame begins.
const MARK: [u8; 4] = [0xa5, b'f', b'r', 0x5a];

/// Mark, length and checksum.
const FRAME_HEAD: usize = 12;

/// Kind, version and salt; all that format 1 has.
const OLD_FILE_HEAD: usize = 16;

/// Kind, version, salt and folder.
pub(crate) const FILE_HEAD: usize = OLD_FILE_HEAD + 8;

const OLD_VERSION: u32 = 1;
const VERSION: u32 = 2;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Segment,
    Snapshot,
}

/// A number that clients cannot know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Salt(u32);

/// What tells the files of one folder from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FolderId([u8; 8]);

/// Why there is no frame here.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Flaw {
    #[error("the file ends within a record")]
    Cut,
    #[error("no record begins here")]
    NoFrame,
    #[error("the checksum of a record is wrong")]
    Checksum,
}

/// Why a file cannot be read at all.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BadHead {
    #[error("it ends within its header")]
    Cut,
    #[error("its header is not one of ours")]
    Foreign,
    #[error("its format has version {0}, this server knows {OLD_VERSION} and {VERSION}")]
    Version(u32),
}

impl Kind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Segment => *b"zkembLOG",
            Self::Snapshot => *b"zkembSNP",
        }
    }
}

impl Salt {
    pub(crate) fn draw() -> Self {
        let [a, b, c, d, ..] = RandomState::new().hash_one(MARK).to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl FolderId {
    pub(crate) fn draw() -> Self {
        Self(RandomState::new().hash_one(MARK).to_be_bytes())
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// The header of a new file.
pub(crate) fn head(kind: Kind, salt: Salt, folder: FolderId) -> Vec<u8> {
    let mut head = kind.magic().to_vec();
    head.extend(VERSION.to_be_bytes());
    head.extend(salt.0.to_be_bytes());
    head.extend(folder.0);
    head
}

/// Makes a frame of a payload, in the place of what `out` held.
pub(crate) fn frame(salt: Salt, payload: &[u8], out: &mut Vec<u8>) {
    // A group of transactions is bounded far below four gigabytes.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.clear();
    out.extend(MARK);
    out.extend(length.to_be_bytes());
    out.extend(checksum(salt, length, payload).to_be_bytes());
    out.extend(payload);
}

fn checksum(salt: Salt, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt.0);
    hasher.update(&length.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The frames of a file, in order.
#[derive(Debug)]
pub(crate) struct Frames {
    input: BufReader<File>,
    salt: Salt,
    folder: Option<FolderId>,
    position: u64,
    length: u64,
}

impl Frames {
    /// Reads the header.
    pub(crate) fn open(file: File, kind: Kind) -> io::Result<Result<Self, BadHead>> {
        let length = file.metadata()?.len();
        let mut input = BufReader::new(file);
        if length < OLD_FILE_HEAD as u64 {
            return Ok(Err(BadHead::Cut));
        }
        let (magic, version) = (array::<8>(&mut input)?, array::<4>(&mut input)?);
        let (version, salt) = (
            u32::from_be_bytes(version),
            u32::from_be_bytes(array(&mut input)?),
        );
        if magic != kind.magic() {
            return Ok(Err(BadHead::Foreign));
        }
        let (folder, position) = match version {
            OLD_VERSION => (None, OLD_FILE_HEAD),
            VERSION if length < FILE_HEAD as u64 => return Ok(Err(BadHead::Cut)),
            VERSION => (Some(FolderId(array(&mut input)?)), FILE_HEAD),
            other => return Ok(Err(BadHead::Version(other))),
        };
        Ok(Ok(Self {
            input,
            salt: Salt(salt),
            folder,
            position: position as u64,
            length,
        }))
    }

    /// The folder that the file was written in; `None` for a file of format 1.
    pub(crate) fn folder(&self) -> Option<FolderId> {
        self.folder
    }

    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    /// Where the next frame begins, or where there was none.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The next payload; `None` at the end. After a flaw there is no way on.
    pub(crate) fn next(&mut self) -> io::Result<Result<Option<Vec<u8>>, Flaw>> {
        let rest = self.length - self.position;
        if rest == 0 {
            return Ok(Ok(None));
        }
        if rest < FRAME_HEAD as u64 {
            return Ok(Err(Flaw::Cut));
        }
        if array(&mut self.input)? != MARK {
            return Ok(Err(Flaw::NoFrame));
        }
        let length = u32::from_be_bytes(array(&mut self.input)?);
        let expected = u32::from_be_bytes(array(&mut self.input)?);
        // The buffer grows with the bytes that are there, not with those that are announced.
        let mut payload = Vec::new();
        (&mut self.input)
            .take(length.into())
            .read_to_end(&mut payload)?;
        if payload.len() as u64 != u64::from(length) {
            return Ok(Err(Flaw::Cut));
        }
        if checksum(self.salt, length, &payload) != expected {
            return Ok(Err(Flaw::Checksum));
        }
        self.position += (FRAME_HEAD + payload.len()) as u64;
        Ok(Ok(Some(payload)))
    }
}

/// Whether a whole frame begins anywhere in the bytes.
pub(crate) fn holds_frame(bytes: &[u8], salt: Salt) -> bool {
    let starts = bytes
        .windows(FRAME_HEAD)
        .enumerate()
        .filter(|(_, head)| head.starts_with(&MARK));
    starts.into_iter().any(|(at, head)| {
        let number = |from: usize| {
            let mut number = [0; 4];
            number.copy_from_slice(&head[from..from + 4]);
            u32::from_be_bytes(number)
        };
        let (length, expected) = (number(4), number(8));
        let payload = bytes[at + FRAME_HEAD..].get(..length as usize);
        payload.is_some_and(|payload| checksum(salt, length, payload) == expected)
    })
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_wherever_it_begins() {
        let salt = Salt(7);
        let mut bytes = Vec::new();
        frame(salt, b"payload", &mut bytes);
        assert!(holds_frame(&bytes, salt));
        assert!(holds_frame(
            &[b"\0\xa5fr", &bytes[..], b"\0"].concat(),
            salt
        ));
        assert!(!holds_frame(&bytes[1..], salt));
        assert!(!holds_frame(&bytes[..bytes.len() - 1], salt));
    }

    #[test]
    fn the_frame_of_another_file_is_none() {
        let mut bytes = Vec::new();
        frame(Salt(7), b"payload", &mut bytes);
        assert!(!holds_frame(&bytes, Salt(8)));
    }
}
