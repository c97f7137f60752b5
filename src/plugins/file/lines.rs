//! `file/lines`: each line of a text file is a segment `{line, text}`.

use super::part_input::{PartInput, Read, Records};
use super::parts::{Division, Stretch, part};
use super::source::{Line, Pause, Place, RECORD_BYTES_MAX, Source, to_int};
use crate::files::FileAccess;
use crate::job::TaskKind;
use crate::job::vocabulary::PluginSignature;
use crate::plugins::{PluginContext, PluginError, ReadSegments, Rejected};
use crate::segment::{Key, Segment};
use memchr::memchr;

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
    stretch: Stretch,
    stage: Stage,
    /// Where the next line begins, while a line that is too long is passed over as well.
    place: Place,
    line: Key,
    text: Key,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The first bytes, then what is before the stretch, or before this place.
    Opened(Option<Place>),
    /// What is before this place.
    Resuming(Place),
    /// What is before the stretch.
    Before,
    /// The rest of a line that began before the stretch.
    RestBefore,
    /// A line.
    Within,
    /// The rest of a line that is too long.
    RestOfLong,
}

impl Records for Lines {
    fn begin_poll(&mut self) {
        self.source.begin_poll();
    }

    fn begin(&mut self) -> Result<(), Pause> {
        loop {
            self.stage = match self.stage {
                Stage::Within | Stage::RestOfLong => return Ok(()),
                Stage::Opened(place) => {
                    self.source.begin()?;
                    self.source.bound(&self.stretch);
                    place.map_or(Stage::Before, Stage::Resuming)
                }
                Stage::Resuming(place) => {
                    self.source.go_to(place)?;
                    Stage::Within
                }
                Stage::Before => {
                    self.source.read_before()?;
                    match self.source.is_before() {
                        true => Stage::RestBefore,
                        false => Stage::Within,
                    }
                }
                Stage::RestBefore => {
                    self.source.skip_line()?;
                    Stage::Within
                }
            };
            self.place = self.source.place();
        }
    }

    fn read_one(&mut self, read: &mut ReadSegments) -> Result<Read, Pause> {
        if self.stage == Stage::RestOfLong {
            self.pass_rest_of_long()?;
        }
        if self.source.is_over() {
            return Ok(Read::End);
        }
        match self.source.line()? {
            None => return Ok(Read::End),
            Some(Line::TooLong) => {
                read.rejected.push(self.too_long());
                self.stage = Stage::RestOfLong;
                self.pass_rest_of_long()?;
            }
            Some(Line::Text(bytes, extent)) => {
                match self.segment(bytes) {
                    Ok(segment) => read.segments.push(segment),
                    Err(rejected) => read.rejected.push(rejected),
                }
                self.source.consume(extent);
                self.place = self.source.place();
            }
        }
        Ok(Read::One)
    }

    fn go_to(&mut self, place: Place) {
        if place != Place::BEGINNING {
            self.stage = Stage::Opened(Some(place));
        }
    }

    fn place(&self) -> Place {
        match self.stage {
            Stage::Within | Stage::RestOfLong => self.place,
            Stage::Opened(Some(place)) | Stage::Resuming(place) => place,
            Stage::Opened(None) | Stage::Before | Stage::RestBefore => Place::BEGINNING,
        }
    }
}

impl Lines {
    fn open(stretch: &Stretch, access: &FileAccess) -> Result<Self, PluginError> {
        Ok(Lines {
            source: Source::open(&stretch.path, access)?,
            stretch: stretch.clone(),
            stage: Stage::Opened(None),
            place: Place::BEGINNING,
            line: "line".into(),
            text: "text".into(),
        })
    }

    fn pass_rest_of_long(&mut self) -> Result<(), Pause> {
        self.source.skip_line()?;
        (self.stage, self.place) = (Stage::Within, self.source.place());
        Ok(())
    }

    fn segment(&self, bytes: usize) -> Result<Segment, Rejected> {
        let bytes = &self.source.unread()[..bytes];
        let text = text(bytes).map_err(|reason| Rejected {
            place: self.source.place_name(),
            reason,
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
            reason: format!("expected a line of at most {RECORD_BYTES_MAX} bytes"),
            raw: self.source.excerpt(),
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        format!(
            "expected UTF-8, found {:#04x} at byte {}",
            bytes[at],
            at + 1
        )
    })?;
    match memchr(0, bytes) {
        Some(at) => Err(format!(
            "expected text, found a NUL byte at byte {}",
            at + 1
        )),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::file::bench::Bench;
    use crate::plugins::{Polled, Start};
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
        assert_snapshot!(read.rejected[0].reason, @"expected a line of at most 1048576 bytes");
    }

    #[test]
    fn a_line_of_the_longest_length_is_read() {
        for end in ["", "\n", "\r\n"] {
            for (length, lines) in [(RECORD_BYTES_MAX, 1), (RECORD_BYTES_MAX + 1, 0)] {
                let line = "x".repeat(length);
                let read = bench("hamlet.txt", format!("{line}{end}")).read();
                assert_eq!(read.segments.len(), lines, "{length} {end:?}");
                assert_eq!(read.rejected.len(), 1 - lines, "{length} {end:?}");
            }
        }
    }

    #[test]
    fn lines_of_a_file_without_line_feeds_end_with_carriage_returns() {
        assert_snapshot!(bench("hamlet.txt", "to be\r\ror not").transcript(), @r#"
    {"line":1,"text":"to be"}
    {"line":2,"text":""}
    {"line":3,"text":"or not"}
    "#);
    }

    #[test]
    fn a_line_with_a_nul_is_rejected() {
        let content = format!("{}or\0not\n", "to be\n".repeat(9));
        let transcript = bench("hamlet.txt", content).transcript();
        assert_snapshot!(transcript.lines().nth(9).unwrap(), @r#"hamlet.txt line 10: expected text, found a NUL byte at byte 3: "or\0not""#);
    }

    #[test]
    fn a_single_line_that_ends_with_a_carriage_return_is_one() {
        assert_snapshot!(bench("hamlet.txt", "to be\r").transcript(), @r#"{"line":1,"text":"to be"}"#);
        assert_snapshot!(bench("hamlet.txt", "to\rbe\n").transcript(), @r#"{"line":1,"text":"to\rbe"}"#);
    }

    #[test]
    fn a_file_in_utf_16_is_refused() {
        let wide: Vec<u8> = "to be\n"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        let bench = bench("hamlet.txt", wide);
        let error = bench.input(Start::Fresh).err().unwrap();
        assert_snapshot!(bench.without_folder(error), @"/data/hamlet.txt: it is UTF-16BE and not UTF-8; convert it, as with `iconv -f UTF-16BE -t UTF-8`");
    }

    #[test]
    fn zeros_may_follow_the_last_gzip_member_and_nothing_else() {
        let reads = |behind: &[u8]| {
            let bench = bench("hamlet.txt.gz", "to be\n");
            let mut bytes = std::fs::read(bench.path()).unwrap();
            bytes.extend(behind);
            std::fs::write(bench.path(), bytes).unwrap();
            let mut read = ReadSegments::default();
            let polled = bench.input(Start::Fresh).unwrap().poll(10, &mut read);
            polled.map_err(|error| bench.without_folder(error))
        };
        assert_eq!(reads(&[0; 100_000]), Ok(Polled::Exhausted));
        let wrong = "/data/hamlet.txt.gz: cannot read it: something that is not gzip follows its 2 gzip members";
        assert_eq!(reads(b"more"), Err(wrong.into()));
        assert_eq!(reads(b"\0\0more"), Err(wrong.into()));
    }

    #[test]
    fn a_gzip_name_needs_gzip_content() {
        let bench = bench("hamlet.txt.gz", "");
        std::fs::write(bench.path(), "to be\n").unwrap();
        let error = bench.input(Start::Fresh).err().unwrap();
        assert_snapshot!(bench.without_folder(error), @"/data/hamlet.txt.gz: cannot read it: its name ends in .gz, and its content is not gzip");
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
