//! The input of one slot: the records of its part, one stretch of a file after the other.

use super::parts::{Part, Stretch};
use super::source::{Place, count_in, to_int};
use crate::plugins::{Input, PluginContext, PluginError, Polled, Position, ReadSegments, Start};

/// Reads the records of one stretch: what lines and rows differ in.
pub(super) trait Records: Send {
    /// Reads one record, or rejects it; says whether there was one.
    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, PluginError>;

    /// Goes on at a place that this stretch had given.
    fn go_to(&mut self, place: Place) -> Result<(), PluginError>;

    /// Where the next record begins.
    fn place(&self) -> Place;
}

/// Whether a record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    One,
    /// The stretch is over.
    End,
}

/// Opens a stretch at its beginning.
pub(super) type Open<R> = Box<dyn Fn(&Stretch) -> Result<R, PluginError> + Send>;

/// The part of one slot, and how far it has been read.
pub(super) struct PartInput<R> {
    part: Part,
    open: Open<R>,
    /// The stretch of the part that is read, and its reader.
    at: usize,
    reader: Option<R>,
}

impl<R: Records> PartInput<R> {
    /// Opens the first stretch, or the one where a predecessor was.
    pub(super) fn open(
        context: &PluginContext<'_>,
        part: Part,
        open: Open<R>,
    ) -> Result<Self, PluginError> {
        let mut input = PartInput {
            part,
            open,
            at: 0,
            reader: None,
        };
        let saved = match &context.start {
            Start::Resumed(Some(position)) if !input.part.is_empty() => Some(position),
            _ => None,
        };
        if let Some(position) = saved {
            let file = count_in(position, FILE)?;
            let at = input.part.iter().position(|stretch| stretch.file == file);
            input.at = at.ok_or_else(|| {
                let message = "the saved position is in a file that this slot does not read";
                PluginError(format!("task `{}`: {message}", context.task.name))
            })?;
        }
        input.enter()?;
        if let (Some(position), Some(reader)) = (saved, &mut input.reader) {
            reader.go_to(Place::from_position(position)?)?;
        }
        Ok(input)
    }

    fn enter(&mut self) -> Result<(), PluginError> {
        self.reader = match self.part.get(self.at) {
            Some(stretch) => Some((self.open)(stretch)?),
            None => None,
        };
        Ok(())
    }
}

impl<R: Records> Input for PartInput<R> {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        let mut records = 0;
        while records < max {
            let Some(reader) = &mut self.reader else {
                return Ok(Polled::Exhausted);
            };
            match reader.read_one(read)? {
                Read::One => records += 1,
                Read::End if self.at + 1 < self.part.len() => {
                    self.at += 1;
                    self.enter()?;
                }
                Read::End => return Ok(Polled::Exhausted),
            }
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        let Some((reader, stretch)) = self.reader.as_ref().zip(self.part.get(self.at)) else {
            return Position::new();
        };
        let mut position = reader.place().to_position();
        position.set(FILE, to_int(stretch.file));
        position
    }
}

const FILE: &str = "file";
