//! The values that expressions compute with. Cloning one copies no data: what comes from the segment
//! or the expression is borrowed, and what was made is shared.

use super::failure::Failure;
use super::meter::Meter;
use crate::codec::DEPTH_MAX;
use crate::segment::{Segment, Value};
use cel::common::types::{CelDuration, CelTimestamp};
use std::rc::Rc;

/// A value of an expression; `'s` is the segment and the expression.
#[derive(Clone, Debug)]
pub(super) enum Val<'s> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'s>),
    Bytes(Bytes<'s>),
    List(List<'s>),
    Map(Map<'s>),
    Timestamp(Rc<CelTimestamp>),
    Duration(CelDuration),
    Type(&'s str),
    Optional(Option<Rc<Val<'s>>>),
}

#[derive(Clone, Debug)]
pub(super) enum Text<'s> {
    Borrowed(&'s str),
    Made(Rc<String>),
}

#[derive(Clone, Debug)]
pub(super) enum Bytes<'s> {
    Borrowed(&'s [u8]),
    Made(Rc<Vec<u8>>),
}

#[derive(Clone, Debug)]
pub(super) enum List<'s> {
    Borrowed(&'s [Value]),
    Made(Rc<MadeList<'s>>),
}

#[derive(Clone, Debug)]
pub(super) enum Map<'s> {
    Borrowed(&'s Segment),
    Made(Rc<MadeMap<'s>>),
}

/// A list, with the size of it.
#[derive(Debug)]
pub(super) struct MadeList<'s> {
    items: Vec<Val<'s>>,
    size: Size,
}

/// A map in the order in which it is written, with the size of it.
#[derive(Debug)]
pub(super) struct MadeMap<'s> {
    entries: Vec<(Val<'s>, Val<'s>)>,
    size: Size,
}

/// How large a value would be in a segment, with nothing in it shared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// How many lists and maps are within each other.
    depth: usize,
}

/// The bytes of a value in a list or a map besides its text.
pub(super) const VALUE_BYTES: u64 = size_of::<Val<'static>>() as u64;

impl Size {
    /// The size of a text or number, from its bytes.
    pub(super) fn flat(bytes: u64) -> Self {
        Size { bytes, depth: 0 }
    }

    /// Adds what stands beside.
    pub(super) fn add(&mut self, other: Size) {
        self.bytes += other.bytes;
        self.depth = self.depth.max(other.depth);
    }

    /// The size of a list or map whose items have this size together. The error is a nesting that no
    /// task could read again.
    fn nested(self) -> Result<Self, Failure> {
        let depth = self.depth + 1;
        match depth > DEPTH_MAX {
            true => Err(Failure::Wrong(format!(
                "its value has more than {DEPTH_MAX} lists and maps within each other"
            ))),
            false => Ok(Size { depth, ..self }),
        }
    }
}

impl<'s> Val<'s> {
    /// The value of a field.
    #[inline]
    pub(super) fn of(value: &'s Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(*b),
            Value::Int(n) => Val::Int(*n),
            Value::Float(n) => Val::Double(*n),
            Value::String(text) => Val::Text(Text::Borrowed(text)),
            Value::Bytes(bytes) => Val::Bytes(Bytes::Borrowed(bytes)),
            Value::List(items) => Val::List(List::Borrowed(items)),
            Value::Map(map) => Val::Map(Map::Borrowed(map)),
        }
    }

    /// A text that was made; its bytes are counted already.
    pub(super) fn text(text: String) -> Self {
        Val::Text(Text::Made(Rc::new(text)))
    }

    /// A list of these items, counted.
    pub(super) fn list(items: Vec<Val<'s>>, meter: &mut Meter) -> Result<Self, Failure> {
        let mut size = Size::default();
        for item in &items {
            size.add(item.size(meter)?);
        }
        meter.make(size.bytes)?;
        Val::counted_list(items, size)
    }

    /// A list whose items were counted one by one, and have this size together.
    pub(super) fn counted_list(items: Vec<Val<'s>>, size: Size) -> Result<Self, Failure> {
        let size = size.nested()?;
        Ok(Val::List(List::Made(Rc::new(MadeList { items, size }))))
    }

    /// A map of these entries, counted. Their keys are different.
    pub(super) fn map(
        entries: Vec<(Val<'s>, Val<'s>)>,
        meter: &mut Meter,
    ) -> Result<Self, Failure> {
        let mut size = Size::default();
        for (key, value) in &entries {
            size.add(key.size(meter)?);
            size.add(value.size(meter)?);
        }
        meter.make(size.bytes)?;
        let size = size.nested()?;
        Ok(Val::Map(Map::Made(Rc::new(MadeMap { entries, size }))))
    }

    pub(super) fn optional(value: Option<Val<'s>>) -> Self {
        Val::Optional(value.map(Rc::new))
    }

    /// The name of its type in the language.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::UInt(_) => "uint",
            Val::Double(_) => "double",
            Val::Text(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Type(_) => "type",
            Val::Optional(_) => "optional_type",
        }
    }

    /// How large it would be in a segment, with nothing in it shared.
    pub(super) fn size(&self, meter: &mut Meter) -> Result<Size, Failure> {
        let mut size = match self {
            Val::Text(text) => Size::flat(text.as_str().len() as u64),
            Val::Bytes(bytes) => Size::flat(bytes.as_slice().len() as u64),
            Val::List(List::Borrowed(items)) => size_of_list(items, meter)?,
            Val::List(List::Made(list)) => list.size,
            Val::Map(Map::Borrowed(map)) => size_of_map(map, meter)?,
            Val::Map(Map::Made(map)) => map.size,
            Val::Optional(Some(value)) => value.size(meter)?,
            Val::Null
            | Val::Bool(_)
            | Val::Int(_)
            | Val::UInt(_)
            | Val::Double(_)
            | Val::Timestamp(_)
            | Val::Duration(_)
            | Val::Type(_)
            | Val::Optional(None) => Size::default(),
        };
        size.bytes += VALUE_BYTES;
        Ok(size)
    }
}

fn size_of_list(items: &[Value], meter: &mut Meter) -> Result<Size, Failure> {
    meter.work(items.len() as u64)?;
    let mut size = Size::default();
    for item in items {
        size.add(Val::of(item).size(meter)?);
    }
    size.nested()
}

fn size_of_map(map: &Segment, meter: &mut Meter) -> Result<Size, Failure> {
    meter.work(map.len() as u64)?;
    let mut size = Size::default();
    for (key, value) in map.iter() {
        size.add(Size::flat(VALUE_BYTES + key.as_str().len() as u64));
        size.add(Val::of(value).size(meter)?);
    }
    size.nested()
}

impl Text<'_> {
    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Made(text) => text,
        }
    }
}

impl Bytes<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Made(bytes) => bytes,
        }
    }
}

impl<'s> List<'s> {
    /// The keys of a map, which become part of no value as a list.
    pub(super) fn of_keys(items: Vec<Val<'s>>) -> Self {
        let size = Size::default();
        List::Made(Rc::new(MadeList { items, size }))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            List::Borrowed(items) => items.len(),
            List::Made(list) => list.items.len(),
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<Val<'s>> {
        match self {
            List::Borrowed(items) => items.get(at).map(Val::of),
            List::Made(list) => list.items.get(at).cloned(),
        }
    }

    /// Its items, which share what they hold.
    pub(super) fn items(&self, meter: &mut Meter) -> Result<Vec<Val<'s>>, Failure> {
        meter.work(self.len() as u64)?;
        Ok(match self {
            List::Borrowed(items) => items.iter().map(Val::of).collect(),
            List::Made(list) => list.items.clone(),
        })
    }
}

impl<'s> Map<'s> {
    pub(super) fn len(&self) -> usize {
        match self {
            Map::Borrowed(map) => map.len(),
            Map::Made(map) => map.entries.len(),
        }
    }

    /// Its entries in order, which share what they hold.
    pub(super) fn entries(&self, meter: &mut Meter) -> Result<Vec<(Val<'s>, Val<'s>)>, Failure> {
        meter.work(self.len() as u64)?;
        Ok(match self {
            Map::Borrowed(map) => map
                .iter()
                .map(|(key, value)| (Val::Text(Text::Borrowed(key.as_str())), Val::of(value)))
                .collect(),
            Map::Made(map) => map.entries.clone(),
        })
    }

    /// The value of a key, which is compared as numbers are: `1`, `1u` and `1.0` are one key.
    pub(super) fn get(&self, key: &Val<'_>, meter: &mut Meter) -> Result<Option<Val<'s>>, Failure> {
        meter.work(self.len() as u64 / 8)?;
        match (self, key) {
            (Map::Borrowed(map), Val::Text(key)) => Ok(map.get(key.as_str()).map(Val::of)),
            (Map::Borrowed(_), _) => Ok(None),
            (Map::Made(map), _) => {
                for (known, value) in &map.entries {
                    if super::operators::equal(known, key, meter)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
        }
    }
}

impl<'s> MadeList<'s> {
    pub(super) fn items(&self) -> &[Val<'s>] {
        &self.items
    }
}

impl<'s> MadeMap<'s> {
    pub(super) fn entries(&self) -> &[(Val<'s>, Val<'s>)] {
        &self.entries
    }
}
