//! The rows of a CSV file, one after the other: each becomes a segment or says what is wrong.

use super::column::{self, Column};
use super::record::{self, Behind, Cell, Openness, Split};
use crate::plugins::file::part_input::{Read, Records};
use crate::plugins::file::parts::Stretch;
use crate::plugins::file::source::{Extent, Line, Place, RECORD_BYTES_MAX, Source};
use crate::plugins::{PluginError, ReadSegments, Rejected};

/// The rows of a file.
#[derive(Debug)]
pub(in crate::plugins::file) struct Rows {
    source: Source,
    delimiter: u8,
    columns: Vec<Column>,
    /// The cells of the record at the front of the source.
    cells: Vec<Cell>,
    lines: Lines,
}

/// On how many lines a row may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// A cell in quotes may hold line ends.
    Any,
    /// One: the file may be cut at any line.
    One,
}

impl Rows {
    /// The rows of a source, whose columns have no names yet.
    pub(super) fn new(source: Source, delimiter: u8, lines: Lines) -> Self {
        Rows {
            source,
            delimiter,
            columns: Vec::new(),
            cells: Vec::new(),
            lines,
        }
    }

    /// The names in the first record; none in a file without one.
    pub(super) fn header(&mut self) -> Result<Option<Vec<String>>, PluginError> {
        let wrong = |source: &Source, reason: &str| {
            let place = source.place_name();
            PluginError(format!("{place}: the names of the columns: {reason}"))
        };
        let extent = match self.next()? {
            Next::End => return Ok(None),
            Next::Broken(reason) => return Err(wrong(&self.source, &reason)),
            Next::Record(extent) => extent,
        };
        let record = std::str::from_utf8(&self.source.unread()[..extent.bytes])
            .map_err(|_| wrong(&self.source, "expected UTF-8"))?;
        let names = self.cells.iter().map(|cell| cell.text(record).into_owned());
        let names = names.collect();
        self.source.consume(extent);
        Ok(Some(names))
    }

    /// Says what the rows that follow have.
    pub(super) fn set_columns(&mut self, columns: Vec<Column>) {
        self.columns = columns;
    }

    /// From now on there are only the rows of a stretch.
    pub(super) fn enter(&mut self, stretch: &Stretch) -> Result<(), PluginError> {
        self.source.enter(stretch)
    }

    /// The last part of the path.
    pub(super) fn file_name(&self) -> String {
        self.source.file_name()
    }
}

impl Records for Rows {
    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, PluginError> {
        match self.next()? {
            Next::End => return Ok(Read::End),
            Next::Record(extent) => {
                let record = &self.source.unread()[..extent.bytes];
                match column::segment(&self.columns, &self.cells, record) {
                    Ok(segment) => read.segments.push(segment),
                    Err(reason) => read.rejected.push(Rejected {
                        place: self.source.place_name(),
                        reason,
                        raw: raw(record),
                    }),
                }
                self.source.consume(extent);
            }
            Next::Broken(reason) => {
                let rejected = self.skip_broken(reason)?;
                read.rejected.push(rejected);
            }
        }
        Ok(Read::One)
    }

    fn go_to(&mut self, place: Place) -> Result<(), PluginError> {
        self.source.go_to(place)
    }

    fn place(&self) -> Place {
        self.source.place()
    }
}

/// What is at the front of the source.
enum Next {
    /// The end of the file.
    End,
    /// A record, with its cells in `cells`.
    Record(Extent),
    /// Something else, and why.
    Broken(String),
}

impl Rows {
    /// Looks at the next record.
    fn next(&mut self) -> Result<Next, PluginError> {
        // Until a read says otherwise. What is beyond the bound is more, too.
        let mut behind = Behind::More;
        loop {
            if self.source.is_over() {
                return Ok(Next::End);
            }
            let unread = self.source.unread();
            if unread.is_empty() && behind == Behind::Nothing {
                return Ok(Next::End);
            }
            let text = &unread[..unread.len().min(RECORD_BYTES_MAX)];
            match record::split(text, self.delimiter, behind, &mut self.cells) {
                Split::Record(extent) if extent.lines > 1 && self.lines == Lines::One => {
                    return Ok(Next::Broken(Self::several_lines()));
                }
                Split::Record(extent) => return Ok(Next::Record(extent)),
                Split::Blank(extent) => self.source.consume(extent),
                Split::BehindQuote => return Ok(Next::Broken(self.behind_quote())),
                Split::Open(openness) => {
                    if text.len() == RECORD_BYTES_MAX || behind == Behind::Nothing {
                        return Ok(Next::Broken(self.never_ends(openness, behind)));
                    }
                    if !self.source.read_more()? {
                        behind = Behind::Nothing;
                    }
                }
            }
        }
    }

    fn skip_broken(&mut self, reason: String) -> Result<Rejected, PluginError> {
        let place = self.source.place_name();
        let raw = match self.source.line()? {
            Some(Line::Text(bytes, _)) => raw(&self.source.unread()[..bytes]),
            Some(Line::TooLong) | None => self.source.excerpt(),
        };
        self.source.skip_line()?;
        Ok(Rejected { place, reason, raw })
    }

    fn behind_quote(&self) -> String {
        let column = self.last_column();
        format!("expected a delimiter or the end of the line behind the closing quote of {column}")
    }

    fn several_lines() -> String {
        "expected a row on one line, as `split: lines` says; a quote is not closed on it".into()
    }

    fn never_ends(&self, openness: Openness, behind: Behind) -> String {
        let column = self.last_column();
        match (openness, behind) {
            (Openness::Bare, _) => format!("expected a row shorter than {RECORD_BYTES_MAX} bytes"),
            (Openness::Quoted, Behind::More) => {
                format!(
                    "the quote that opens {column} is not closed within {RECORD_BYTES_MAX} bytes"
                )
            }
            (Openness::Quoted, Behind::Nothing) => {
                format!("the quote that opens {column} is not closed in the rest of the file")
            }
        }
    }

    fn last_column(&self) -> String {
        column::name_at(&self.columns, self.cells.len().saturating_sub(1))
    }
}

/// A record without its line end, for people.
fn raw(record: &[u8]) -> String {
    let text = String::from_utf8_lossy(record);
    text.trim_end_matches(['\r', '\n']).into()
}
