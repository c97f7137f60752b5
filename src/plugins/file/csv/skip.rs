//! The end of a CSV record, found without keeping it: for records that are too long, whose quotes are
//! wrong, or that another slot reads. What is within the quotes of a record is never a record.

use super::record::{Behind, LineEnd, QUOTE, line_end};
use crate::plugins::file::source::Extent;
use memchr::memchr3;

/// A record that is passed over, piece by piece.
#[derive(Clone, Debug)]
pub(super) struct RecordSkip {
    state: State,
    /// The line ends within it so far, its own included.
    pub(super) lines: u64,
    /// Its first bytes, at most `kept_max`.
    pub(super) kept: Vec<u8>,
    kept_max: usize,
    /// How many bytes it has so far.
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell.
    CellStart,
    /// In a cell without quotes, or behind the closing quote of one.
    Bare,
    /// Between the quotes of a cell.
    Quoted,
}

/// How far a piece of text takes a skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// The record ends with this extent.
    End(Extent),
    /// It has not ended; this extent can be consumed. It is shorter than the text if more has to be seen.
    Open(Extent),
}

impl RecordSkip {
    /// Begins at the beginning of a record, of which at most `kept_max` bytes are kept.
    pub(super) fn new(kept_max: usize) -> Self {
        RecordSkip {
            state: State::CellStart,
            lines: 0,
            kept: Vec::new(),
            kept_max,
            bytes: 0,
        }
    }

    /// Whether it has come to a quote that is not closed so far.
    pub(super) fn is_quoted(&self) -> bool {
        self.state == State::Quoted
    }

    /// How many bytes at the front of a text change nothing.
    fn ordinary(&self, text: &[u8], delimiter: u8) -> usize {
        let special = match self.state {
            State::CellStart => return 0,
            State::Bare => memchr3(delimiter, b'\n', b'\r', text),
            State::Quoted => memchr3(QUOTE, b'\n', b'\r', text),
        };
        special.unwrap_or(text.len())
    }

    /// Goes on with the text that follows. `is_last` says that nothing follows the text.
    pub(super) fn advance(&mut self, text: &[u8], delimiter: u8, behind: Behind) -> Skipped {
        let mut at = 0;
        let mut lines = 0;
        let ended = loop {
            at += self.ordinary(&text[at..], delimiter);
            let Some(byte) = text.get(at) else {
                break false;
            };
            if let Some(end) = line_end(text, at, behind) {
                let LineEnd::At(next) = end else {
                    // A line feed may follow the carriage return.
                    break false;
                };
                (at, lines) = (next, lines + 1);
                if self.state != State::Quoted {
                    break true;
                }
                continue;
            }
            at += 1;
            self.state = match (self.state, *byte) {
                (State::CellStart, QUOTE) => State::Quoted,
                // The second of two quotes opens them again, so that a doubled quote is none.
                (State::Quoted, QUOTE) if text.get(at) == Some(&QUOTE) => {
                    at += 1;
                    State::Quoted
                }
                (State::Quoted, QUOTE) if at == text.len() && behind == Behind::More => {
                    // It may be the first of two.
                    at -= 1;
                    break false;
                }
                (State::Quoted, QUOTE) => State::Bare,
                (State::Quoted, _) => State::Quoted,
                (_, byte) if byte == delimiter => State::CellStart,
                (State::CellStart | State::Bare, _) => State::Bare,
            };
        };
        let extent = Extent { bytes: at, lines };
        self.lines += lines;
        self.bytes += at as u64;
        let room = self.kept_max.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&text[..at.min(room)]);
        match ended {
            true => Skipped::End(extent),
            false => Skipped::Open(extent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Split, split};
    use super::*;
    use proptest::prelude::*;

    /// Where the first record of a text ends, when the text comes in two pieces.
    fn end(text: &[u8], cut: usize) -> usize {
        let mut skip = RecordSkip::new(0);
        let mut at = 0;
        for (to, behind) in [
            (cut.min(text.len()), Behind::More),
            (text.len(), Behind::Nothing),
        ] {
            match skip.advance(&text[at..to], b',', behind) {
                Skipped::End(extent) => return at + extent.bytes,
                Skipped::Open(extent) => at += extent.bytes,
            }
        }
        at
    }

    proptest! {
        #[test]
        fn a_skip_ends_where_the_record_ends(text in "[ab,\"\n\r]{1,40}", cut in 0..40_usize) {
            let mut cells = Vec::new();
            let skipped = end(text.as_bytes(), cut);
            match split(text.as_bytes(), b',', Behind::Nothing, &mut cells) {
                Split::Record(extent) | Split::Blank(extent) => {
                    prop_assert_eq!(skipped, extent.bytes);
                }
                Split::Open(_) => prop_assert_eq!(skipped, text.len()),
                Split::BehindQuote => {
                    let front = &text[..skipped];
                    let ends = front.ends_with(['\n', '\r']) || skipped == text.len();
                    prop_assert!(ends, "{}", front);
                }
            }
        }

        #[test]
        fn pieces_do_not_change_where_a_skip_ends(
            text in "[ab,\"\n\r]{1,40}", cut in 0..40_usize, other in 0..40_usize,
        ) {
            prop_assert_eq!(end(text.as_bytes(), cut), end(text.as_bytes(), other));
        }
    }
}
