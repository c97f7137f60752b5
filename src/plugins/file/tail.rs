//! How a file ends whose writer may have died: rows are whole up to where it is cut.

use super::pieces::Packing;
use flate2::Compression;
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

/// What is read at once.
const CHUNK_BYTES: u64 = 64 * 1024;

/// Cuts what is behind the last whole row, or batch of rows. It was never acknowledged, so it comes
/// again.
pub(super) fn mend(file: &mut File, packing: Packing) -> io::Result<()> {
    let end = match packing {
        Packing::Plain => end_of_last_line(file)?,
        Packing::Gzip => end_of_last_member(file)?,
    };
    if end < file.metadata()?.len() {
        file.set_len(end)?;
    }
    Ok(())
}

/// Cuts what is behind the last whole line of a file that is not packed.
pub(crate) fn cut_torn_line(file: &mut File) -> io::Result<()> {
    mend(file, Packing::Plain)
}

impl Packing {
    /// What rows are as bytes of a file.
    pub(super) fn packed(self, rows: &[u8]) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Packing::Plain => Ok(Cow::Borrowed(rows)),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(rows)?;
                encoder.finish().map(Cow::Owned)
            }
        }
    }

    /// How many rows a file has.
    pub(super) fn rows(self, file: &mut File) -> io::Result<u64> {
        file.seek(SeekFrom::Start(0))?;
        let mut file = BufReader::new(file);
        match self {
            // Not even a member is there.
            _ if file.fill_buf()?.is_empty() => Ok(0),
            Packing::Plain => newlines(file),
            Packing::Gzip => newlines(BufReader::new(MultiGzDecoder::new(file))),
        }
    }
}

fn newlines(mut text: impl BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let chunk = text.fill_buf()?;
        if chunk.is_empty() {
            return Ok(lines);
        }
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        let read = chunk.len();
        text.consume(read);
    }
}

fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(CHUNK_BYTES);
        file.seek(SeekFrom::Start(begin))?;
        chunk.clear();
        Read::by_ref(file)
            .take(end - begin)
            .read_to_end(&mut chunk)?;
        if let Some(newline) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + newline as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// A member that is not whole ends the file. One that is damaged otherwise is an error: cutting it
/// would take rows away that were acknowledged.
fn end_of_last_member(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut members = Counted {
        file: BufReader::new(file),
        bytes: 0,
    };
    loop {
        let begin = members.bytes;
        if members.fill_buf()?.is_empty() {
            return Ok(begin);
        }
        match io::copy(&mut GzDecoder::new(&mut members), &mut io::sink()) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(begin),
            Err(error) => {
                let text = format!("it is damaged in the member at byte {begin}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
}

/// A file and how much of it was consumed.
struct Counted<'a> {
    file: BufReader<&'a mut File>,
    bytes: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(room)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.file.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.file.consume(bytes);
    }
}
