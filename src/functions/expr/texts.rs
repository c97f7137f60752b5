//! Functions on texts whose results may be larger than their arguments. Positions are of code points.

use super::failure::Failure;
use super::meter::Meter;
use super::val::{List, Size, Text, VALUE_BYTES, Val};

/// The parts of a text around a separator, or its code points; at most `most` of them; all if `most` is negative.
pub(super) fn split<'s>(
    text: &Text<'s>,
    at: &str,
    most: i64,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let it = text.as_str();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let parts: &mut dyn Iterator<Item = &str> = match at.is_empty() {
        true => &mut code_points(it, most),
        false => &mut it.splitn(most, at),
    };
    let (mut made, mut size) = (Vec::new(), Size::default());
    for part in parts {
        let bytes = VALUE_BYTES + part.len() as u64;
        meter.step()?;
        meter.make(bytes)?;
        size.add(Size::flat(bytes));
        let from = part.as_ptr() as usize - it.as_ptr() as usize;
        made.push(Val::Text(match text {
            Text::Borrowed(text) => Text::Borrowed(&text[from..from + part.len()]),
            Text::Made(_) => Text::Made(part.to_owned().into()),
        }));
    }
    Val::counted_list(made, size)
}

/// The code points of a text, at most `most`; the last one has the rest of the text.
fn code_points(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut given = 0;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        if given == most {
            return None;
        }
        given += 1;
        let length = if given == most {
            rest.len()
        } else {
            first.len_utf8()
        };
        let (part, behind) = rest.split_at(length);
        rest = behind;
        Some(part)
    })
}

/// The texts of a list with another between them.
pub(super) fn join<'s>(
    list: &List<'s>,
    between: &str,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let mut joined = String::new();
    for (index, item) in list.items(meter)?.iter().enumerate() {
        let Val::Text(text) = item else {
            let kind = item.kind();
            return Err(Failure::Wrong(format!(
                "`join` takes a list of strings, found {kind}"
            )));
        };
        let between = if index == 0 { "" } else { between };
        meter.make((between.len() + text.as_str().len()) as u64)?;
        joined.push_str(between);
        joined.push_str(text.as_str());
    }
    Ok(Val::text(joined))
}

/// A text with one part replaced by another; at most so often unless `most` is negative.
pub(super) fn replace<'s>(
    text: &str,
    from: &str,
    to: &str,
    most: i64,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = text.matches(from).take(most).count() as u64;
    meter.make(text.len() as u64 - found * from.len() as u64 + found * to.len() as u64)?;
    Ok(Val::text(text.replacen(from, to, most)))
}

/// Where a part begins first, from a position on; -1 if nowhere.
pub(super) fn index_of<'s>(text: &str, part: &str, from: Option<i64>) -> Result<Val<'s>, Failure> {
    let Some(from) = from else {
        return Ok(position(text, text.find(part)));
    };
    let start = start("indexOf", text, part, from)?;
    let found = match part.is_empty() {
        true => Some(start),
        false => text[start..].find(part).map(|found| start + found),
    };
    Ok(position(text, found))
}

/// Where a part begins last, up to a position; -1 if nowhere.
pub(super) fn last_index_of<'s>(
    text: &str,
    part: &str,
    to: Option<i64>,
) -> Result<Val<'s>, Failure> {
    let Some(to) = to else {
        return Ok(position(text, text.rfind(part)));
    };
    let start = start("lastIndexOf", text, part, to)?;
    let end = text.floor_char_boundary((start + part.len()).min(text.len()));
    let found = match part.is_empty() {
        true => Some(start),
        false => text[..end].rfind(part),
    };
    Ok(position(text, found))
}

/// The byte at which a code point begins.
fn start(function: &str, text: &str, part: &str, at: i64) -> Result<usize, Failure> {
    let out_of_range = || Failure::Wrong(format!("`{function}`: index out of range: {at}"));
    let at = usize::try_from(at).map_err(|_| out_of_range())?;
    match text.char_indices().nth(at) {
        Some((byte, _)) => Ok(byte),
        None if part.is_empty() => Ok(text.len()),
        None => Err(out_of_range()),
    }
}

fn position<'s>(text: &str, byte: Option<usize>) -> Val<'s> {
    Val::Int(byte.map_or(-1, |byte| text[..byte].chars().count() as i64))
}
