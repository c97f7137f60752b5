//! Segments, alone and as batches.

use bytes::Bytes;
use onyx::codec::{self, Batch, DEPTH_MAX, Decoder};
use onyx::segment::{Segment, Value};

/// An input is a segment, and a batch.
pub fn check(data: &[u8]) {
    one(data);
    batch(data);
}

fn one(data: &[u8]) {
    let mut decoder = Decoder::default();
    let Ok(segment) = decoder.decode(data) else {
        // What a decoder remembers of a segment that it refused must not make it take it.
        assert!(decoder.decode(data).is_err());
        return;
    };
    let (values, depth) = measure(&Value::from(segment.clone()), 1);
    assert!(
        values <= data.len(),
        "{values} values of {} bytes",
        data.len()
    );
    assert!(depth <= DEPTH_MAX, "{depth} levels");
    let mut written = Vec::new();
    codec::encode(&segment, &mut written).expect("what was read can be written");
    // Only a float of 32 bits becomes longer.
    assert!(written.len() < 2 * data.len() + 1);
    // Once by a decoder that knows the keys already, once by one that does not.
    for mut decoder in [decoder, Decoder::default()] {
        let again = decoder
            .decode(&written)
            .expect("what was written can be read");
        assert!(same(&segment, &again), "{segment:?} became {again:?}");
    }
    let mut field = Segment::new();
    for (key, value) in segment.iter().take(8) {
        let read = Decoder::default().decode_fields(data, std::slice::from_ref(key), &mut field);
        read.expect("the whole can be read");
        assert_eq!(field.len(), 1);
        assert!(
            field
                .get(key.as_str())
                .is_some_and(|field| same_value(field, value))
        );
    }
}

fn batch(data: &[u8]) {
    let Ok(batch) = Batch::read_from(Bytes::copy_from_slice(data)) else {
        return;
    };
    let mut written = Vec::new();
    batch
        .write_to(&mut written)
        .expect("what was read can be written");
    assert!(written.len() <= batch.wire_len());
    let again = Batch::read_from(written.into()).expect("what was written can be read");
    assert_eq!(again, batch);
    let pieces = batch.clone().split_to_fit(data.len() / 3);
    let raw = pieces.iter().flat_map(|piece| piece.payload().iter());
    assert!(
        raw.eq(batch.payload().iter()),
        "splitting lost or made something"
    );
}

/// How many values there are, and how deep lists and maps nest.
fn measure(value: &Value, depth: usize) -> (usize, usize) {
    let below = |parts: &mut dyn Iterator<Item = &Value>| {
        parts
            .map(|part| measure(part, depth + 1))
            .fold((1, depth), |(n, deepest), (m, deep)| {
                (n + m, deepest.max(deep))
            })
    };
    match value {
        Value::List(list) => below(&mut list.iter()),
        Value::Map(map) => below(&mut map.iter().map(|(_, value)| value)),
        _ => (1, depth - 1),
    }
}

/// To the bit: NaN is what it was, and 0.0 is not -0.0.
fn same(a: &Segment, b: &Segment) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b.iter())
            .all(|((ka, va), (kb, vb))| ka.as_str() == kb.as_str() && same_value(va, vb))
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same_value(a, b))
        }
        (Value::Map(a), Value::Map(b)) => same(a, b),
        _ => a == b,
    }
}
