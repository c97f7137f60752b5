//! A text file that is read from front to back, plain or gzip, through a window that is bounded.
//! Knows bytes and lines; what they mean is its user's.

use super::parts::{Stretch, is_gzip};
use crate::files::FileAccess;
use crate::plugins::{PluginError, Position};
use flate2::read::MultiGzDecoder;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line or record. One that is longer is not text that somebody meant to process.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// What one read asks for.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much is shown of a record that is too long to be shown whole.
const EXCERPT_BYTES: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file and how far it has been read.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    medium: Medium,
    /// `buffer[start..end]` has been read from the medium and not been consumed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    has_ended: bool,
    place: Place,
    /// The records that begin here or later are another's.
    limit: Option<u64>,
    /// Where the stretch begins.
    begin: u64,
    /// How long the file was when the job began.
    whole: u64,
}

#[derive(Debug)]
enum Medium {
    Plain(File),
    Gzip(Box<MultiGzDecoder<File>>),
}

/// A place between two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the line that begins here, from 1.
    pub(super) line: u64,
    /// The bytes before it; of a gzip file, those that were compressed.
    pub(super) byte: u64,
}

/// Bytes at the front of a source, with how many newlines are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: usize,
    pub(super) lines: u64,
}

/// The next line of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// So many bytes of text, in an extent that has the line's end too.
    Text(usize, Extent),
    /// More bytes than any line may have.
    TooLong,
}

impl Source {
    /// Opens a file; its name says whether it is compressed.
    pub(super) fn open(path: &Path, access: &FileAccess) -> Result<Self, PluginError> {
        let file = access.open(path, OpenOptions::new().read(true));
        let file = file.map_err(|error| failed(path, "open it", &error))?;
        let mut source = Source {
            path: path.into(),
            medium: if is_gzip(path) {
                Medium::Gzip(Box::new(MultiGzDecoder::new(file)))
            } else {
                Medium::Plain(file)
            },
            buffer: Vec::new(),
            start: 0,
            end: 0,
            has_ended: false,
            place: Place { line: 1, byte: 0 },
            limit: None,
            begin: 0,
            whole: 0,
        };
        source.skip_byte_order_mark()?;
        Ok(source)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), PluginError> {
        while self.unread().len() < BYTE_ORDER_MARK.len() && self.read_more()? {}
        if self.unread().starts_with(BYTE_ORDER_MARK) {
            self.consume(Extent {
                bytes: BYTE_ORDER_MARK.len(),
                lines: 0,
            });
        }
        Ok(())
    }

    /// From now on there are only the lines that begin within a stretch: a line that begins before
    /// it belongs to another, to its end. Counts the lines before it, so that they keep their numbers.
    pub(super) fn enter(&mut self, stretch: &Stretch) -> Result<(), PluginError> {
        (self.begin, self.limit) = (stretch.begin, stretch.end);
        self.whole = stretch.whole;
        // From the last byte before it: a line may begin right at the beginning.
        while self.place.byte + 1 < stretch.begin {
            if self.unread().is_empty() && !self.read_more()? {
                return Ok(());
            }
            let missing = stretch.begin - 1 - self.place.byte;
            let missing = usize::try_from(missing).unwrap_or(usize::MAX);
            let bytes = self.unread().len().min(missing);
            let lines = self.unread()[..bytes].iter();
            let lines = lines.filter(|byte| **byte == b'\n').count() as u64;
            self.consume(Extent { bytes, lines });
        }
        // A byte order mark can be longer than what is before the beginning.
        let is_in_first = stretch.begin > 0 && self.place.line == 1;
        if is_in_first || self.place.byte < stretch.begin {
            self.skip_line()?;
        }
        Ok(())
    }

    /// Whether what comes next is another's. The first line belongs to who has the first byte, even
    /// when a byte order mark takes that.
    pub(super) fn is_over(&self) -> bool {
        let is_first = self.begin == 0 && self.place.line == 1;
        !is_first && self.limit.is_some_and(|limit| self.place.byte >= limit)
    }

    /// Goes forward to a place that this file had given: at once in a plain file, by reading in a
    /// compressed one.
    pub(super) fn go_to(&mut self, place: Place) -> Result<(), PluginError> {
        if place.byte < self.place.byte {
            return Err(self.has_changed(place));
        }
        match &mut self.medium {
            Medium::Gzip(_) => self.read_up_to(place)?,
            Medium::Plain(file) => {
                let length = file.metadata().map(|metadata| metadata.len());
                let length = length.map_err(|error| failed(&self.path, "measure it", &error))?;
                if length < place.byte {
                    return Err(self.has_changed(place));
                }
                file.seek(SeekFrom::Start(place.byte))
                    .map_err(|error| failed(&self.path, "seek in it", &error))?;
                (self.start, self.end, self.has_ended) = (0, 0, false);
            }
        }
        self.place = place;
        Ok(())
    }

    fn read_up_to(&mut self, place: Place) -> Result<(), PluginError> {
        while self.place.byte < place.byte {
            if self.unread().is_empty() && !self.read_more()? {
                return Err(self.has_changed(place));
            }
            let missing = usize::try_from(place.byte - self.place.byte).unwrap_or(usize::MAX);
            let bytes = self.unread().len().min(missing);
            self.consume(Extent { bytes, lines: 0 });
        }
        Ok(())
    }

    fn has_changed(&self, place: Place) -> PluginError {
        PluginError(format!(
            "{}: the job had read it up to byte {}, where it has no line now; it has changed, so \
             submit the job again to read it from the start",
            self.path.display(),
            place.byte
        ))
    }

    /// What has been read from the medium and not been consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Makes [`Source::unread`] longer; false at the end of the file.
    pub(super) fn read_more(&mut self) -> Result<bool, PluginError> {
        if self.has_ended {
            return self.is_whole().map(|()| false);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < self.end + CHUNK_BYTES {
            self.buffer.resize(self.end + CHUNK_BYTES, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.medium {
            Medium::Plain(file) => read_uninterrupted(file, room),
            Medium::Gzip(decoder) => read_uninterrupted(decoder, room),
        };
        let read = read.map_err(|error| failed(&self.path, "read it", &error))?;
        self.end += read;
        self.has_ended = read == 0;
        if self.has_ended {
            self.is_whole()?;
        }
        Ok(read > 0)
    }

    /// That a file which has ended is no shorter than the job found it: its last lines would be
    /// missed without a word.
    fn is_whole(&self) -> Result<(), PluginError> {
        let file = match &self.medium {
            Medium::Plain(file) => file,
            Medium::Gzip(decoder) => decoder.get_ref(),
        };
        let length = file.metadata().map(|metadata| metadata.len());
        let length = length.map_err(|error| failed(&self.path, "measure it", &error))?;
        if length >= self.whole {
            return Ok(());
        }
        Err(PluginError(format!(
            "{}: it had {} bytes when the job began and has {length}; it has changed, so submit \
             the job again to read it from the start",
            self.path.display(),
            self.whole
        )))
    }

    /// Goes past what has been dealt with.
    pub(super) fn consume(&mut self, extent: Extent) {
        debug_assert!(extent.bytes <= self.unread().len());
        self.start += extent.bytes;
        self.place.byte += extent.bytes as u64;
        self.place.line += extent.lines;
    }

    /// Looks at the next line; none at the end.
    pub(super) fn line(&mut self) -> Result<Option<Line>, PluginError> {
        let mut scanned = 0;
        loop {
            let window = self.unread();
            let window = &window[..window.len().min(RECORD_BYTES_MAX)];
            if let Some(at) = window[scanned..].iter().position(|byte| *byte == b'\n') {
                let (text, extent) = (scanned + at, scanned + at + 1);
                let extent = Extent {
                    bytes: extent,
                    lines: 1,
                };
                let has_return = window[..text].ends_with(b"\r");
                return Ok(Some(Line::Text(text - usize::from(has_return), extent)));
            }
            scanned = window.len();
            if scanned == RECORD_BYTES_MAX {
                return Ok(Some(Line::TooLong));
            }
            if !self.read_more()? {
                let last = Extent {
                    bytes: scanned,
                    lines: 1,
                };
                return Ok((scanned > 0).then_some(Line::Text(scanned, last)));
            }
        }
    }

    /// Goes past the next newline, however far that is.
    pub(super) fn skip_line(&mut self) -> Result<(), PluginError> {
        loop {
            let newline = self.unread().iter().position(|byte| *byte == b'\n');
            let bytes = newline.map_or(self.unread().len(), |at| at + 1);
            self.consume(Extent { bytes, lines: 0 });
            if newline.is_some() || !self.read_more()? {
                break;
            }
        }
        self.place.line += 1;
        Ok(())
    }

    /// The beginning of what is not consumed, for people.
    pub(super) fn excerpt(&self) -> String {
        let unread = self.unread();
        String::from_utf8_lossy(&unread[..unread.len().min(EXCERPT_BYTES)]).into_owned()
    }

    /// Where the next line begins.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Where the next line begins, for people: "flights.csv line 17".
    pub(super) fn place_name(&self) -> String {
        format!("{} line {}", self.file_name(), self.place.line)
    }

    /// The last part of the path.
    pub(super) fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

impl Place {
    /// The place in a position that was saved.
    pub(super) fn from_position(position: &Position) -> Result<Place, PluginError> {
        Ok(Place {
            line: count_in(position, "line")?,
            byte: count_in(position, "byte")?,
        })
    }

    /// As a position to save.
    pub(super) fn to_position(self) -> Position {
        let mut position = Position::with_capacity(3);
        position.set("line", to_int(self.line));
        position.set("byte", to_int(self.byte));
        position
    }
}

/// A count that was saved in a position.
pub(super) fn count_in(position: &Position, key: &str) -> Result<u64, PluginError> {
    let count = position.get(key).and_then(|value| value.as_int());
    count.and_then(|n| u64::try_from(n).ok()).ok_or_else(|| {
        let position = serde_json::to_string(position).unwrap_or_default();
        PluginError(format!(
            "the saved position {position} has no `{key}`; is it one of another plugin?"
        ))
    })
}

/// A count as the integer that segments hold.
pub(super) fn to_int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read_uninterrupted(medium: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match medium.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The error of an operation on a file.
pub(super) fn failed(path: &Path, operation: &str, error: &io::Error) -> PluginError {
    PluginError(format!("{}: cannot {operation}: {error}", path.display()))
}
