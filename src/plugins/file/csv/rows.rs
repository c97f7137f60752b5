//! The rows of a CSV file, one after the other: each becomes a segment or says what is wrong.

use super::Table;
use super::column::{self, Column};
use super::record::{self, Behind, Cell, Openness, Split};
use super::skip::{RecordSkip, Skipped};
use crate::plugins::file::part_input::{Read, Records};
use crate::plugins::file::parts::Stretch;
use crate::plugins::file::source::{
    EXCERPT_BYTES, Extent, Pause, Place, RECORD_BYTES_MAX, Source, WINDOW_BYTES, excerpt,
};
use crate::plugins::{PluginError, ReadSegments, Rejected};
use std::sync::Arc;

/// The rows of a stretch of a file.
#[derive(Debug)]
pub(in crate::plugins::file) struct Rows {
    source: Source,
    stretch: Stretch,
    table: Arc<Table>,
    stage: Stage,
    columns: Vec<Column>,
    /// The cells of the record at the front of the source.
    cells: Vec<Cell>,
    /// A record that is being passed over.
    skip: Option<Skip>,
    /// Where the next record begins, while one is passed over as well.
    place: Place,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first bytes and the names of the columns, then what is before the stretch, or before this place.
    Opened(Option<Place>),
    /// The names of the columns, and the same.
    Names(Option<Place>),
    /// What is before this place.
    Resuming(Place),
    /// The records before the stretch.
    Before,
    /// A record.
    Within,
}

/// A record on the way to its end.
#[derive(Debug)]
struct Skip {
    record: RecordSkip,
    /// What is wrong with it. `None` if another slot reads it.
    fault: Option<Fault>,
}

/// What is wrong with a record.
#[derive(Clone, Debug)]
struct Fault {
    place: String,
    /// The cell that was read last, for people.
    column: String,
    kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultKind {
    /// Something follows the closing quote of a cell.
    BehindQuote,
    /// It is too long.
    TooLong,
    /// A quote is not closed before the end of the file.
    Unclosed,
}

impl Rows {
    /// The rows of a stretch of a source.
    pub(super) fn new(source: Source, stretch: Stretch, table: Arc<Table>) -> Self {
        Rows {
            source,
            stretch,
            table,
            stage: Stage::Opened(None),
            columns: Vec::new(),
            cells: Vec::new(),
            skip: None,
            place: Place::BEGINNING,
        }
    }

    /// Reads the names in the first record, unless the task gives them.
    fn read_names(&mut self) -> Result<(), Pause> {
        let names = match &self.table.names {
            Some(names) => Some(names.clone()),
            None => self.header()?,
        };
        // A file without a byte has no header, and no rows that would need one.
        if let Some(names) = names {
            self.columns = self.table.columns(names, &self.source.file_name())?;
        }
        Ok(())
    }

    /// The names in the first record. `None` in a file without one.
    fn header(&mut self) -> Result<Option<Vec<String>>, Pause> {
        let wrong = |source: &Source, reason: &str| {
            let place = source.place_name();
            PluginError(format!("{place}: the names of the columns: {reason}"))
        };
        let extent = match self.next()? {
            Next::End => return Ok(None),
            Next::Broken(fault) => return Err(wrong(&self.source, &fault.reason(1)).into()),
            Next::Record(extent) => extent,
        };
        let record = std::str::from_utf8(&self.source.unread()[..extent.bytes])
            .map_err(|_| wrong(&self.source, "expected UTF-8"))?;
        if record.contains('\0') && self.table.delimiter != 0 {
            return Err(wrong(&self.source, "expected text, found a NUL byte").into());
        }
        let names = self.cells.iter().map(|cell| cell.text(record).into_owned());
        let names = names.collect();
        self.source.consume(extent);
        Ok(Some(names))
    }

    /// Goes past the records that begin before the stretch. Their quotes tell where they end, so that a
    /// stretch that begins within a cell does not take the rest of it for a row.
    fn pass_records_before(&mut self) -> Result<(), Pause> {
        loop {
            if self.skip.is_some() {
                self.pass_record()?;
            } else if !self.source.is_before()
                || (self.source.unread().is_empty() && !self.source.read_more()?)
            {
                return Ok(());
            } else {
                self.skip = Some(Skip {
                    record: RecordSkip::new(0),
                    fault: None,
                });
            }
        }
    }

    /// Goes to the end of the record that is passed over, and says what is wrong with it.
    fn pass_record(&mut self) -> Result<Option<Rejected>, Pause> {
        let mut behind = Behind::More;
        while let Some(skip) = &mut self.skip {
            let text = self.source.unread();
            if !text.is_empty() {
                let skipped = skip.record.advance(text, self.table.delimiter, behind);
                let (Skipped::End(extent) | Skipped::Open(extent)) = skipped;
                self.source.consume(extent);
                if let Skipped::End(_) = skipped {
                    break;
                }
            }
            if behind == Behind::Nothing {
                break;
            }
            if !self.source.read_more()? {
                behind = Behind::Nothing;
            }
        }
        let skip = self.skip.take();
        Ok(skip.and_then(Skip::rejected))
    }
}

impl Records for Rows {
    fn begin_poll(&mut self) {
        self.source.begin_poll();
    }

    fn begin(&mut self) -> Result<(), Pause> {
        loop {
            self.stage = match self.stage {
                Stage::Within => return Ok(()),
                Stage::Opened(place) => {
                    self.source.begin()?;
                    Stage::Names(place)
                }
                Stage::Names(place) => {
                    self.read_names()?;
                    self.source.bound(&self.stretch);
                    place.map_or(Stage::Before, Stage::Resuming)
                }
                Stage::Resuming(place) => {
                    self.source.go_to(place)?;
                    Stage::Within
                }
                Stage::Before => {
                    self.pass_records_before()?;
                    Stage::Within
                }
            };
            self.place = self.source.place();
        }
    }

    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, Pause> {
        if self.skip.is_none() {
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
                Next::Broken(fault) => {
                    self.skip = Some(Skip {
                        record: RecordSkip::new(RECORD_BYTES_MAX),
                        fault: Some(fault),
                    });
                }
            }
        }
        if self.skip.is_some() {
            read.rejected.extend(self.pass_record()?);
        }
        self.place = self.source.place();
        Ok(Read::One)
    }

    fn go_to(&mut self, place: Place) {
        if place != Place::BEGINNING {
            self.stage = Stage::Opened(Some(place));
        }
    }

    fn place(&self) -> Place {
        match self.stage {
            Stage::Within => self.place,
            Stage::Opened(Some(place)) | Stage::Names(Some(place)) | Stage::Resuming(place) => {
                place
            }
            Stage::Opened(None) | Stage::Names(None) | Stage::Before => Place::BEGINNING,
        }
    }
}

/// What is at the front of the source.
enum Next {
    /// The end of the stretch.
    End,
    /// A record, with its cells in `cells`.
    Record(Extent),
    /// Something else.
    Broken(Fault),
}

impl Rows {
    /// Looks at the next record.
    fn next(&mut self) -> Result<Next, Pause> {
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
            let text = &unread[..unread.len().min(WINDOW_BYTES)];
            match record::split(text, self.table.delimiter, behind, &mut self.cells) {
                Split::Record(extent) if content(text, extent).len() > RECORD_BYTES_MAX => {
                    return Ok(self.broken(FaultKind::TooLong));
                }
                Split::Record(extent) => return Ok(Next::Record(extent)),
                Split::Blank(extent) => self.source.consume(extent),
                Split::BehindQuote => return Ok(self.broken(FaultKind::BehindQuote)),
                Split::Open(_) if text.len() == WINDOW_BYTES => {
                    return Ok(self.broken(FaultKind::TooLong));
                }
                Split::Open(openness) => {
                    if behind == Behind::Nothing {
                        debug_assert_eq!(openness, Openness::Quoted);
                        return Ok(self.broken(FaultKind::Unclosed));
                    }
                    if !self.source.read_more()? {
                        behind = Behind::Nothing;
                    }
                }
            }
        }
    }

    fn broken(&self, kind: FaultKind) -> Next {
        Next::Broken(Fault {
            place: self.source.place_name(),
            column: column::name_at(&self.columns, self.cells.len().saturating_sub(1)),
            kind,
        })
    }
}

impl Skip {
    /// What to reject. `None` if another slot reads the record.
    fn rejected(self) -> Option<Rejected> {
        let Skip { record, fault } = self;
        let mut fault = fault?;
        if record.is_quoted() {
            fault.kind = FaultKind::Unclosed;
        }
        let raw = match record.bytes > record.kept.len() as u64 {
            true => excerpt(&record.kept[..record.kept.len().min(EXCERPT_BYTES)]),
            false => raw(&record.kept),
        };
        Some(Rejected {
            reason: fault.reason(record.lines.max(1)),
            place: fault.place,
            raw,
        })
    }
}

impl Fault {
    fn reason(&self, lines: u64) -> String {
        let column = &self.column;
        let mut reason = match self.kind {
            FaultKind::BehindQuote => format!(
                "expected a delimiter or the end of the line behind the closing quote of {column}"
            ),
            FaultKind::TooLong => format!("expected a row of at most {RECORD_BYTES_MAX} bytes"),
            FaultKind::Unclosed => {
                format!("the quote that opens {column} is not closed in the rest of the file")
            }
        };
        if lines > 1 {
            reason += &format!("; the row has {lines} lines");
        }
        reason
    }
}

/// A record without its line end.
fn content(text: &[u8], record: Extent) -> &[u8] {
    let record = &text[..record.bytes];
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
}

/// A record without its line end, for people.
fn raw(record: &[u8]) -> String {
    let text = String::from_utf8_lossy(record);
    text.trim_end_matches(['\r', '\n']).into()
}
