//! `file/csv`: each row of a CSV file is a segment of its columns.
//!
//! A row that is not right is rejected with its line and what was expected, and reading goes on
//! behind that line. A quote that never closes costs its own line, not the rest of the file.

mod column;
mod record;

use super::path_of;
use super::source::{Extent, Line, Place, RECORD_BYTES_MAX, Source, count_in, to_int};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::{Input, PluginContext, PluginError, Polled, Position, ReadSegments};
use crate::plugins::{Rejected, Start};
use crate::segment::Value;
use column::Column;
use record::{Behind, Cell, Openness, Split};

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let kinds = column::KINDS.iter().map(|(word, _)| (*word).into());
    let path = "The file; one that ends in .csv.gz is decompressed.";
    let types = "What the cells of columns are; a column that is not named holds strings. An \
                 empty cell that is not a string is null.";
    let delimiter = "The byte between cells; a comma if left out.";
    let columns = "The names of the columns, for a file without a row that names them.";
    super::signature(
        TaskKind::Input,
        "Reads each row of a CSV file as a segment of its columns.",
        vec![
            KeySchema::required("path", KeyKind::InputPath, path),
            KeySchema::optional("types", KeyKind::TableOf(kinds.collect()), types),
            KeySchema::optional("delimiter", KeyKind::String, delimiter),
            KeySchema::optional("columns", KeyKind::Any, columns),
        ],
    )
}

/// Opens the file of a task.
pub(super) fn open(context: &PluginContext<'_>) -> Result<CsvInput, PluginError> {
    let mut input = CsvInput {
        source: Source::open(path_of(context)?)?,
        delimiter: delimiter(context)?,
        columns: Vec::new(),
        cells: Vec::new(),
        records: 0,
    };
    let names = match given_names(context)? {
        Some(names) => Some(names),
        None => input.header()?,
    };
    // A file without a byte has no header, and no rows that would need one.
    if let Some(names) = names {
        input.columns = column::columns(names, &input.source.file_name(), context)?;
    }
    if let Start::Resumed(Some(position)) = &context.start {
        input.source.go_to(Place::from_position(position)?)?;
        input.records = count_in(position, "record")?;
    }
    Ok(input)
}

fn delimiter(context: &PluginContext<'_>) -> Result<u8, PluginError> {
    let Some(value) = context.task.params.get("delimiter") else {
        return Ok(b',');
    };
    match value.as_str().map(str::as_bytes) {
        Some([byte]) if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err(PluginError(format!(
            "`delimiter` must be one ASCII character that is neither a quote nor a line end, \
             found {}",
            shown(value)
        ))),
    }
}

fn given_names(context: &PluginContext<'_>) -> Result<Option<Vec<String>>, PluginError> {
    let Some(columns) = context.task.params.get("columns") else {
        return Ok(None);
    };
    let names = match columns {
        Value::List(list) => list
            .iter()
            .map(|name| name.as_str().map(String::from))
            .collect(),
        _ => None,
    };
    match names {
        Some(names) if !Vec::is_empty(&names) => Ok(Some(names)),
        _ => Err(PluginError(format!(
            "`columns` must be a list of names, found {}",
            shown(columns)
        ))),
    }
}

/// A value as a job file has it.
fn shown(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.kind().into())
}

/// The rows of a file.
#[derive(Debug)]
pub(super) struct CsvInput {
    source: Source,
    delimiter: u8,
    columns: Vec<Column>,
    /// The cells of the record at the front of the source.
    cells: Vec<Cell>,
    /// Rows that were polled, with those that were rejected.
    records: u64,
}

impl Input for CsvInput {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        for _ in 0..max {
            match self.next()? {
                Next::End => return Ok(Polled::Exhausted),
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
            self.records += 1;
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        let mut position = self.source.place().to_position();
        position.set("record", to_int(self.records));
        position
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

impl CsvInput {
    /// Looks at the next record.
    fn next(&mut self) -> Result<Next, PluginError> {
        // A longer text is behind what is looked at anyway.
        let mut behind = Behind::More;
        loop {
            let unread = self.source.unread();
            if unread.is_empty() && behind == Behind::Nothing {
                return Ok(Next::End);
            }
            let text = &unread[..unread.len().min(RECORD_BYTES_MAX)];
            match record::split(text, self.delimiter, behind, &mut self.cells) {
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

    /// The names in the first record; none in a file without one.
    fn header(&mut self) -> Result<Option<Vec<String>>, PluginError> {
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

#[cfg(test)]
mod tests;
