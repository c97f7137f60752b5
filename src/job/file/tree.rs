//! A document as it was written: a tree of values that know where they stand.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// A line and column of a file, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// Somewhere in the file, where the parser could not tell.
    File,
    /// From this position of the file on.
    At(Position),
    /// From the option `--set` that was given as the how-manieth, from 0.
    Set(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) origin: Origin,
    /// Where it is written in the file, even if an alias to it stands at its origin.
    pub(super) written: Option<Position>,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) origin: Origin,
    pub(super) value: Node,
}

impl Node {
    /// A value that stands nowhere in the file.
    pub(super) fn unwritten(origin: Origin, content: Content) -> Self {
        Node {
            origin,
            written: None,
            content,
        }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What is here, for messages.
    pub(super) fn found(&self) -> String {
        match &self.content {
            Content::Null => "nothing".into(),
            Content::Bool(b) => format!("`{b}`"),
            Content::Int(n) => format!("`{n}`"),
            Content::Float(n) => format!("`{n:?}`"),
            Content::Text(text) if text.len() <= 40 => format!("the text {text:?}"),
            Content::Text(_) => "a text".into(),
            Content::List(_) => "a list".into(),
            Content::Table(_) => "a table".into(),
        }
    }
}

impl From<Spanned<Content>> for Node {
    fn from(spanned: Spanned<Content>) -> Self {
        Node {
            origin: origin(spanned.referenced),
            written: match origin(spanned.defined) {
                Origin::At(position) => Some(position),
                Origin::File | Origin::Set(_) => None,
            },
            content: spanned.value,
        }
    }
}

/// That an integer is none of the 64 bits that a value has.
pub(super) fn beyond(integer: &str) -> String {
    format!(
        "{integer} {BEYOND}, from {} to {}; a float has a point, as in `1.0`, and a text has quotes",
        i64::MIN,
        i64::MAX
    )
}

/// What every such message has in it.
pub(super) const BEYOND: &str = "is beyond the integers of 64 bits";

fn origin(location: Location) -> Origin {
    let (line, column) = (location.line(), location.column());
    if location == Location::UNKNOWN {
        Origin::File
    } else {
        Origin::At(Position { line, column })
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_none<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Content, E> {
        Ok(Content::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Content, E> {
        Ok(Content::Int(n))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Content, E> {
        let n = i64::try_from(n).map_err(|_| E::custom(beyond(&n.to_string())))?;
        Ok(Content::Int(n))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Content, E> {
        Ok(Content::Float(n))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Content>>()? {
            items.push(item.into());
        }
        Ok(Content::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Content>>()? {
            let (key, origin) = (key.value, origin(key.referenced));
            entries.push(Entry {
                key,
                origin,
                value: value.into(),
            });
        }
        Ok(Content::Table(entries))
    }
}
