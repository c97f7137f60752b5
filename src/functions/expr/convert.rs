//! Values of segments to values of CEL and back.
//!
//! What CEL has and segments have not: a uint is an int (a float beyond 63 bits), a timestamp its
//! RFC 3339 text, a duration its text in seconds (`1.5s`), a type its name, an optional what it
//! holds or null, and the keys of a map are texts.

use crate::segment::{Segment, Value};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull,
    CelOptional, CelString, CelTimestamp, CelType, CelUInt, Kind,
};
use cel::common::value::Val;

/// The value for CEL; texts and bytes stay where they are.
pub(super) fn borrow(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Int(n) => Box::new(CelInt::from(*n)),
        Value::Float(n) => Box::new(CelDouble::from(*n)),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Bytes(bytes) => Box::new(CelBytes::from(&**bytes)),
        Value::List(items) => Box::new(CelList::from(items.iter().map(borrow).collect::<Vec<_>>())),
        Value::Map(map) => Box::new(borrow_map(map)),
    }
}

/// A segment as a CEL map.
pub(super) fn borrow_map(segment: &Segment) -> CelMap<'_> {
    let fields = segment.iter();
    let fields = fields.map(|(key, value)| (CelMapKey::from(key.as_str()), borrow(value)));
    CelMap::from(fields.collect::<CelEntries<'_>>())
}

#[expect(
    clippy::disallowed_types,
    reason = "what CEL takes; it is never iterated unsorted"
)]
type CelEntries<'v> = std::collections::HashMap<CelMapKey<'v>, Box<dyn Val + 'v>>;

/// The value for a segment. The error names a type that segments do not have.
pub(super) fn own(value: &(dyn Val + '_)) -> Result<Value, String> {
    let kind = value.get_type().kind();
    let owned = match kind {
        Kind::NullType => Some(Value::Null),
        Kind::Boolean => value
            .downcast_ref::<CelBool>()
            .map(|b| Value::Bool(*b.inner())),
        Kind::Int => value
            .downcast_ref::<CelInt>()
            .map(|n| Value::Int(*n.inner())),
        Kind::UInt => value.downcast_ref::<CelUInt>().map(|n| uint(*n.inner())),
        Kind::Double => value
            .downcast_ref::<CelDouble>()
            .map(|n| Value::Float(*n.inner())),
        Kind::String => value
            .downcast_ref::<CelString<'_>>()
            .map(|text| text.inner().into()),
        Kind::Bytes => value
            .downcast_ref::<CelBytes<'_>>()
            .map(|bytes| Value::Bytes(bytes.inner().into())),
        Kind::Timestamp => {
            let timestamp = value.downcast_ref::<CelTimestamp>();
            timestamp.map(|timestamp| timestamp.inner().to_rfc3339().into())
        }
        Kind::Duration => value
            .downcast_ref::<CelDuration>()
            .map(|it| seconds(it).into()),
        Kind::Type => value.downcast_ref::<CelType>().map(|it| it.name().into()),
        Kind::List => return list(value),
        Kind::Map => return map(value),
        _ => match value.downcast_ref::<CelOptional<'_>>() {
            Some(optional) => return optional.option().map_or(Ok(Value::Null), own),
            None => None,
        },
    };
    owned.ok_or_else(|| cannot_hold(value))
}

fn list(value: &(dyn Val + '_)) -> Result<Value, String> {
    let list = value
        .downcast_ref::<CelList<'_>>()
        .ok_or_else(|| cannot_hold(value))?;
    let items: Result<Vec<Value>, String> = list.iter().map(|item| own(item.as_ref())).collect();
    items.map(Value::from)
}

fn map(value: &(dyn Val + '_)) -> Result<Value, String> {
    let map = value
        .downcast_ref::<CelMap<'_>>()
        .ok_or_else(|| cannot_hold(value))?;
    let mut fields = Vec::with_capacity(map.len());
    for (key, value) in map.iter() {
        let key = match own(key.inner())? {
            Value::String(text) => text.to_string(),
            Value::Int(n) => n.to_string(),
            Value::Bool(b) => b.to_string(),
            other => return Err(format!("a segment cannot have a {} as a key", other.kind())),
        };
        fields.push((key, own(value.as_ref())?));
    }
    // CEL's maps have no order, and the same segment must always give the same bytes.
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(fields.into_iter().collect::<Segment>().into())
}

fn uint(n: u64) -> Value {
    i64::try_from(n).map_or(Value::Float(n as f64), Value::Int)
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

fn cannot_hold(value: &(dyn Val + '_)) -> String {
    format!(
        "a segment cannot hold a value of type `{}`",
        value.get_type().name()
    )
}
