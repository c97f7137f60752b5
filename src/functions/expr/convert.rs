//! Values of expressions to values of segments, and to values of the library and back.
//!
//! What expressions have and segments have not: a uint is an int, or an error beyond 63 bits; a
//! timestamp is its RFC 3339 text, a duration its text in seconds (`1.5s`), a type its name, an
//! optional what it holds or null, and the keys of a map are texts.

use super::failure::Failure;
use super::meter::Meter;
use super::operators::time;
use super::val::{Bytes, List, Map, Text, Val};
use crate::segment::{Segment, Value};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull,
    CelOptional, CelString, CelType, CelUInt, Kind,
};
use cel::common::value::Val as CelVal;
use std::rc::Rc;

/// The value for a segment.
pub(super) fn own(value: Val<'_>) -> Result<Value, Failure> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(b) => Value::Bool(b),
        Val::Int(n) => Value::Int(n),
        Val::UInt(n) => Value::Int(int(n)?),
        Val::Double(n) => Value::Float(n),
        Val::Text(Text::Borrowed(text)) => text.into(),
        Val::Text(Text::Made(text)) => match Rc::try_unwrap(text) {
            Ok(text) => text.into(),
            Err(shared) => shared.as_str().into(),
        },
        Val::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
        Val::List(List::Borrowed(items)) => items.to_vec().into(),
        Val::List(list @ List::Made(_)) => {
            let items = (0..list.len()).filter_map(|at| list.get(at)).map(own);
            items.collect::<Result<Vec<Value>, Failure>>()?.into()
        }
        Val::Map(Map::Borrowed(map)) => map.clone().into(),
        Val::Map(Map::Made(map)) => own_map(map.entries())?,
        Val::Timestamp(time) => time.inner().to_rfc3339().into(),
        Val::Duration(duration) => seconds(&duration).into(),
        Val::Type(name) => name.into(),
        Val::Optional(None) => Value::Null,
        Val::Optional(Some(value)) => own((*value).clone())?,
    })
}

/// The keys of a segment are texts, so that `1` and `"1"` would become one of them.
fn own_map(entries: &[(Val<'_>, Val<'_>)]) -> Result<Value, Failure> {
    let mut map = Segment::with_capacity(entries.len());
    for (key, value) in entries {
        let text = key_text(key)?;
        if map.get(&text).is_some() {
            let text = super::cut(&text);
            return Err(Failure::Wrong(format!(
                "two keys of a map would both be `{text}`, because the keys of a segment are texts"
            )));
        }
        map.push_new(text.into(), own(value.clone())?);
    }
    Ok(map.into())
}

/// The key of a segment for a key of a map.
pub(super) fn key_text(key: &Val<'_>) -> Result<String, Failure> {
    Ok(match key {
        Val::Text(text) => text.as_str().to_owned(),
        Val::Int(n) => n.to_string(),
        Val::UInt(n) => n.to_string(),
        Val::Bool(b) => b.to_string(),
        other => {
            let kind = other.kind();
            return Err(Failure::Wrong(format!(
                "a map cannot have a {kind} as a key"
            )));
        }
    })
}

fn int(n: u64) -> Result<i64, Failure> {
    i64::try_from(n).map_err(|_| {
        Failure::Wrong(format!(
            "{n}u is beyond the integers of a segment, which end at {}; use `string(…)` or `double(…)`",
            i64::MAX
        ))
    })
}

fn seconds(duration: &CelDuration) -> String {
    let duration = duration.inner();
    let (seconds, nanos) = (duration.num_seconds(), duration.subsec_nanos());
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let text = format!(
        "{sign}{}.{:09}",
        seconds.unsigned_abs(),
        nanos.unsigned_abs()
    );
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The value for the library; texts and bytes stay where they are.
pub(super) fn to_cel<'a>(value: &'a Val<'_>) -> Box<dyn CelVal + 'a> {
    match value {
        Val::Null => Box::new(CelNull),
        Val::Bool(b) => Box::new(CelBool::from(*b)),
        Val::Int(n) => Box::new(CelInt::from(*n)),
        Val::UInt(n) => Box::new(CelUInt::from(*n)),
        Val::Double(n) => Box::new(CelDouble::from(*n)),
        Val::Text(text) => Box::new(CelString::from(text.as_str())),
        Val::Bytes(bytes) => Box::new(CelBytes::from(bytes.as_slice())),
        Val::List(List::Borrowed(items)) => Box::new(CelList::from(
            items.iter().map(of_segment).collect::<Vec<_>>(),
        )),
        Val::List(List::Made(list)) => Box::new(CelList::from(
            list.items().iter().map(to_cel).collect::<Vec<_>>(),
        )),
        Val::Map(Map::Borrowed(map)) => of_map(map),
        Val::Map(Map::Made(map)) => {
            let entries = map.entries().iter();
            let entries = entries.filter_map(|(key, value)| Some((cel_key(key)?, to_cel(value))));
            Box::new(CelMap::from(entries.collect::<CelEntries<'_>>()))
        }
        Val::Timestamp(time) => Box::new((**time).clone()),
        Val::Duration(duration) => Box::new(*duration),
        Val::Type(name) => Box::new(CelType::new(*name)),
        Val::Optional(None) => Box::new(CelOptional::none()),
        Val::Optional(Some(value)) => Box::new(CelOptional::of(to_cel(value))),
    }
}

fn of_segment(value: &Value) -> Box<dyn CelVal + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Int(n) => Box::new(CelInt::from(*n)),
        Value::Float(n) => Box::new(CelDouble::from(*n)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Bytes(bytes) => Box::new(CelBytes::from(&**bytes)),
        Value::List(items) => Box::new(CelList::from(
            items.iter().map(of_segment).collect::<Vec<_>>(),
        )),
        Value::Map(map) => of_map(map),
    }
}

fn of_map(map: &Segment) -> Box<dyn CelVal + '_> {
    let entries = map.iter();
    let entries = entries.map(|(key, value)| (CelMapKey::from(key.as_str()), of_segment(value)));
    Box::new(CelMap::from(entries.collect::<CelEntries<'_>>()))
}

#[expect(
    clippy::disallowed_types,
    reason = "what the library takes; `format` is the one function that looks at it, and sorts"
)]
type CelEntries<'v> = std::collections::HashMap<CelMapKey<'v>, Box<dyn CelVal + 'v>>;

fn cel_key<'a>(key: &'a Val<'_>) -> Option<CelMapKey<'a>> {
    Some(match key {
        Val::Text(text) => CelMapKey::from(text.as_str()),
        Val::Int(n) => CelMapKey::from(*n),
        Val::UInt(n) => CelMapKey::from(*n),
        Val::Bool(b) => CelMapKey::from(*b),
        _ => return None,
    })
}

/// A result of the library, counted. None of its functions that are called gives a list or a map.
pub(super) fn from_cel<'s>(
    value: &(dyn CelVal + '_),
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let found = match value.get_type().kind() {
        Kind::NullType => Some(Val::Null),
        Kind::Boolean => value
            .downcast_ref::<CelBool>()
            .map(|b| Val::Bool(*b.inner())),
        Kind::Int => value.downcast_ref::<CelInt>().map(|n| Val::Int(*n.inner())),
        Kind::UInt => value
            .downcast_ref::<CelUInt>()
            .map(|n| Val::UInt(*n.inner())),
        Kind::Double => value
            .downcast_ref::<CelDouble>()
            .map(|n| Val::Double(*n.inner())),
        Kind::String => {
            let text = value.downcast_ref::<CelString<'_>>();
            meter.make(text.map_or(0, |text| text.inner().len()) as u64)?;
            text.map(|text| Val::text(text.inner().to_owned()))
        }
        Kind::Bytes => {
            let bytes = value.downcast_ref::<CelBytes<'_>>();
            meter.make(bytes.map_or(0, |bytes| bytes.inner().len()) as u64)?;
            bytes.map(|bytes| Val::Bytes(Bytes::Made(Rc::new(bytes.inner().to_owned()))))
        }
        _ => time(value),
    };
    found.ok_or_else(|| {
        let name = value.get_type().name();
        Failure::Wrong(format!("a value of type `{name}` cannot be used here"))
    })
}
