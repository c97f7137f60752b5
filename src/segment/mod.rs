//! A segment: the map that flows between tasks, as a compact value with interned keys.

mod key;
mod value;

pub use key::Key;
pub use value::Value;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// A map from keys to values, in the order in which the keys were added.
///
/// Few keys are the rule, so that a list beats a tree: it is one allocation, and the look-up of an
/// interned key compares pointers.
///
/// ```
/// use onyx::Segment;
/// let mut segment = Segment::new();
/// segment.set("delay", 18_i64);
/// segment.set("origin", "LAX");
/// assert_eq!(segment.get("delay").and_then(|value| value.as_int()), Some(18));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Segment {
    fields: Vec<(Key, Value)>,
}

impl Segment {
    /// A segment without fields.
    pub fn new() -> Self {
        Segment::default()
    }

    /// A segment with room for so many fields.
    pub fn with_capacity(fields: usize) -> Self {
        Segment {
            fields: Vec::with_capacity(fields),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
    }

    /// The value of a key, to change in place.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.fields
            .iter_mut()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value)
    }

    /// Gives a key a value, in its old place when the key is there already.
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.fields.iter_mut().find(|(k, _)| *k == key) {
            Some(field) => field.1 = value,
            None => self.fields.push((key, value)),
        }
    }

    /// Appends a field whose key is known to be new; for decoders that have checked that.
    pub fn push_new(&mut self, key: Key, value: Value) {
        debug_assert!(self.get(key.as_str()).is_none());
        self.fields.push((key, value));
    }

    /// Appends a field without a value, whose key is known to be new, and gives the place of the value:
    /// for decoders, in which a field that is moved after it was built costs more than reading it.
    pub fn push_place(&mut self, key: &Key) -> &mut Value {
        debug_assert!(self.get(key.as_str()).is_none());
        let at = self.fields.len();
        // Extending makes room first and clones then, so that the clone is never moved.
        self.fields
            .extend(std::iter::once(key).map(|key| (key.clone(), Value::Null)));
        &mut self.fields[at].1
    }

    /// The value of the field at this place, which gets this key: for decoders that fill the memory of
    /// an earlier segment. Where that had the same key, its value is still there; else it and all that
    /// followed is gone. Panics when there are fewer fields before it.
    #[inline]
    pub(crate) fn place_at(&mut self, at: usize, key: &Key) -> &mut Value {
        if self.fields.get(at).is_none_or(|(known, _)| known != key) {
            self.fields.truncate(at);
            return self.push_place(key);
        }
        &mut self.fields[at].1
    }

    /// Takes out all fields but so many.
    pub(crate) fn truncate(&mut self, fields: usize) {
        self.fields.truncate(fields);
    }

    /// Takes all fields out and keeps their memory for the next ones.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// Makes room for so many more fields.
    pub fn reserve(&mut self, fields: usize) {
        self.fields.reserve(fields);
    }

    /// Takes a key out; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.fields.iter().position(|(k, _)| k == key)?;
        Some(self.fields.remove(at).1)
    }

    /// The fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Value)> {
        self.fields.iter().map(|(key, value)| (key, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// About how many bytes it takes in memory.
    pub fn byte_len(&self) -> usize {
        let bytes = |(key, value): (&Key, &Value)| size_of_val(key) + value.byte_len();
        self.iter().map(bytes).sum()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Equal when the same keys have the same values, in whatever order.
impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key.as_str()) == Some(value))
    }
}

impl<K: Into<Key>, V: Into<Value>> FromIterator<(K, V)> for Segment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        let mut segment = Segment::new();
        for (key, value) in fields {
            segment.set(key, value);
        }
        segment
    }
}

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key.as_str(), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Segment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Segment, A::Error> {
                let mut segment = Segment::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    segment.set(key.as_str(), value);
                }
                Ok(segment)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_place_when_it_is_set_again() {
        let mut segment: Segment = [("a", 1_i64), ("b", 2)].into_iter().collect();
        segment.set("a", 3_i64);
        let keys: Vec<&str> = segment.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(segment.get("a"), Some(&Value::Int(3)));
    }

    #[test]
    fn equality_ignores_order() {
        let one: Segment = [("a", 1_i64), ("b", 2)].into_iter().collect();
        let two: Segment = [("b", 2_i64), ("a", 1)].into_iter().collect();
        assert_eq!(one, two);
    }

    #[test]
    fn a_segment_survives_json() {
        let text = r#"{"n":1,"f":2.5,"s":"x","l":[true,null],"m":{"k":-7}}"#;
        let segment: Segment = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&segment).unwrap(), text);
    }
}
