//! Many segments, encoded one after another, shared by everybody who needs them.

use super::{CodecError, Decoder, encode};
use crate::segment::Segment;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Encoded segments in one piece of memory. Cloning and slicing share it.
#[derive(Clone, Default)]
pub struct Encoded {
    bytes: Bytes,
    /// Where each segment ends in `bytes`; the next one begins there.
    ends: Arc<[u32]>,
    /// Which of those segments this value shows.
    shown: Range<usize>,
}

impl Encoded {
    /// The segments of a payload that was encoded elsewhere. The ends must grow and the last one be
    /// the length of the bytes; what is between them is looked at when it is decoded.
    pub fn from_parts(bytes: Bytes, ends: Vec<u32>) -> Result<Self, CodecError> {
        let mut start = 0;
        let bad = |index| CodecError::BadEnds {
            index,
            bytes: bytes.len(),
        };
        for (index, &end) in ends.iter().enumerate() {
            if end < start {
                return Err(bad(index));
            }
            start = end;
        }
        if start as usize != bytes.len() {
            return Err(bad(ends.len().saturating_sub(1)));
        }
        Ok(Encoded {
            bytes,
            shown: 0..ends.len(),
            ends: ends.into(),
        })
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether there is no segment.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many bytes the segments take.
    pub fn byte_len(&self) -> usize {
        self.start(self.shown.end) - self.start(self.shown.start)
    }

    /// The bytes of one segment. Panics, as a slice does, when there is no such segment.
    pub fn raw(&self, index: usize) -> &[u8] {
        assert!(index < self.len(), "segment {index} of {}", self.len());
        let at = self.shown.start + index;
        &self.bytes[self.start(at)..self.start(at + 1)]
    }

    /// The bytes of each segment in turn.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.raw(index))
    }

    /// One segment, decoded.
    pub fn decode(&self, index: usize, decoder: &mut Decoder) -> Result<Segment, CodecError> {
        decoder.decode(self.raw(index))
    }

    /// All segments, decoded, in the place and the memory of what was there; stops at the first that
    /// is damaged.
    pub fn decode_all_over(
        &self,
        decoder: &mut Decoder,
        segments: &mut Vec<Segment>,
    ) -> Result<(), CodecError> {
        segments.resize_with(self.len(), Segment::new);
        for (raw, segment) in self.iter().zip(segments) {
            decoder.decode_over(raw, segment)?;
        }
        Ok(())
    }

    /// Some of the segments, in the same memory. Panics, as a slice does, when there are not so many.
    pub fn slice(&self, range: Range<usize>) -> Encoded {
        assert!(range.start <= range.end && range.end <= self.len());
        Encoded {
            bytes: self.bytes.clone(),
            ends: self.ends.clone(),
            shown: self.shown.start + range.start..self.shown.start + range.end,
        }
    }

    /// All bytes, and where each segment ends in them.
    pub(super) fn parts(&self) -> (&[u8], impl ExactSizeIterator<Item = u32>) {
        let start = self.start(self.shown.start);
        let bytes = &self.bytes[start..self.start(self.shown.end)];
        let ends = &self.ends[self.shown.clone()];
        (bytes, ends.iter().map(move |end| end - start as u32))
    }

    /// Where a segment of the whole memory begins.
    fn start(&self, at: usize) -> usize {
        match at.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => 0,
        }
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Encoded({} segments, {} bytes)",
            self.len(),
            self.byte_len()
        )
    }
}

/// Equal when the same segments have the same bytes.
impl PartialEq for Encoded {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Collects segments into an [`Encoded`].
#[derive(Debug, Default)]
pub struct EncodedBuilder {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl EncodedBuilder {
    /// A builder with room for so many segments of so many bytes altogether.
    pub fn with_capacity(segments: usize, bytes: usize) -> Self {
        EncodedBuilder {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(segments),
        }
    }

    /// Encodes one more. When it fails, the builder is as before.
    pub fn push(&mut self, segment: &Segment) -> Result<(), CodecError> {
        let start = self.bytes.len();
        encode(segment, &mut self.bytes)?;
        self.end_at(start)
    }

    /// Appends one that is encoded already.
    pub fn push_raw(&mut self, raw: &[u8]) -> Result<(), CodecError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw);
        self.end_at(start)
    }

    /// How many segments there are so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes they take so far.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The segments, no longer to be changed.
    pub fn finish(self) -> Encoded {
        Encoded {
            bytes: self.bytes.into(),
            shown: 0..self.ends.len(),
            ends: self.ends.into(),
        }
    }

    #[inline]
    fn end_at(&mut self, start: usize) -> Result<(), CodecError> {
        let length = self.bytes.len();
        let Ok(end) = u32::try_from(length) else {
            self.bytes.truncate(start);
            return Err(CodecError::TooLong {
                what: "payload",
                length,
            });
        };
        self.ends.push(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: i64) -> Segment {
        [("n", n)].into_iter().collect()
    }

    fn payload(count: i64) -> Encoded {
        let mut builder = EncodedBuilder::default();
        for n in 0..count {
            builder.push(&numbered(n * 100)).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn segments_come_back_in_order() {
        let encoded = payload(5);
        let mut segments = Vec::new();
        encoded
            .decode_all_over(&mut Decoder::default(), &mut segments)
            .unwrap();
        let expected: Vec<Segment> = (0..5).map(|n| numbered(n * 100)).collect();
        assert_eq!(segments, expected);
        let fewer = encoded.slice(3..5);
        fewer
            .decode_all_over(&mut Decoder::default(), &mut segments)
            .unwrap();
        assert_eq!(segments, expected[3..]);
    }

    #[test]
    fn a_slice_shows_its_part_of_the_same_memory() {
        let encoded = payload(5);
        let middle = encoded.slice(1..4).slice(1..3);
        assert_eq!(middle.len(), 2);
        assert_eq!(middle.raw(0).as_ptr(), encoded.raw(2).as_ptr());
        assert_eq!(
            middle.byte_len(),
            middle.iter().map(<[u8]>::len).sum::<usize>()
        );
        let (bytes, ends) = middle.parts();
        let copy = Encoded::from_parts(Bytes::copy_from_slice(bytes), ends.collect()).unwrap();
        assert_eq!(copy, middle);
        assert!(payload(0).is_empty());
        assert_eq!(encoded.slice(2..2).byte_len(), 0);
    }

    #[test]
    fn raw_segments_are_copied_as_they_are() {
        let encoded = payload(3);
        let mut builder = EncodedBuilder::with_capacity(3, encoded.byte_len());
        assert!(builder.is_empty());
        for (index, raw) in encoded.iter().enumerate() {
            builder.push_raw(raw).unwrap();
            assert_eq!((builder.len(), builder.is_empty()), (index + 1, false));
        }
        assert_eq!(builder.byte_len(), encoded.byte_len());
        assert_eq!(builder.finish(), encoded);
    }

    #[test]
    fn ends_that_do_not_fit_are_refused() {
        let of = |ends: &[u32]| Encoded::from_parts(Bytes::from_static(&[0x80; 4]), ends.to_vec());
        assert!(of(&[1, 2, 4]).is_ok());
        assert!(of(&[2, 1, 4]).is_err());
        assert!(of(&[1, 2, 3]).is_err());
        assert!(of(&[1, 2, 5]).is_err());
        assert!(of(&[]).is_err());
    }
}
