//! What an entry changed, as people see it: what the view has now and had not before, what it had and
//! has no more, and the names of those concerned.

use crate::replica::Replica;
use crate::replica::view::view;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What an entry changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplicaDiff {
    /// Who and what it is about, in the words of the command.
    #[serde(flatten)]
    pub about: BTreeMap<&'static str, Value>,
    /// The part of the view that is new, by its keys.
    pub added: Map<String, Value>,
    /// The part of the view that is gone.
    pub removed: Map<String, Value>,
}

/// Every entry counts for its writer: no change that anybody looks for.
const PASSED_OVER: &str = "writers";

impl ReplicaDiff {
    /// What differs between two replicas.
    pub fn between(old: &Replica, new: &Replica) -> Self {
        let views = [view(old), view(new)].map(|view| match view {
            Value::Object(mut keys) => {
                keys.remove(PASSED_OVER);
                keys
            }
            _ => Map::new(),
        });
        let [old, new] = views;
        let (removed, added) = parts_of_maps(&old, &new);
        ReplicaDiff {
            about: BTreeMap::new(),
            added,
            removed,
        }
    }

    /// The same, with who or what it is about. Where nothing changed it is about nothing.
    pub fn about(mut self, name: &'static str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        if !self.is_empty() && !value.is_null() {
            self.about.insert(name, value);
        }
        self
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// What only the old value has, and what only the new one has.
fn parts(old: &Value, new: &Value) -> (Option<Value>, Option<Value>) {
    if old == new {
        return (None, None);
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let (gone, come) = parts_of_maps(old, new);
            let some = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
            (some(gone), some(come))
        }
        (Value::Array(old), Value::Array(new)) => {
            let only = |one: &[Value], other: &[Value]| -> Vec<Value> {
                let only = one.iter().filter(|item| !other.contains(item));
                only.cloned().collect()
            };
            let (gone, come) = (only(old, new), only(new, old));
            if gone.is_empty() && come.is_empty() {
                // The same items in another order.
                return (Some(old.clone().into()), Some(new.clone().into()));
            }
            let some = |list: Vec<Value>| (!list.is_empty()).then_some(Value::Array(list));
            (some(gone), some(come))
        }
        _ => (Some(old.clone()), Some(new.clone())),
    }
}

fn parts_of_maps(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>) {
    let (mut gone, mut come) = (Map::new(), Map::new());
    for (key, was) in old {
        let (only_was, only_is) = match new.get(key) {
            Some(is) => parts(was, is),
            None => (Some(was.clone()), None),
        };
        gone.extend(only_was.map(|value| (key.clone(), value)));
        come.extend(only_is.map(|value| (key.clone(), value)));
    }
    let fresh = new.iter().filter(|(key, _)| !old.contains_key(*key));
    come.extend(fresh.map(|(key, value)| (key.clone(), value.clone())));
    (gone, come)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(old: Value, new: Value, gone: Value, come: Value) {
        let shown = |part: Option<Value>| part.unwrap_or_default();
        let (was, is) = parts(&old, &new);
        assert_eq!((shown(was), shown(is)), (gone, come), "{old} to {new}");
    }

    #[test]
    fn only_what_differs_is_told() {
        check(
            json!({ "a": 1 }),
            json!({ "a": 1 }),
            json!(null),
            json!(null),
        );
        check(
            json!({ "a": { "x": 1, "y": 2 }, "b": 1 }),
            json!({ "a": { "x": 1, "y": 3 }, "c": null }),
            json!({ "a": { "y": 2 }, "b": 1 }),
            json!({ "a": { "y": 3 }, "c": null }),
        );
        check(json!([1, 2, 3]), json!([1, 3, 4]), json!([2]), json!([4]));
        check(json!([1, 2]), json!([2, 1]), json!([1, 2]), json!([2, 1]));
    }
}
