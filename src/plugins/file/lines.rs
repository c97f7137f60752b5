//! `file/lines`: each line of a text file is a segment `{line, text}`.

use super::part_input::{PartInput, Read, Records};
use super::parts::{Division, Stretch, part};
use super::source::{Line, Place, RECORD_BYTES_MAX, Source, to_int};
use crate::files::FileAccess;
use crate::job::TaskKind;
use crate::job::vocabulary::PluginSignature;
use crate::plugins::{PluginContext, PluginError, ReadSegments, Rejected};
use crate::segment::{Key, Segment};

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    super::signature(
        TaskKind::Input,
        "Reads each line of text files as a segment {line, text}.",
        vec![super::input_paths(), super::split_key(Division::Lines)],
    )
}

/// Opens the part of a slot.
pub(super) fn open(context: &PluginContext<'_>) -> Result<PartInput<Lines>, PluginError> {
    let part = part(context, super::division(context, Division::Lines)?)?;
    let access = context.files.clone();
    let open = move |stretch: &_| Lines::open(stretch, &access);
    PartInput::open(context, part, Box::new(open))
}

/// The lines of a stretch of a file.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    line: Key,
    text: Key,
}

impl Records for Lines {
    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, PluginError> {
        if self.source.is_over() {
            return Ok(Read::End);
        }
        match self.source.line()? {
            None => return Ok(Read::End),
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
        Ok(Read::One)
    }

    fn go_to(&mut self, place: Place) -> Result<(), PluginError> {
        self.source.go_to(place)
    }

    fn place(&self) -> Place {
        self.source.place()
    }
}

impl Lines {
    fn open(stretch: &Stretch, access: &FileAccess) -> Result<Self, PluginError> {
        let mut source = Source::open(&stretch.path, access)?;
        source.enter(stretch)?;
        Ok(Lines {
            source,
            line: "line".into(),
            text: "text".into(),
        })
    }

    fn segment(&self, bytes: usize) -> Result<Segment, Rejected> {
        let bytes = &self.source.unread()[..bytes];
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            Rejected {
                place: self.source.place_name(),
                reason: format!(
                    "expected UTF-8, found {:#04x} at byte {}",
                    bytes[at],
                    at + 1
                ),
                raw: String::from_utf8_lossy(bytes).into_owned(),
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::Start;
    use crate::plugins::file::bench::Bench;
    use insta::assert_snapshot;

    fn bench(file: &'static str, content: impl AsRef<[u8]>) -> Bench {
        Bench::new("file/lines", file, "{}").holding(content)
    }

    #[test]
    fn lines_are_numbered_without_their_ends() {
        let content = "\u{feff}to be\r\n\nor not\r to be";
        assert_snapshot!(bench("hamlet.txt", content).transcript(), @r#"
    {"line":1,"text":"to be"}
    {"line":2,"text":""}
    {"line":3,"text":"or not\r to be"}
    "#);
        assert_snapshot!(bench("hamlet.txt.gz", content).transcript(), @r#"
    {"line":1,"text":"to be"}
    {"line":2,"text":""}
    {"line":3,"text":"or not\r to be"}
    "#);
        assert_eq!(bench("hamlet.txt", "").transcript(), "");
    }

    #[test]
    fn a_line_that_is_not_text_is_rejected() {
        let content = b"one\ntw\xffo\nthree\n";
        assert_snapshot!(bench("hamlet.txt", content).transcript(), @r#"
    {"line":1,"text":"one"}
    {"line":3,"text":"three"}
    hamlet.txt line 2: expected UTF-8, found 0xff at byte 3: "tw�o"
    "#);
    }

    #[test]
    fn a_line_that_is_too_long_is_rejected_up_to_its_end() {
        let long = "x".repeat(RECORD_BYTES_MAX + 1);
        let read = bench("hamlet.txt.gz", format!("one\n{long}\nthree\n{long}")).read();
        let kept: Vec<_> = read
            .segments
            .iter()
            .map(|it| it.get("line").unwrap().as_int())
            .collect();
        assert_eq!(kept, [Some(1), Some(3)]);
        let rejected: Vec<_> = read.rejected.iter().map(|it| it.place.as_str()).collect();
        assert_eq!(rejected, ["hamlet.txt.gz line 2", "hamlet.txt.gz line 4"]);
        assert_snapshot!(read.rejected[0].reason, @"expected a line shorter than 1048576 bytes");
    }

    #[test]
    fn a_compressed_file_that_was_cut_is_an_error_not_an_end() {
        let bench = bench("hamlet.txt.gz", "to be\n".repeat(1000));
        let bytes = std::fs::read(bench.path()).unwrap();
        std::fs::write(bench.path(), &bytes[..bytes.len() - 9]).unwrap();
        let mut input = bench.input(Start::Fresh).unwrap();
        let mut read = ReadSegments::default();
        let error = input.poll(2000, &mut read).unwrap_err();
        assert_snapshot!(bench.without_folder(error), @"/data/hamlet.txt.gz: cannot read it: incomplete deflate stream");
    }
}
