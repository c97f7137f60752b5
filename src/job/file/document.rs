//! From a job file back to a document, for whoever sends it to a node.

use super::tree::{Content, Node};
use serde_json::{Map, Value};

/// The tree as JSON. A float that JSON does not know becomes null.
pub(super) fn json(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Bool(b) => (*b).into(),
        Content::Int(n) => (*n).into(),
        Content::Float(n) => (*n).into(),
        Content::Text(text) => text.as_str().into(),
        Content::List(items) => items.iter().map(json).collect(),
        Content::Table(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.value)));
            Value::Object(entries.collect::<Map<String, Value>>())
        }
    }
}
