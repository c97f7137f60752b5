//! JSON that people write, with the place of what is wrong in it.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
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
        let fails = |part: Value| serde_json::from_value::<T>(part).is_err();
        Misread::new(
            format!("{path}{}", narrowed(value, &fails)),
            error.to_string(),
        )
    })
}

/// The way to the innermost part that fails by itself. It goes through lists and maps only: a part of
/// a value with fixed keys fails for what it lacks.
fn narrowed(value: &Value, fails: &dyn Fn(Value) -> bool) -> String {
    match value {
        Value::Object(map) if !fails(json!({})) => {
            let mut parts = map.iter();
            let culprit = parts.find(|(key, part)| fails(json!({ key.as_str(): part })));
            culprit.map_or_else(String::new, |(key, part)| {
                let deeper = narrowed(part, &|inner| fails(json!({ key.as_str(): inner })));
                format!(".{key}{deeper}")
            })
        }
        Value::Array(items) if !fails(json!([])) => {
            let mut parts = items.iter().enumerate();
            let culprit = parts.find(|(_, part)| fails(json!([part])));
            culprit.map_or_else(String::new, |(index, part)| {
                format!(
                    "[{index}]{}",
                    narrowed(part, &|inner| fails(json!([inner])))
                )
            })
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

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
