//! The forms of MessagePack: we write the shortest that says a value, and read all.

use super::{CodecError, DEPTH_MAX, Decoder, encode};
use crate::segment::{Segment, Value};

/// A segment of one field, as far as its value.
const FIELD: [u8; 3] = [0x81, 0xa1, b'a'];

fn of(value: Value) -> Segment {
    [("a", value)].into_iter().collect()
}

fn written(value: Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&of(value), &mut bytes).unwrap();
    assert_eq!(bytes[..3], FIELD);
    bytes.split_off(3)
}

fn read(value: &[u8]) -> Result<Value, CodecError> {
    let bytes = [&FIELD, value].concat();
    let segment = Decoder::default().decode(&bytes)?;
    // Whoever steps over it comes to the same end.
    let (mut some, keys) = (Segment::new(), ["b".into()]);
    Decoder::default().decode_fields(&bytes, &keys, &mut some)?;
    Ok(segment.get("a").unwrap().clone())
}

#[test]
fn integers_take_as_few_bytes_as_they_can() {
    let forms: [(i64, &[u8]); 21] = [
        (0, &[0]),
        (0x7f, &[0x7f]),
        (0x80, &[0xcc, 0x80]),
        (0xff, &[0xcc, 0xff]),
        (0x100, &[0xcd, 1, 0]),
        (0xffff, &[0xcd, 0xff, 0xff]),
        (0x1_0000, &[0xce, 0, 1, 0, 0]),
        (0xffff_ffff, &[0xce, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[0xd3, 0, 0, 0, 1, 0, 0, 0, 0]),
        (i64::MAX, &[0xd3, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        (-1, &[0xff]),
        (-32, &[0xe0]),
        (-33, &[0xd0, 0xdf]),
        (-0x80, &[0xd0, 0x80]),
        (-0x81, &[0xd1, 0xff, 0x7f]),
        (-0x8000, &[0xd1, 0x80, 0]),
        (-0x8001, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
        (-0x8000_0000, &[0xd2, 0x80, 0, 0, 0]),
        (
            -0x8000_0001,
            &[0xd3, 255, 255, 255, 255, 0x7f, 255, 255, 255],
        ),
        (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        (1_000, &[0xcd, 3, 0xe8]),
    ];
    for (number, form) in forms {
        assert_eq!(written(number.into()), form, "{number}");
        assert_eq!(read(form), Ok(number.into()), "{number}");
    }
}

#[test]
fn lengths_take_as_few_bytes_as_they_can() {
    type Make = fn(usize) -> Value;
    let text: Make = |length| "x".repeat(length).into();
    let bytes: Make = |length| Value::Bytes(vec![7; length].into());
    let list: Make = |length| vec![Value::Null; length].into();
    let map: Make = |length| {
        let keys = (0..length).map(|key| format!("{key:02}"));
        Value::from(keys.map(|key| (key, Value::Null)).collect::<Segment>())
    };
    let forms: [(Make, usize, &[u8]); 17] = [
        (text, 0, &[0xa0]),
        (text, 31, &[0xbf]),
        (text, 32, &[0xd9, 32]),
        (text, 0xff, &[0xd9, 0xff]),
        (text, 0x100, &[0xda, 1, 0]),
        (text, 0xffff, &[0xda, 0xff, 0xff]),
        (text, 0x1_0000, &[0xdb, 0, 1, 0, 0]),
        (bytes, 0xff, &[0xc4, 0xff]),
        (bytes, 0x100, &[0xc5, 1, 0]),
        (bytes, 0x1_0000, &[0xc6, 0, 1, 0, 0]),
        (list, 0, &[0x90]),
        (list, 15, &[0x9f]),
        (list, 16, &[0xdc, 0, 16]),
        (list, 0xffff, &[0xdc, 0xff, 0xff]),
        (list, 0x1_0000, &[0xdd, 0, 1, 0, 0]),
        (map, 15, &[0x8f]),
        (map, 16, &[0xde, 0, 16]),
    ];
    for (make, length, form) in forms {
        let value = make(length);
        let bytes = written(value.clone());
        assert_eq!(bytes[..form.len()], *form, "{length}");
        // No comparison of so many fields in a message.
        assert!(read(&bytes) == Ok(value), "{form:02x?} does not read back");
    }
}

#[test]
fn text_of_every_short_length_is_written_whole() {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    for length in 0..=LETTERS.len() {
        let text = Value::from(&LETTERS[..length]);
        assert_eq!(read(&written(text.clone())), Ok(text));
    }
}

/// Other writers may take more bytes than a value needs.
#[test]
fn longer_forms_of_the_same_are_read() {
    let forms: [(&[u8], Value); 14] = [
        (&[0xc0], Value::Null),
        (&[0xc2], false.into()),
        (&[0xc3], true.into()),
        (&[0xca, 0x3f, 0x80, 0, 0], 1.0.into()),
        (&[0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0], (-1.5).into()),
        (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 7], 7.into()),
        (&[0xd0, 7], 7.into()),
        (&[0xd1, 0, 7], 7.into()),
        (&[0xd2, 0, 0, 0, 7], 7.into()),
        (&[0xd3, 0, 0, 0, 0, 0, 0, 0, 7], 7.into()),
        (&[0xdb, 0, 0, 0, 1, b'x'], "x".into()),
        (&[0xc6, 0, 0, 0, 1, 9], Value::Bytes([9].into())),
        (&[0xdd, 0, 0, 0, 1, 5], vec![5.into()].into()),
        (&[0xdf, 0, 0, 0, 1, 0xa1, b'a', 5], of(5.into()).into()),
    ];
    for (form, value) in forms {
        assert_eq!(read(form), Ok(value), "{form:02x?}");
        for cut in 1..form.len() {
            let refused = read(&form[..cut]);
            let is_told = matches!(refused, Err(CodecError::Truncated { .. }));
            assert!(is_told, "{:02x?}: {refused:?}", &form[..cut]);
        }
    }
}

#[test]
fn maps_nest_as_deep_as_lists_and_no_deeper() {
    let nested = |levels: usize| (1..levels).fold(of(5.into()), |inner, _| of(inner.into()));
    let mut bytes = Vec::new();
    encode(&nested(DEPTH_MAX), &mut bytes).unwrap();
    assert_eq!(Decoder::default().decode(&bytes), Ok(nested(DEPTH_MAX)));
    let refused = encode(&nested(DEPTH_MAX + 1), &mut Vec::new());
    assert!(matches!(refused, Err(CodecError::TooDeep { .. })));
    let deeper = [&FIELD[..], &bytes].concat();
    let refused = Decoder::default().decode(&deeper);
    assert!(matches!(refused, Err(CodecError::TooDeep { .. })));
}
