//! Reading segments: all of one, or some fields of it.

use super::error::Fault;
use super::reader::{ForeseenKey, Head, Reader};
use super::{CodecError, DEPTH_MAX};
use crate::segment::{Key, Segment, Value};
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
    order: Vec<(ForeseenKey, Key)>,
    /// Keys seen anywhere, at the place that their bytes give; empty until the first one.
    recent: Vec<Option<Key>>,
}

impl Decoder {
    /// Reads exactly one segment.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Segment, CodecError> {
        let mut segment = Segment::with_capacity(self.order.len());
        self.decode_over(bytes, &mut segment)?;
        Ok(segment)
    }

    /// Reads exactly one segment into the memory of another, which is gone in any case: whoever reads
    /// one after the other allocates nothing for their fields.
    pub fn decode_over(&mut self, bytes: &[u8], segment: &mut Segment) -> Result<(), CodecError> {
        self.segment(bytes, segment).map_err(|fault| *fault)
    }

    /// Reads these fields of one segment, as far as it has them, into the memory of another. Steps over
    /// the others and looks at nothing behind the last of them.
    pub fn decode_fields(
        &mut self,
        bytes: &[u8],
        keys: &[Key],
        segment: &mut Segment,
    ) -> Result<(), CodecError> {
        self.some_fields(bytes, keys, segment)
            .map_err(|fault| *fault)
    }

    fn some_fields(
        &mut self,
        bytes: &[u8],
        keys: &[Key],
        segment: &mut Segment,
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(bytes);
        let mut found = 0;
        for _ in 0..reader.map_head()? {
            if found == keys.len() {
                break;
            }
            let text = reader.key()?;
            let wanted = keys.iter().find(|key| key.as_str().as_bytes() == text);
            let has = |key: &Key| segment.iter().take(found).any(|(had, _)| had == key);
            match wanted.filter(|key| !has(key)) {
                Some(key) => {
                    self.value(&mut reader, segment.place_at(found, key), 1)?;
                    found += 1;
                }
                None => reader.skip()?,
            }
        }
        segment.truncate(found);
        Ok(())
    }

    #[inline]
    fn segment(&mut self, bytes: &[u8], segment: &mut Segment) -> Result<(), Fault> {
        let mut reader = Reader::new(bytes);
        let count = reader.map_head()?;
        let known = self.order.len().min(count);
        if segment.is_empty() {
            segment.reserve(count.min(RESERVED_MAX));
        }
        for index in 0..known {
            let (foreseen, key) = &self.order[index];
            if !reader.take_foreseen(foreseen) {
                return self.unforeseen(reader, segment, (index, count));
            }
            let place = segment.place_at(index, key);
            self.value(&mut reader, place, 1)?;
        }
        if known < count {
            return self.unforeseen(reader, segment, (known, count));
        }
        segment.truncate(count);
        reader.end()
    }

    /// Goes on where the keys began to differ from those of the previous segment.
    #[inline(never)]
    fn unforeseen(
        &mut self,
        mut reader: Reader<'_>,
        segment: &mut Segment,
        (read, count): (usize, usize),
    ) -> Result<(), Fault> {
        segment.truncate(read);
        self.order.truncate(read);
        self.fields(&mut reader, segment, count, 1)?;
        reader.end()?;
        for (key, _) in segment.iter().skip(self.order.len()) {
            if self.order.len() == REMEMBERED_KEYS_MAX || !is_memorable(key.as_str().as_bytes()) {
                break;
            }
            self.order
                .push((ForeseenKey::new(key.as_str())?, key.clone()));
        }
        Ok(())
    }

    /// Reads the fields that `segment` lacks.
    fn fields(
        &mut self,
        reader: &mut Reader<'_>,
        segment: &mut Segment,
        count: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        if count > FEW_FIELDS {
            seen.extend(segment.iter().map(|(key, _)| key.clone()));
        }
        while segment.len() < count {
            let text = reader.key()?;
            let at = reader.at() - text.len();
            let key = self.key(text, at)?;
            let is_new = if count > FEW_FIELDS {
                seen.insert(key.clone())
            } else {
                segment.get(key.as_str()).is_none()
            };
            if !is_new {
                let key = key.as_str().into();
                return Err(CodecError::DuplicateKey { at, key }.into());
            }
            self.value(reader, segment.push_place(&key), depth)?;
        }
        Ok(())
    }

    /// Reads a value into its place. A value that is built elsewhere part
    /// by part and then moved stalls the processor for longer than it takes to read it.
    #[inline(always)]
    fn value(
        &mut self,
        reader: &mut Reader<'_>,
        place: &mut Value,
        depth: usize,
    ) -> Result<(), Fault> {
        match reader.head()? {
            Head::Int(n) => *place = Value::Int(n),
            Head::Float(f) => *place = Value::Float(f),
            Head::String(length) => {
                let text = reader.take(length)?;
                match std::str::from_utf8(text) {
                    Ok(text) => *place = Value::String(text.into()),
                    Err(_) => return Err(not_utf8(reader.at() - length)),
                }
            }
            Head::Null => *place = Value::Null,
            Head::Bool(b) => *place = Value::Bool(b),
            Head::Bytes(length) => *place = Value::Bytes(reader.take(length)?.into()),
            Head::List(length) => *place = self.list(reader, length, depth + 1)?,
            Head::Map(count) => *place = self.map(reader, count, depth + 1)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn list(
        &mut self,
        reader: &mut Reader<'_>,
        length: usize,
        depth: usize,
    ) -> Result<Value, Fault> {
        check_depth(reader, depth)?;
        let mut list = Vec::with_capacity(length.min(RESERVED_MAX));
        for _ in 0..length {
            self.value(reader, list.push_mut(Value::Null), depth)?;
        }
        Ok(Value::List(Box::new(list)))
    }

    #[inline(never)]
    fn map(&mut self, reader: &mut Reader<'_>, count: usize, depth: usize) -> Result<Value, Fault> {
        check_depth(reader, depth)?;
        let mut segment = Segment::with_capacity(count.min(RESERVED_MAX));
        self.fields(reader, &mut segment, count, depth)?;
        Ok(Value::Map(Box::new(segment)))
    }

    /// The key with this text: a recent one if possible, else one from the table.
    fn key(&mut self, text: &[u8], at: usize) -> Result<Key, Fault> {
        let place = recent_place(text);
        if let Some(Some(known)) = self.recent.get(place)
            && known.as_str().as_bytes() == text
        {
            return Ok(known.clone());
        }
        let name = std::str::from_utf8(text).map_err(|_| not_utf8(at))?;
        let key = Key::from(name);
        if is_memorable(text) {
            self.recent.resize(RECENT_KEYS, None);
            self.recent[place] = Some(key.clone());
        }
        Ok(key)
    }
}

fn not_utf8(at: usize) -> Fault {
    CodecError::NotUtf8 { at }.into()
}

fn is_memorable(text: &[u8]) -> bool {
    text.len() <= REMEMBERED_KEY_BYTES_MAX
}

/// The ends and the length tell most names of one job apart.
fn recent_place(text: &[u8]) -> usize {
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    (text.len() + 7 * end(text.first()) + 31 * end(text.last())) % RECENT_KEYS
}

fn check_depth(reader: &Reader<'_>, depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(CodecError::TooDeep { at: reader.at() }.into());
    }
    Ok(())
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
        let fields = segment
            .iter()
            .map(|(key, value)| format!("{key}: {}", value_bits(value)));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
    }

    fn value_bits(value: &Value) -> String {
        match value {
            Value::Float(f) => format!("float {:x}", f.to_bits()),
            Value::List(list) => format!("{:?}", list.iter().map(value_bits).collect::<Vec<_>>()),
            Value::Map(segment) => bits(segment),
            other => format!("{other:?}"),
        }
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
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_segment_reads_back_bit_for_bit(segments in vec(any_segment(), 1..4)) {
            let mut decoder = Decoder::default();
            for segment in &segments {
                let read = decoder.decode(&encoded(segment)).unwrap();
                prop_assert_eq!(bits(&read), bits(segment));
            }
        }

        #[test]
        fn some_fields_are_what_the_whole_segment_says(
            segments in vec(any_segment(), 1..4),
            keys in vec("[a-g]{1,2}", 0..4),
        ) {
            let keys: Vec<Key> = keys.iter().map(|key| key.as_str().into()).collect();
            let (mut decoder, mut some) = (Decoder::default(), Segment::new());
            for segment in &segments {
                decoder.decode_fields(&encoded(segment), &keys, &mut some).unwrap();
                let of_whole = segment.iter().filter(|(key, _)| keys.contains(key));
                let of_whole = of_whole.map(|(key, value)| (key.clone(), value.clone()));
                prop_assert_eq!(bits(&some), bits(&of_whole.collect()));
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), key in "[a-c]") {
            let mut decoder = Decoder::default();
            let _ = decoder.decode_fields(&bytes, &[Key::from(key.as_str())], &mut Segment::new());
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
    fn what_was_in_the_memory_of_a_segment_before_does_not_show() {
        let of = |keys: &[&str]| -> Segment {
            let numbered = keys.iter().zip(1_i64..);
            numbered.map(|(key, n)| (*key, n)).collect()
        };
        let mut nulls = of(&["a", "b"]);
        nulls.set("b", Value::Null);
        let shapes = [
            of(&["a", "b", "c"]),
            of(&["a", "b"]),
            nulls,
            of(&["b", "a", "d", "c"]),
            of(&["a", "c"]),
            of(&[]),
        ];
        for before in &shapes {
            for segment in &shapes {
                let (mut decoder, mut memory) = (Decoder::default(), Segment::new());
                for next in [before, segment, before, segment] {
                    decoder.decode_over(&encoded(next), &mut memory).unwrap();
                    assert!(memory.iter().eq(next.iter()), "{memory:?} is not {next:?}");
                }
            }
        }
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
    fn a_key_that_comes_twice_is_found_however_many_there_are() {
        for count in FEW_FIELDS - 1..=FEW_FIELDS + 2 {
            let fields = |last: String| -> Vec<u8> {
                let keys = (0..count - 1).map(|key| format!("{key:03}"));
                let segment: Segment = keys.map(|key| (key, 1)).chain([(last, 2)]).collect();
                encoded(&segment)
            };
            let mut decoder = Decoder::default();
            assert!(decoder.decode(&fields("999".into())).is_ok());
            // All but the last are where they are expected.
            let mut twice = fields("998".into());
            let at = twice.windows(3).position(|key| key == b"998").unwrap();
            twice[at..at + 3].copy_from_slice(b"000");
            let key = "000".into();
            let refused = Err(CodecError::DuplicateKey { at, key });
            assert_eq!(decoder.decode(&twice), refused, "{count} fields");
        }
    }

    #[test]
    fn what_a_decoder_remembers_is_bounded() {
        let keys = |names: &mut dyn Iterator<Item = String>| -> Segment {
            names.map(|name| (name, Value::Null)).collect()
        };
        let mut decoder = Decoder::default();
        let many = keys(&mut (0..REMEMBERED_KEYS_MAX + 9).map(|key| key.to_string()));
        decoder.decode(&encoded(&many)).unwrap();
        assert_eq!(decoder.order.len(), REMEMBERED_KEYS_MAX);
        assert_eq!(decoder.recent.len(), RECENT_KEYS);
        let mut decoder = Decoder::default();
        let long = |bytes: usize| "x".repeat(bytes);
        let short = REMEMBERED_KEY_BYTES_MAX;
        let some = keys(&mut [long(short), long(short + 1), long(1)].into_iter());
        decoder.decode(&encoded(&some)).unwrap();
        // What follows a key that is not remembered is never foreseen.
        assert_eq!(decoder.order.len(), 1);
        let recent = decoder.recent.iter().flatten();
        let mut lengths: Vec<usize> = recent.map(|key| key.as_str().len()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [1, short]);
    }

    #[test]
    fn the_names_of_a_job_are_remembered_at_places_of_their_own() {
        let names = "date delay distance origin destination late route";
        let places = names.split(' ').map(|name| recent_place(name.as_bytes()));
        assert_eq!(places.collect::<Vec<_>>(), [59, 40, 63, 33, 25, 51, 30]);
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
        let (mut some, keys) = (Segment::new(), [Key::from("b")]);
        let skipped = Decoder::default().decode_fields(&bytes, &keys, &mut some);
        assert_eq!((skipped, some.len()), (Ok(()), 0));
    }
}
