//! `file/lines`: each line of a text file is a segment `{line, text}`.

use super::path_of;
use super::source::{Line, Place, RECORD_BYTES_MAX, Source, to_int};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::{Input, PluginContext, PluginError, Polled, Position, ReadSegments};
use crate::plugins::{Rejected, Start};
use crate::segment::{Key, Segment};

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let path = "The file; one that ends in .gz is decompressed.";
    super::signature(
        TaskKind::Input,
        "Reads each line of a text file as a segment {line, text}.",
        vec![KeySchema::required("path", KeyKind::InputPath, path)],
    )
}

/// Opens the file of a task.
pub(super) fn open(context: &PluginContext<'_>) -> Result<LinesInput, PluginError> {
    let mut source = Source::open(path_of(context)?)?;
    if let Start::Resumed(Some(position)) = &context.start {
        source.go_to(Place::from_position(position)?)?;
    }
    Ok(LinesInput {
        source,
        line: "line".into(),
        text: "text".into(),
    })
}

/// The lines of a file.
#[derive(Debug)]
pub(super) struct LinesInput {
    source: Source,
    line: Key,
    text: Key,
}

impl Input for LinesInput {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        for _ in 0..max {
            match self.source.line()? {
                None => return Ok(Polled::Exhausted),
                Some(Line::TooLong) => {
                    read.rejected.push(self.too_long());
                    self.source.skip_line()?;
                }
                Some(Line::Text(bytes, extent)) => {
                    match self.segment(bytes) {
                        Ok(segment) => read.segments.push(segment),
                        Err(rejected) => read.rejected.push(rejected),
                    }
                    self.source.consume(extent);
                }
            }
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        self.source.place().to_position()
    }
}

impl LinesInput {
    fn segment(&self, bytes: usize) -> Result<Segment, Rejected> {
        let bytes = &self.source.unread()[..bytes];
        let text = std::str::from_utf8(bytes).map_err(|error| Rejected {
            place: self.source.place_name(),
            reason: format!(
                "expected UTF-8, found other bytes behind {}",
                error.valid_up_to()
            ),
            raw: String::from_utf8_lossy(bytes).into_owned(),
        })?;
        let mut segment = Segment::with_capacity(2);
        segment.push_new(self.line.clone(), to_int(self.source.place().line).into());
        segment.push_new(self.text.clone(), text.into());
        Ok(segment)
    }

    fn too_long(&self) -> Rejected {
        Rejected {
            place: self.source.place_name(),
            reason: format!("expected a line shorter than {RECORD_BYTES_MAX} bytes"),
            raw: self.source.excerpt(),
        }
    }
}
