//! Where the cells of a CSV record are: RFC 4180, with any delimiter. A line ends with LF, CR LF or CR.
//!
//! The crate `csv` is not used here, because an input must hold a record within bounds, notice a
//! quote that never closes, and go on behind the line where it opened. Tests compare with it.

use crate::plugins::file::source::Extent;
use std::borrow::Cow;

pub(super) const QUOTE: u8 = b'"';

/// One cell, by the place of its text in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    begin: usize,
    end: usize,
    quotes: Quotes,
}

/// What a quote within a cell stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// Itself.
    Single,
    /// Half of a quote.
    Doubled,
}

/// What a text begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// A record, whose cells were found.
    Record(Extent),
    /// A line with nothing on it.
    Blank(Extent),
    /// A record that ends behind the text, which ends so.
    Open(Openness),
    /// A record with something between the closing quote of the last cell found and the next
    /// delimiter.
    BehindQuote,
}

/// Where in a record a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Openness {
    /// In the quotes of the last cell found.
    Quoted,
    /// Elsewhere.
    Bare,
}

/// What comes behind a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The end of the file.
    Nothing,
    /// Perhaps more.
    More,
}

impl Cell {
    /// The bytes between its quotes, if it has any.
    pub(super) fn bytes(self, record: &[u8]) -> &[u8] {
        &record[self.begin..self.end]
    }

    /// Its text.
    pub(super) fn text(self, record: &str) -> Cow<'_, str> {
        let text = &record[self.begin..self.end];
        match self.quotes {
            Quotes::Single => Cow::Borrowed(text),
            Quotes::Doubled => Cow::Owned(text.replace("\"\"", "\"")),
        }
    }
}

/// Finds the cells of the record that begins a text.
pub(super) fn split(text: &[u8], delimiter: u8, behind: Behind, cells: &mut Vec<Cell>) -> Split {
    cells.clear();
    match line_end(text, 0, behind) {
        Some(LineEnd::At(bytes)) => return Split::Blank(Extent { bytes, lines: 1 }),
        Some(LineEnd::Unknown) => return Split::Open(Openness::Bare),
        None => {}
    }
    let (mut at, mut lines) = (0, 1);
    loop {
        let next = if text.get(at) == Some(&QUOTE) {
            let (cell, next) = quoted(text, at + 1, behind);
            lines += line_ends(cell.bytes(text));
            cells.push(cell);
            let Some(next) = next else {
                return Split::Open(Openness::Quoted);
            };
            next
        } else {
            let next = bare_end(text, at, delimiter);
            cells.push(Cell {
                begin: at,
                end: next,
                quotes: Quotes::Single,
            });
            next
        };
        match text.get(next) {
            Some(byte) if *byte == delimiter => at = next + 1,
            Some(_) => return end_at(text, next, lines, behind),
            None if behind == Behind::More => return Split::Open(Openness::Bare),
            None => return Split::Record(Extent { bytes: next, lines }),
        }
    }
}

/// What a record is whose last cell has this byte behind it, which is not a delimiter.
fn end_at(text: &[u8], at: usize, lines: u64, behind: Behind) -> Split {
    match line_end(text, at, behind) {
        Some(LineEnd::At(bytes)) => Split::Record(Extent { bytes, lines }),
        Some(LineEnd::Unknown) => Split::Open(Openness::Bare),
        None => Split::BehindQuote,
    }
}

/// A line end at a place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// The next line begins here.
    At(usize),
    /// The text ends with a carriage return that a line feed may follow.
    Unknown,
}

/// The line end here. `None` if no line ends here.
pub(super) fn line_end(text: &[u8], at: usize, behind: Behind) -> Option<LineEnd> {
    match text.get(at..)? {
        [b'\n', ..] => Some(LineEnd::At(at + 1)),
        [b'\r', b'\n', ..] => Some(LineEnd::At(at + 2)),
        [b'\r'] if behind == Behind::More => Some(LineEnd::Unknown),
        [b'\r', ..] => Some(LineEnd::At(at + 1)),
        _ => None,
    }
}

fn bare_end(text: &[u8], begin: usize, delimiter: u8) -> usize {
    let ends = |byte: &u8| *byte == delimiter || *byte == b'\n' || *byte == b'\r';
    text[begin..]
        .iter()
        .position(ends)
        .map_or(text.len(), |length| begin + length)
}

/// The cell behind an opening quote, and what is behind its closing one if that is in the text.
fn quoted(text: &[u8], begin: usize, behind: Behind) -> (Cell, Option<usize>) {
    let mut quotes = Quotes::Single;
    let mut from = begin;
    while let Some(length) = text[from..].iter().position(|byte| *byte == QUOTE) {
        let end = from + length;
        match text.get(end + 1) {
            Some(&QUOTE) => {
                quotes = Quotes::Doubled;
                from = end + 2;
            }
            // It may be the first of two.
            None if behind == Behind::More => break,
            _ => return (Cell { begin, end, quotes }, Some(end + 1)),
        }
    }
    let end = text.len();
    (Cell { begin, end, quotes }, None)
}

/// How many lines end in a text.
fn line_ends(text: &[u8]) -> u64 {
    let is_end = |(at, byte): (usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    text.iter().enumerate().filter(|it| is_end(*it)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every record of a text, or none from where its quotes are wrong.
    fn records(text: &str) -> Option<Vec<Vec<String>>> {
        let (mut rest, mut cells, mut records) = (text, Vec::new(), Vec::new());
        while !rest.is_empty() {
            let split = split(rest.as_bytes(), b',', Behind::Nothing, &mut cells);
            let extent = match split {
                Split::Open(_) | Split::BehindQuote => return None,
                Split::Blank(extent) => extent,
                Split::Record(extent) => {
                    let texts = cells.iter().map(|cell| cell.text(rest).into_owned());
                    records.push(texts.collect());
                    extent
                }
            };
            let (record, behind) = rest.split_at(extent.bytes);
            let has_end = record.ends_with(['\n', '\r']);
            assert_eq!(
                extent.lines,
                line_ends(record.as_bytes()) + u64::from(!has_end)
            );
            rest = behind;
        }
        Some(records)
    }

    fn records_of_the_crate(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let records = reader.into_records().map(Result::unwrap);
        records
            .map(|record| record.iter().map(String::from).collect())
            .collect()
    }

    proptest! {
        #[test]
        fn records_are_those_of_the_crate_csv(text in "([ab é\",\n\r]|\"\"|\r\n){0,40}") {
            if let Some(records) = records(&text) {
                prop_assert_eq!(records, records_of_the_crate(&text));
            }
        }

        #[test]
        fn what_is_known_from_the_front_of_a_text_holds_for_the_whole(
            text in "[ab\",\n\r]{1,40}", front in 0..40_usize,
        ) {
            let (mut early, mut late) = (Vec::new(), Vec::new());
            let front = &text.as_bytes()[..front.min(text.len())];
            let known = split(front, b',', Behind::More, &mut early);
            if !matches!(known, Split::Open(_)) {
                let whole = split(text.as_bytes(), b',', Behind::Nothing, &mut late);
                prop_assert_eq!((known, early), (whole, late));
            }
        }
    }
}
