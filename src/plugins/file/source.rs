//! A text file that is read from front to back, plain or gzip, through a window that is bounded.
//! Knows bytes and lines; what they mean is its user's.
//!
//! Nothing here waits or runs for long: where a pipe has nothing yet, and after a bounded number of bytes,
//! a call ends with a [`Pause`] and can be made again.

use super::format::{FRONT_BYTES, Packed, obstacle};
use super::parts::Stretch;
use super::raw_file::FileBytes;
use crate::files::FileAccess;
use crate::plugins::{PluginError, Position};
use memchr::{memchr, memchr_iter, memchr2};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest line or record, without its line end.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// How much has to be seen to know that a line is too long: CR and LF may follow it.
pub(super) const WINDOW_BYTES: usize = RECORD_BYTES_MAX + 2;

/// What one read asks for.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much is read before a poll ends, whatever it found.
const POLL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much is shown of a record that is too long to be shown whole.
pub(super) const EXCERPT_BYTES: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file and how far it has been read.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    bytes: FileBytes,
    file: Arc<File>,
    /// `buffer[start..end]` has been read from the file and not been consumed.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    has_ended: bool,
    /// The byte that ends a line: LF, or CR in a file that has only those.
    line_end: u8,
    /// How much more may be read in this poll.
    budget: usize,
    /// How many bytes at the front of the window are known to have no line end.
    scanned: usize,
    place: Place,
    /// The records that begin here or later are of another stretch.
    limit: Option<u64>,
    /// Where the stretch begins.
    begin: u64,
    /// How long the file was when the job began.
    whole: u64,
}

/// A place between two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the line that begins here, from 1.
    pub(super) line: u64,
    /// The bytes before it; of a gzip file, those that were compressed.
    pub(super) byte: u64,
}

/// Bytes at the front of a source, with how many line ends are among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: usize,
    pub(super) lines: u64,
}

/// The next line of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The length of its text, in an extent that has the line's end too.
    Text(usize, Extent),
    /// More bytes than any line may have.
    TooLong,
}

/// Why a call has not come to its end.
#[derive(Debug)]
pub(super) enum Pause {
    /// A pipe has nothing yet. Make the call again later.
    NothingYet,
    /// Enough was read for one poll. Make the call again.
    EnoughForNow,
    /// The file cannot be read.
    Failed(PluginError),
}

impl From<PluginError> for Pause {
    fn from(error: PluginError) -> Self {
        Pause::Failed(error)
    }
}

impl Source {
    /// Opens a file; its name says whether it is compressed. Reads nothing.
    pub(super) fn open(path: &Path, access: &FileAccess) -> Result<Self, PluginError> {
        let opened = FileBytes::open(path, access);
        let (bytes, file) = opened.map_err(|error| failed(path, "open it", &error))?;
        Ok(Source {
            path: path.into(),
            bytes,
            file,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            has_ended: false,
            line_end: b'\n',
            budget: POLL_BYTES_MAX,
            scanned: 0,
            place: Place::BEGINNING,
            limit: None,
            begin: 0,
            whole: 0,
        })
    }

    /// A poll begins: it may read its share.
    pub(super) fn begin_poll(&mut self) {
        self.budget = POLL_BYTES_MAX;
    }

    /// Looks at the first bytes, once: refuses what is no text in UTF-8, finds out how lines end, passes over
    /// a byte order mark.
    pub(super) fn begin(&mut self) -> Result<(), Pause> {
        // One read shows enough of a file. A pipe may give a byte at a time, and a whole line is enough.
        let seen = |source: &Source| source.unread().len().min(FRONT_BYTES);
        while seen(self) <= BYTE_ORDER_MARK.len()
            && memchr(b'\n', self.unread()).is_none()
            && self.read_more()?
        {}
        let packed = match &self.bytes {
            FileBytes::Plain(_) => Packed::No,
            FileBytes::Gzip(_) => Packed::Gzip,
        };
        if let Some(reason) = obstacle(&self.unread()[..seen(self)], packed) {
            return Err(PluginError(format!("{}: {reason}", self.path.display())).into());
        }
        while self.has_open_line_end() && self.read_more()? {}
        if has_returns_only(self.unread()) {
            self.line_end = b'\r';
        }
        if self.unread().starts_with(BYTE_ORDER_MARK) {
            self.consume(Extent {
                bytes: BYTE_ORDER_MARK.len(),
                lines: 0,
            });
        }
        Ok(())
    }

    /// Whether more has to be seen to tell how lines end. A CR at the end of what is seen may be half of a
    /// CRLF.
    fn has_open_line_end(&self) -> bool {
        let text = self.unread();
        match memchr2(b'\n', b'\r', text) {
            Some(at) => text[at] == b'\r' && at + 1 == text.len(),
            None => text.len() < CHUNK_BYTES,
        }
    }

    /// From now on there are only the records that begin within a stretch.
    pub(super) fn bound(&mut self, stretch: &Stretch) {
        (self.begin, self.limit) = (stretch.begin, stretch.end);
        self.whole = stretch.whole;
    }

    /// Goes on to the last byte before the stretch, and counts the lines that end before it.
    pub(super) fn read_before(&mut self) -> Result<(), Pause> {
        while self.place.byte + 1 < self.begin {
            if self.unread().is_empty() && !self.read_more()? {
                return Ok(());
            }
            let missing = self.begin - 1 - self.place.byte;
            let missing = usize::try_from(missing).unwrap_or(usize::MAX);
            let bytes = self.unread().len().min(missing);
            let lines = memchr_iter(self.line_end, &self.unread()[..bytes]).count() as u64;
            self.consume(Extent { bytes, lines });
        }
        Ok(())
    }

    /// Whether the record at the front begins before the stretch, and so belongs to another one. The first
    /// record belongs to the stretch with the first byte, even if a byte order mark takes that.
    pub(super) fn is_before(&self) -> bool {
        let is_in_first = self.begin > 0 && self.place.line == 1;
        is_in_first || self.place.byte < self.begin
    }

    /// Whether the record at the front begins behind the stretch.
    pub(super) fn is_over(&self) -> bool {
        let is_first = self.begin == 0 && self.place.line == 1;
        !is_first && self.limit.is_some_and(|limit| self.place.byte >= limit)
    }

    /// Goes forward to a place that this file had given: at once in a plain file, by reading in a
    /// compressed one.
    pub(super) fn go_to(&mut self, place: Place) -> Result<(), Pause> {
        if place.byte < self.place.byte {
            return Err(self.has_changed(place).into());
        }
        match &self.bytes {
            FileBytes::Gzip(_) => self.read_up_to(place)?,
            FileBytes::Plain(_) => {
                if self.length()? < place.byte {
                    return Err(self.has_changed(place).into());
                }
                (&*self.file)
                    .seek(SeekFrom::Start(place.byte))
                    .map_err(|error| failed(&self.path, "seek in it", &error))?;
                (self.start, self.end, self.has_ended) = (0, 0, false);
            }
        }
        (self.place, self.scanned) = (place, 0);
        Ok(())
    }

    fn read_up_to(&mut self, place: Place) -> Result<(), Pause> {
        while self.place.byte < place.byte {
            if self.unread().is_empty() && !self.read_more()? {
                return Err(self.has_changed(place).into());
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

    /// What has been read from the file and not been consumed.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Makes [`Source::unread`] longer; false at the end of the file.
    pub(super) fn read_more(&mut self) -> Result<bool, Pause> {
        if self.has_ended {
            return Ok(self.is_whole().map(|()| false)?);
        }
        if self.budget == 0 {
            return Err(Pause::EnoughForNow);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < self.end + CHUNK_BYTES {
            self.buffer.resize(self.end + CHUNK_BYTES, 0);
        }
        let read = match self.bytes.read(&mut self.buffer[self.end..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Pause::NothingYet),
            Err(error) => return Err(failed(&self.path, "read it", &error).into()),
        };
        self.end += read;
        self.budget = self.budget.saturating_sub(read);
        self.has_ended = read == 0;
        if self.has_ended {
            self.is_whole()?;
        }
        Ok(read > 0)
    }

    fn length(&self) -> Result<u64, PluginError> {
        let length = self.file.metadata().map(|metadata| metadata.len());
        length.map_err(|error| failed(&self.path, "measure it", &error))
    }

    /// Refuses a file that has ended and is shorter than the job found it: its last lines would be missed
    /// without a word.
    fn is_whole(&self) -> Result<(), PluginError> {
        let length = self.length()?;
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
        self.scanned = 0;
        self.place.byte += extent.bytes as u64;
        self.place.line += extent.lines;
    }

    /// Looks at the next line. `None` at the end of the file.
    pub(super) fn line(&mut self) -> Result<Option<Line>, Pause> {
        loop {
            let window = self.unread();
            let window = &window[..window.len().min(WINDOW_BYTES)];
            if let Some(at) = memchr(self.line_end, &window[self.scanned..]) {
                let text = self.scanned + at;
                let extent = Extent {
                    bytes: text + 1,
                    lines: 1,
                };
                let has_return = self.line_end == b'\n' && window[..text].ends_with(b"\r");
                return Ok(Some(line_of(text - usize::from(has_return), extent)));
            }
            self.scanned = window.len();
            if self.scanned == WINDOW_BYTES {
                return Ok(Some(Line::TooLong));
            }
            if !self.read_more()? {
                let last = Extent {
                    bytes: self.scanned,
                    lines: 1,
                };
                return Ok((last.bytes > 0).then_some(line_of(last.bytes, last)));
            }
        }
    }

    /// Goes past the next newline, however far that is.
    pub(super) fn skip_line(&mut self) -> Result<(), Pause> {
        loop {
            let newline = memchr(self.line_end, self.unread());
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
        excerpt(self.unread())
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

/// Whether the lines of a text end with CR alone.
fn has_returns_only(text: &[u8]) -> bool {
    memchr(b'\r', text).is_some() && memchr(b'\n', text).is_none()
}

fn line_of(text: usize, extent: Extent) -> Line {
    match text > RECORD_BYTES_MAX {
        true => Line::TooLong,
        false => Line::Text(text, extent),
    }
}

/// The beginning of a text that is too long to be shown.
pub(super) fn excerpt(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(EXCERPT_BYTES)]).into_owned()
}

impl Place {
    /// The beginning of a file.
    pub(super) const BEGINNING: Place = Place { line: 1, byte: 0 };

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

/// The error of an operation on a file.
pub(super) fn failed(path: &Path, operation: &str, error: &io::Error) -> PluginError {
    PluginError(format!("{}: cannot {operation}: {error}", path.display()))
}
