//! The input of one slot: the records of its part, one stretch of a file after the other.

use super::parts::{Part, Stretch};
use super::source::{Pause, Place, count_in, to_int};
use crate::plugins::{Input, PluginContext, PluginError, Polled, Position, ReadSegments, Start};
use std::time::Duration;

/// Reads the records of one stretch: what lines and rows differ in. Each call can be made again after a
/// [`Pause`].
pub(super) trait Records: Send {
    /// A poll begins.
    fn begin_poll(&mut self);

    /// Goes to the first record of the stretch, or to the place where a predecessor was. Does nothing once
    /// it has come there.
    fn begin(&mut self) -> Result<(), Pause>;

    /// Reads one record, or rejects it; says whether there was one.
    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, Pause>;

    /// Goes on at a place that this stretch had given. To be called before `begin`.
    fn go_to(&mut self, place: Place);

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

/// Opens a stretch. Reads nothing.
pub(super) type Open<R> = Box<dyn Fn(&Stretch) -> Result<R, PluginError> + Send>;

/// When to look again at a pipe that has nothing.
const PIPE_IDLE: Duration = Duration::from_millis(5);

/// The most files that are opened in one poll.
const OPENED_MAX: usize = 256;

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
        if let Some(reader) = &mut input.reader {
            if let Some(position) = saved {
                reader.go_to(Place::from_position(position)?);
            }
            // A file that cannot be read ends the start of the task. A pipe may have nothing yet.
            match reader.begin() {
                Ok(()) | Err(Pause::NothingYet | Pause::EnoughForNow) => {}
                Err(Pause::Failed(error)) => return Err(error),
            }
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

impl<R: Records> PartInput<R> {
    /// Reads at most `max` records. False once there are no more.
    fn read(&mut self, max: usize, read: &mut ReadSegments) -> Result<bool, Pause> {
        let (mut records, mut opened) = (0, 0);
        while records < max && opened < OPENED_MAX {
            let Some(reader) = &mut self.reader else {
                return Ok(false);
            };
            reader.begin()?;
            match reader.read_one(read)? {
                Read::One => records += 1,
                Read::End if self.at + 1 < self.part.len() => {
                    self.at += 1;
                    opened += 1;
                    self.enter()?;
                }
                Read::End => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl<R: Records> Input for PartInput<R> {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        if let Some(reader) = &mut self.reader {
            reader.begin_poll();
        }
        match self.read(max, read) {
            Ok(true) | Err(Pause::EnoughForNow) => Ok(Polled::More),
            Ok(false) => Ok(Polled::Exhausted),
            Err(Pause::NothingYet) => Ok(Polled::Idle(PIPE_IDLE)),
            Err(Pause::Failed(error)) => Err(error),
        }
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
