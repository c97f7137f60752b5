//! JSON that people write, with the place of what is wrong in it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;

/// A value that is not what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misread {
    /// Where: `replica.prepared.<id>`.
    pub path: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Misread {
    /// Something wrong in a place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        let (path, message) = (path.into(), message.into());
        Misread { path, message }
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Misread {}

/// The value that stands at a place, or what is wrong and exactly where.
pub fn read_at<T: DeserializeOwned>(value: &Value, path: &str) -> Result<T, Misread> {
    serde_json::from_value(value.clone()).map_err(|error| {
        let message = error.to_string();
        let fails = |part: Value| {
            let read = serde_json::from_value::<T>(part);
            read.is_err_and(|error| error.to_string() == message)
        };
        let cause = narrowed(value, &fails);
        // A key that is missing is missing in an object; a value before it is not the cause.
        let is_missing = message.starts_with("missing field");
        let cause = match is_missing && !at(value, &cause).is_some_and(Value::is_object) {
            true => cause.rfind(['.', '[']).map_or("", |end| &cause[..end]),
            false => cause.as_str(),
        };
        Misread::new(format!("{path}{cause}"), message.clone())
    })
}

/// The part at a path as `.key[0]`. `None` if there is none.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    value.pointer(&pointer)
}

/// The path to the innermost part that causes the error. An object or a list is read part by part: the
/// first part with which it fails in the same way is the cause. An object that fails without any part
/// lacks something itself.
fn narrowed(value: &Value, fails: &dyn Fn(Value) -> bool) -> String {
    match value {
        Value::Object(map) => {
            let mut before = Map::new();
            if fails(Value::Object(before.clone())) {
                return String::new();
            }
            for (key, part) in map {
                let with = |part: Value| {
                    let mut with = before.clone();
                    with.insert(key.clone(), part);
                    Value::Object(with)
                };
                if fails(with(part.clone())) {
                    let deeper = narrowed(part, &|inner| fails(with(inner)));
                    return format!(".{key}{deeper}");
                }
                before.insert(key.clone(), part.clone());
            }
            String::new()
        }
        Value::Array(items) if !fails(Value::Array(Vec::new())) => {
            let culprit = items.iter().enumerate();
            let mut culprit =
                culprit.filter(|(_, part)| fails(Value::Array(vec![(*part).clone()])));
            culprit.next().map_or_else(String::new, |(index, part)| {
                let deeper = narrowed(part, &|inner| fails(Value::Array(vec![inner])));
                format!("[{index}]{deeper}")
            })
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    struct Pair {
        #[serde(rename = "a")]
        _a: u32,
        #[serde(rename = "b")]
        _b: Vec<u32>,
    }

    #[test]
    fn a_key_of_a_structure_is_named_and_a_missing_one_is_in_the_message() {
        let told = |value: Value| read_at::<Pair>(&value, "it").unwrap_err().to_string();
        let text = told(json!({ "a": 1, "b": [1, "two"] }));
        assert_eq!(text, "it.b[1]: invalid type: string \"two\", expected u32");
        assert_eq!(told(json!({ "a": 1 })), "it: missing field `b`");
        let text = told(json!({ "a": -1, "b": [] }));
        assert!(
            text.starts_with("it.a: invalid value: integer `-1`"),
            "{text}"
        );
    }

    #[test]
    fn the_innermost_culprit_is_named() {
        let value = json!({ "a": [1, 2], "b": [1, "two"] });
        let error = read_at::<BTreeMap<String, Vec<u32>>>(&value, "it").unwrap_err();
        assert_eq!(
            error.to_string(),
            "it.b[1]: invalid type: string \"two\", expected u32"
        );
    }
}
