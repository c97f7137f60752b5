//! Writing segments: a map with the names of its fields, each number in its shortest form.

use super::error::Fault;
use super::{CodecError, DEPTH_MAX};
use crate::segment::{Segment, Value};
use rmp::Marker;

/// Longest lengths that the marker itself can say.
const FIX_TEXT_MAX: usize = 31;
const FIX_LIST_MAX: usize = 15;

/// Appends a segment. When it fails, nothing was appended.
///
/// ```
/// use onyx::{Segment, codec};
/// let segment: Segment = [("delay", 18_i64)].into_iter().collect();
/// let mut bytes = Vec::new();
/// codec::encode(&segment, &mut bytes)?;
/// assert_eq!(codec::Decoder::default().decode(&bytes)?, segment);
/// # Ok::<(), codec::CodecError>(())
/// ```
pub fn encode(segment: &Segment, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    let written = map(segment, out, 1);
    if written.is_err() {
        out.truncate(start);
    }
    written.map_err(|fault| *fault)
}

fn map(segment: &Segment, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(CodecError::TooDeep { at: out.len() }.into());
    }
    match segment.len() {
        len @ 0..=FIX_LIST_MAX => out.push(Marker::FixMap(len as u8).to_u8()),
        len => long(
            out,
            len,
            "map",
            [None, Some(Marker::Map16), Some(Marker::Map32)],
        )?,
    }
    for (key, field) in segment.iter() {
        text(key.as_str(), out)?;
        value(field, out, depth)?;
    }
    Ok(())
}

#[inline]
fn value(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    match value {
        Value::Null => out.push(Marker::Null.to_u8()),
        Value::Bool(false) => out.push(Marker::False.to_u8()),
        Value::Bool(true) => out.push(Marker::True.to_u8()),
        Value::Int(n) => int(*n, out),
        Value::Float(f) => wide(Marker::F64, f.to_bits().to_be_bytes(), out),
        Value::String(content) => text(content, out)?,
        Value::Bytes(content) => {
            let markers = [Some(Marker::Bin8), Some(Marker::Bin16), Some(Marker::Bin32)];
            long(out, content.len(), "byte string", markers)?;
            out.extend_from_slice(content);
        }
        Value::List(list) => self::list(list, out, depth + 1)?,
        Value::Map(segment) => map(segment, out, depth + 1)?,
    }
    Ok(())
}

#[inline(never)]
fn list(list: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(CodecError::TooDeep { at: out.len() }.into());
    }
    match list.len() {
        len @ 0..=FIX_LIST_MAX => out.push(Marker::FixArray(len as u8).to_u8()),
        len => long(
            out,
            len,
            "list",
            [None, Some(Marker::Array16), Some(Marker::Array32)],
        )?,
    }
    for element in list {
        value(element, out, depth)?;
    }
    Ok(())
}

/// Appends text, as a value or as a key.
#[inline]
pub(super) fn text(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = text.as_bytes();
    match text.len() {
        len @ 0..=FIX_TEXT_MAX => {
            out.push(Marker::FixStr(len as u8).to_u8());
        }
        len => {
            let markers = [Some(Marker::Str8), Some(Marker::Str16), Some(Marker::Str32)];
            long(out, len, "string", markers)?;
        }
    }
    append_short(text, out);
    Ok(())
}

/// Appends text that is mostly short. Two copies of fixed size that overlap are cheaper than a call
/// to copy a few bytes.
#[inline(always)]
fn append_short(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        8..=16 => append_overlapping::<8>(text, out),
        4..8 => append_overlapping::<4>(text, out),
        _ => out.extend_from_slice(text),
    }
}

/// Appends between `N` and twice `N` bytes.
#[inline(always)]
fn append_overlapping<const N: usize>(text: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + text.len();
    out.extend_from_slice(&text[..N]);
    out.truncate(end - N);
    out.extend_from_slice(&text[text.len() - N..]);
}

/// Writes the shortest of the three markers that can say the length, and the length.
#[inline(never)]
fn long(
    out: &mut Vec<u8>,
    length: usize,
    what: &'static str,
    [of_8, of_16, of_32]: [Option<Marker>; 3],
) -> Result<(), Fault> {
    if let (Some(marker), Ok(length)) = (of_8, u8::try_from(length)) {
        out.extend_from_slice(&[marker.to_u8(), length]);
    } else if let (Some(marker), Ok(length)) = (of_16, u16::try_from(length)) {
        wide(marker, length.to_be_bytes(), out);
    } else if let (Some(marker), Ok(length)) = (of_32, u32::try_from(length)) {
        wide(marker, length.to_be_bytes(), out);
    } else {
        return Err(CodecError::TooLong { what, length }.into());
    }
    Ok(())
}

#[inline]
fn int(n: i64, out: &mut Vec<u8>) {
    match n {
        0..=0x7f => out.push(Marker::FixPos(n as u8).to_u8()),
        -32..=-1 => out.push(Marker::FixNeg(n as i8).to_u8()),
        _ => match (u8::try_from(n), u16::try_from(n), u32::try_from(n)) {
            (Ok(n), ..) => wide(Marker::U8, n.to_be_bytes(), out),
            (_, Ok(n), _) => wide(Marker::U16, n.to_be_bytes(), out),
            (.., Ok(n)) => wide(Marker::U32, n.to_be_bytes(), out),
            _ => match (i8::try_from(n), i16::try_from(n), i32::try_from(n)) {
                (Ok(n), ..) => wide(Marker::I8, n.to_be_bytes(), out),
                (_, Ok(n), _) => wide(Marker::I16, n.to_be_bytes(), out),
                (.., Ok(n)) => wide(Marker::I32, n.to_be_bytes(), out),
                _ => wide(Marker::I64, n.to_be_bytes(), out),
            },
        },
    }
}

/// A marker and its number, without a detour through an array: bytes that were just stored apart are
/// slow to load together.
#[inline(always)]
fn wide<const N: usize>(marker: Marker, number: [u8; N], out: &mut Vec<u8>) {
    out.push(marker.to_u8());
    out.extend_from_slice(&number);
}
