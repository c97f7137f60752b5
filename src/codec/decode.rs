//! Reading segments: all of one, or a single field of it.

use super::reader::{Head, Reader};
use super::{CodecError, DEPTH_MAX};
use crate::segment::{Key, Segment, Value};
use compact_str::CompactString;
use std::collections::BTreeSet;

/// What a length in the data may make us allocate before its elements have been seen.
const RESERVED_MAX: usize = 256;
/// Maps with more fields than this look for a repeated key in a set instead of one by one.
const FEW_FIELDS: usize = 32;
/// How many keys a decoder remembers in order, how many by their bytes, and how long they may be.
const REMEMBERED_KEYS_MAX: usize = 256;
const RECENT_KEYS: usize = 64;
const REMEMBERED_KEY_BYTES_MAX: usize = 128;

/// Reads segments, and remembers the keys of the previous one: segments that follow each other
/// mostly have the same keys in the same order, and comparing a few bytes is much cheaper than the
/// table of interned keys.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The keys of the previous segment. They are distinct, and so is every beginning of them.
    order: Vec<Key>,
    /// Keys seen anywhere, at the place that their bytes give; empty until the first one.
    recent: Vec<Option<Key>>,
}

impl Decoder {
    /// Reads exactly one segment.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Segment, CodecError> {
        let mut reader = Reader::new(bytes);
        let count = reader.map_head()?;
        let mut segment = Segment::with_capacity(count.min(RESERVED_MAX));
        for index in 0..count {
            let text = reader.key()?;
            let key = match self.order.get(index) {
                Some(known) if known.as_str().as_bytes() == text => known.clone(),
                _ => return self.decode_unforeseen(reader, segment, count, text),
            };
            let value = self.value(&mut reader, 1)?;
            segment.push_new(key, value);
        }
        reader.end()?;
        Ok(segment)
    }

    /// Goes on where the keys began to differ from those of the previous segment.
    #[inline(never)]
    fn decode_unforeseen<'a>(
        &mut self,
        mut reader: Reader<'a>,
        segment: Segment,
        count: usize,
        text: &'a [u8],
    ) -> Result<Segment, CodecError> {
        self.order.truncate(segment.len());
        let segment = self.fields(&mut reader, segment, count, Some(text), 1)?;
        reader.end()?;
        for (key, _) in segment.iter().skip(self.order.len()) {
            if self.order.len() == REMEMBERED_KEYS_MAX || !is_memorable(key.as_str().as_bytes()) {
                break;
            }
            self.order.push(key.clone());
        }
        Ok(segment)
    }

    /// Reads the fields that `segment` lacks. `text` is the key of the first one, if that has been
    /// read already.
    fn fields<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        mut segment: Segment,
        count: usize,
        mut text: Option<&'a [u8]>,
        depth: usize,
    ) -> Result<Segment, CodecError> {
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        if count > FEW_FIELDS {
            seen.extend(segment.iter().map(|(key, _)| key.clone()));
        }
        while segment.len() < count {
            let text = match text.take() {
                Some(text) => text,
                None => reader.key()?,
            };
            let at = reader.at() - text.len();
            let key = self.key(text, at)?;
            let is_new = if count > FEW_FIELDS {
                seen.insert(key.clone())
            } else {
                segment.get(key.as_str()).is_none()
            };
            if !is_new {
                let key = key.as_str().into();
                return Err(CodecError::DuplicateKey { at, key });
            }
            let value = self.value(reader, depth)?;
            segment.push_new(key, value);
        }
        Ok(segment)
    }

    #[inline]
    fn value(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Value, CodecError> {
        match reader.head()? {
            Head::Int(n) => Ok(Value::Int(n)),
            Head::Float(f) => Ok(Value::Float(f)),
            Head::String(length) => {
                let text = reader.take(length)?;
                match CompactString::from_utf8(text) {
                    Ok(text) => Ok(Value::String(text)),
                    Err(_) => Err(CodecError::NotUtf8 {
                        at: reader.at() - length,
                    }),
                }
            }
            Head::Null => Ok(Value::Null),
            Head::Bool(b) => Ok(Value::Bool(b)),
            Head::Bytes(length) => Ok(Value::Bytes(reader.take(length)?.into())),
            Head::List(length) => self.list(reader, length, depth + 1),
            Head::Map(count) => self.map(reader, count, depth + 1),
        }
    }

    #[inline(never)]
    fn list(
        &mut self,
        reader: &mut Reader<'_>,
        length: usize,
        depth: usize,
    ) -> Result<Value, CodecError> {
        check_depth(reader, depth)?;
        let mut list = Vec::with_capacity(length.min(RESERVED_MAX));
        for _ in 0..length {
            list.push(self.value(reader, depth)?);
        }
        Ok(Value::List(Box::new(list)))
    }

    #[inline(never)]
    fn map(
        &mut self,
        reader: &mut Reader<'_>,
        count: usize,
        depth: usize,
    ) -> Result<Value, CodecError> {
        check_depth(reader, depth)?;
        let segment = Segment::with_capacity(count.min(RESERVED_MAX));
        let segment = self.fields(reader, segment, count, None, depth)?;
        Ok(Value::Map(Box::new(segment)))
    }

    /// The key with this text: a recent one if possible, else one from the table.
    fn key(&mut self, text: &[u8], at: usize) -> Result<Key, CodecError> {
        let place = recent_place(text);
        if let Some(Some(known)) = self.recent.get(place)
            && known.as_str().as_bytes() == text
        {
            return Ok(known.clone());
        }
        let name = std::str::from_utf8(text).map_err(|_| CodecError::NotUtf8 { at })?;
        let key = Key::from(name);
        if is_memorable(text) {
            self.recent.resize(RECENT_KEYS, None);
            self.recent[place] = Some(key.clone());
        }
        Ok(key)
    }
}

fn is_memorable(text: &[u8]) -> bool {
    text.len() <= REMEMBERED_KEY_BYTES_MAX
}

/// The ends and the length tell most names of one job apart.
fn recent_place(text: &[u8]) -> usize {
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    (text.len() + 7 * end(text.first()) + 31 * end(text.last())) % RECENT_KEYS
}

fn check_depth(reader: &Reader<'_>, depth: usize) -> Result<(), CodecError> {
    if depth > DEPTH_MAX {
        return Err(CodecError::TooDeep { at: reader.at() });
    }
    Ok(())
}

/// Reads one field of an encoded segment and steps over those before it; looks at nothing behind.
pub fn read_field(bytes: &[u8], key: &str) -> Result<Option<Value>, CodecError> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.map_head()? {
        if reader.key()? == key.as_bytes() {
            return Decoder::default().value(&mut reader, 1).map(Some);
        }
        reader.skip()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn encoded(segment: &Segment) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(segment, &mut bytes).unwrap();
        bytes
    }

    /// The very bits: NaN is what it was, and 0.0 is not -0.0.
    fn bits(segment: &Segment) -> String {
        fn value(value: &Value) -> String {
            match value {
                Value::Float(f) => format!("float {:x}", f.to_bits()),
                Value::List(list) => format!("{:?}", list.iter().map(value_of).collect::<Vec<_>>()),
                Value::Map(segment) => bits(segment),
                other => format!("{other:?}"),
            }
        }
        fn value_of(one: &Value) -> String {
            value(one)
        }
        let fields = segment
            .iter()
            .map(|(key, one)| format!("{key}: {}", value(one)));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-40_000_i64..40_000).prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            ".{0,40}".prop_map(Value::from),
            vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(4, 40, 20, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..20).prop_map(Value::from),
                vec(("[a-e]{0,3}", inner), 0..20)
                    .prop_map(|fields| Value::from(fields.into_iter().collect::<Segment>())),
            ]
        })
    }

    fn any_segment() -> impl Strategy<Value = Segment> {
        vec(("[a-g]{1,2}", any_value()), 0..40).prop_map(|fields| fields.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_segment_reads_back_bit_for_bit(segments in vec(any_segment(), 1..4)) {
            let mut decoder = Decoder::default();
            for segment in &segments {
                let read = decoder.decode(&encoded(segment)).unwrap();
                prop_assert_eq!(bits(&read), bits(segment));
            }
        }

        #[test]
        fn one_field_is_what_the_whole_segment_says(segment in any_segment(), key in "[a-g]{1,2}") {
            let field = read_field(&encoded(&segment), &key).unwrap();
            let of = |value: &Value| bits(&[("it", value.clone())].into_iter().collect());
            prop_assert_eq!(field.as_ref().map(of), segment.get(&key).map(of));
        }

        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), key in "[a-c]") {
            let mut decoder = Decoder::default();
            let _ = read_field(&bytes, &key);
            if let Ok(segment) = decoder.decode(&bytes) {
                prop_assert_eq!(bits(&decoder.decode(&encoded(&segment)).unwrap()), bits(&segment));
            }
        }

        #[test]
        fn damaged_segments_never_panic(
            segment in any_segment(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut decoder = Decoder::default();
            let mut bytes = encoded(&segment);
            decoder.decode(&bytes).unwrap();
            let cut = cut.index(bytes.len());
            prop_assert!(decoder.decode(&bytes[..cut]).is_err());
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(segment) = decoder.decode(&bytes) {
                prop_assert_eq!(bits(&decoder.decode(&encoded(&segment)).unwrap()), bits(&segment));
            }
        }
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], message: &str) {
        let error = Decoder::default().decode(bytes).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        check_refused(&[], "byte 0: 1 more bytes were announced than the data has");
        check_refused(&[0x80, 0xc0], "byte 1: 1 bytes follow the end of the value");
        check_refused(
            &[0x93],
            "byte 1: 3 more bytes were announced than the data has",
        );
        check_refused(&[0x07], "byte 0: expected a map, found an int");
        check_refused(
            &[0x81, 0x01, 0x02],
            "byte 1: expected a string as key, found an int",
        );
        check_refused(
            &[0x81, 0xa1, b'a', 0xd4, 1, 0],
            "byte 3: type 0xd4 is not one that a segment can hold",
        );
        check_refused(
            &[0x82, 0xa1, b'a', 0xc0, 0xa1, b'a', 0xc0],
            "byte 5: the key \"a\" occurs twice in one map",
        );
        check_refused(&[0x81, 0xa1, 0xff, 0xc0], "byte 2: the text is not UTF-8");
        check_refused(
            &[0x81, 0xa1, b'a', 0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0],
            "byte 3: the integer 18374686479671623680 is larger than 9223372036854775807",
        );
        check_refused(
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
            "byte 5: 8589934590 more bytes were announced than the data has",
        );
    }

    #[test]
    fn a_key_is_found_twice_even_when_the_order_was_foreseen() {
        let mut decoder = Decoder::default();
        let wide: Segment = (0..40_i64).map(|n| (format!("k{n}"), n)).collect();
        decoder.decode(&encoded(&wide)).unwrap();
        let mut bytes = encoded(&wide);
        // The last field is the text k39 and the one byte 39; its name becomes k38.
        let last_digit = bytes.len() - 2;
        bytes[last_digit] = b'8';
        let refused = decoder.decode(&bytes);
        assert!(matches!(refused, Err(CodecError::DuplicateKey { .. })));
    }

    #[test]
    fn nesting_ends_at_the_limit_on_both_sides() {
        let nested = |levels: usize| {
            let inner = (1..levels).fold(Value::Null, |inner, _| Value::from(vec![inner]));
            [("deep", inner)].into_iter().collect::<Segment>()
        };
        let deepest = encoded(&nested(DEPTH_MAX));
        assert!(Decoder::default().decode(&deepest).is_ok());
        let mut out = vec![1, 2, 3];
        let refused = encode(&nested(DEPTH_MAX + 1), &mut out);
        assert!(matches!(refused, Err(CodecError::TooDeep { .. })));
        assert_eq!(out, [1, 2, 3]);
        let mut bytes = vec![0x81, 0xa1, b'a'];
        bytes.extend(std::iter::repeat_n(0x91, 100_000));
        bytes.push(0xc0);
        let refused = Decoder::default().decode(&bytes);
        assert!(matches!(refused, Err(CodecError::TooDeep { .. })));
        assert_eq!(read_field(&bytes, "b"), Ok(None));
    }
}
