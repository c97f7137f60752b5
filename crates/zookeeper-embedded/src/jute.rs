//! Jute, ZooKeeper's record encoding: big-endian numbers, length-prefixed buffers and vectors.
//!
//! Decoding never panics and never allocates more than the bytes it was given can justify.

use thiserror::Error;

/// Bytes that are not a record of the protocol.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Garbled {
    #[error("the record ends before its last field")]
    Truncated,
    #[error("{0} is not a possible length here")]
    Length(i32),
    #[error("a string is not UTF-8")]
    Text,
    #[error("operation {0} cannot be part of a multi request")]
    MultiOperation(i32),
    #[error("{0} is the number of nothing that this server writes")]
    Kind(i32),
}

/// Reads one record from the front of a byte slice.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bool(&mut self) -> Result<bool, Garbled> {
        self.array::<1>().map(|[byte]| byte != 0)
    }

    pub(crate) fn int(&mut self) -> Result<i32, Garbled> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn long(&mut self) -> Result<i64, Garbled> {
        self.array().map(i64::from_be_bytes)
    }

    /// A buffer; the null buffer reads as the empty one.
    pub(crate) fn buffer(&mut self) -> Result<&'a [u8], Garbled> {
        Ok(self.nullable_buffer()?.unwrap_or_default())
    }

    /// A buffer, or the null buffer.
    pub(crate) fn nullable_buffer(&mut self) -> Result<Option<&'a [u8]>, Garbled> {
        let Some(length) = self.length()? else {
            return Ok(None);
        };
        let (head, tail) = self
            .rest
            .split_at_checked(length)
            .ok_or(Garbled::Truncated)?;
        self.rest = tail;
        Ok(Some(head))
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Garbled> {
        std::str::from_utf8(self.buffer()?).map_err(|_| Garbled::Text)
    }

    /// A vector. Space is not reserved up front, so a huge announced length costs nothing.
    pub(crate) fn vector<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Garbled>,
    ) -> Result<Vec<T>, Garbled> {
        let length = self.length()?.unwrap_or(0);
        let mut elements = Vec::new();
        for _ in 0..length {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub(crate) fn strings(&mut self) -> Result<Vec<String>, Garbled> {
        self.vector(|decoder| decoder.string().map(str::to_owned))
    }

    /// Minus one stands for null.
    fn length(&mut self) -> Result<Option<usize>, Garbled> {
        match self.int()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(Garbled::Length(length)),
            },
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Garbled::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }
}

/// Appends fields to a byte vector.
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Appends a frame: the fields that `fill` writes, preceded by their length in bytes.
    pub(crate) fn frame(out: &'a mut Vec<u8>, fill: impl FnOnce(&mut Encoder<'_>)) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        fill(&mut Encoder { out });
        let length = wire_length(out.len() - start - 4);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub(crate) fn int(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn long(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn buffer(&mut self, bytes: &[u8]) {
        self.int(wire_length(bytes.len()));
        self.out.extend_from_slice(bytes);
    }

    /// The null buffer.
    pub(crate) fn null(&mut self) {
        self.int(-1);
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.buffer(text.as_bytes());
    }

    pub(crate) fn vector<T>(&mut self, items: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.int(wire_length(items.len()));
        for item in items {
            element(self, item);
        }
    }

    pub(crate) fn strings(&mut self, texts: &[String]) {
        self.vector(texts, |encoder, text| encoder.string(text));
    }
}

/// Replies are kept far below two gigabytes, so saturating is a formality.
fn wire_length(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives_the_round_trip() {
        let mut bytes = Vec::new();
        Encoder::frame(&mut bytes, |encoder| {
            encoder.bool(true);
            encoder.int(-7);
            encoder.long(1 << 40);
            encoder.buffer(b"data");
            encoder.strings(&["a".to_owned(), "ü".to_owned()]);
        });
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.int(), Ok(wire_length(bytes.len() - 4)));
        assert_eq!(decoder.bool(), Ok(true));
        assert_eq!(decoder.int(), Ok(-7));
        assert_eq!(decoder.long(), Ok(1 << 40));
        assert_eq!(decoder.buffer(), Ok(b"data".as_slice()));
        assert_eq!(decoder.strings(), Ok(vec!["a".to_owned(), "ü".to_owned()]));
        assert!(decoder.is_empty());
    }

    #[test]
    fn impossible_lengths_are_errors() {
        assert_eq!(
            Decoder::new(&(-2_i32).to_be_bytes()).buffer(),
            Err(Garbled::Length(-2))
        );
        assert_eq!(
            Decoder::new(&i32::MAX.to_be_bytes()).buffer(),
            Err(Garbled::Truncated)
        );
        assert_eq!(
            Decoder::new(&i32::MAX.to_be_bytes()).strings(),
            Err(Garbled::Truncated)
        );
        assert_eq!(Decoder::new(&[0, 0]).int(), Err(Garbled::Truncated));
    }

    #[test]
    fn null_reads_as_empty_and_bad_text_is_an_error() {
        assert_eq!(
            Decoder::new(&(-1_i32).to_be_bytes()).buffer(),
            Ok([].as_slice())
        );
        assert_eq!(
            Decoder::new(&[0, 0, 0, 1, 0xff]).string(),
            Err(Garbled::Text)
        );
    }
}
