//! The words a node understands: names of functions, plugins and lifecycle calls, each with the
//! catalog keys it takes. Validation needs this value and nothing else of a node.

use crate::job::TaskKind;
use crate::nearest::listed;
use crate::segment::Value;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

/// What can be named in a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Functions by name, as in `fn: expr/map`.
    pub functions: BTreeMap<String, Signature>,
    /// Plugins by name, as in `plugin: file/csv`.
    pub plugins: BTreeMap<String, PluginSignature>,
    /// Names of lifecycle calls.
    pub lifecycles: BTreeSet<String>,
}

impl Vocabulary {
    /// Every word with its kind before it (`fn:`, `plugin:`, `calls:`): what a peer announces and
    /// a task requires.
    pub fn words(&self) -> BTreeSet<String> {
        let functions = self.functions.keys().map(|name| function_word(name));
        let plugins = self.plugins.keys().map(|name| plugin_word(name));
        let lifecycles = self.lifecycles.iter().map(|name| calls_word(name));
        functions.chain(plugins).chain(lifecycles).collect()
    }
}

/// The word of a function.
pub fn function_word(name: &str) -> String {
    format!("fn:{name}")
}

/// The word of a plugin.
pub fn plugin_word(name: &str) -> String {
    format!("plugin:{name}")
}

/// The word of lifecycle calls.
pub fn calls_word(name: &str) -> String {
    format!("calls:{name}")
}

/// The catalog keys that a function or plugin takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// One sentence for people.
    pub doc: String,
    /// The keys it takes; others are errors.
    pub keys: Vec<KeySchema>,
}

/// The catalog keys of a plugin, and what tasks it can serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginSignature {
    /// Input or output.
    pub kind: TaskKind,
    /// The most peers that may run it for one task; none is no limit.
    pub max_peers: Option<NonZeroU32>,
    /// Its keys.
    pub signature: Signature,
}

impl PluginSignature {
    /// Of a plugin without keys that one peer runs.
    pub fn of_one_peer(kind: TaskKind) -> Self {
        PluginSignature {
            kind,
            max_peers: Some(NonZeroU32::MIN),
            signature: Signature::default(),
        }
    }
}

/// One catalog key of a function or plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySchema {
    /// As written in a job file.
    pub name: String,
    /// What its value must be.
    pub kind: KeyKind,
    /// Whether a task cannot do without it.
    pub required: bool,
    /// One sentence for people.
    pub doc: String,
}

impl KeySchema {
    /// A key that must be given.
    pub fn required(name: &str, kind: KeyKind, doc: &str) -> Self {
        KeySchema {
            name: name.into(),
            kind,
            required: true,
            doc: doc.into(),
        }
    }

    /// A key that may be left out.
    pub fn optional(name: &str, kind: KeyKind, doc: &str) -> Self {
        KeySchema {
            name: name.into(),
            kind,
            required: false,
            doc: doc.into(),
        }
    }
}

/// What the value of a key must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Text.
    String,
    /// A file that must exist and be readable when the job is submitted. In a job file, a path
    /// that is not absolute starts at the folder of that file.
    InputPath,
    /// Files that must exist and be readable when the job is submitted: a file, a folder whose files
    /// are meant, a pattern with `*` and `?`, or a list of such. They start where an input path
    /// starts.
    InputPaths,
    /// A file that will be written. Starts where an input path starts.
    OutputPath,
    /// An integer.
    Int,
    /// True or false.
    Bool,
    /// One of these texts.
    OneOf(Vec<String>),
    /// A CEL expression.
    Expression,
    /// A table from field names to CEL expressions.
    ExpressionTable,
    /// A table from names to one of these texts.
    TableOf(Vec<String>),
    /// Anything.
    Any,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_of = |texts: &[String]| listed(texts.iter().map(String::as_str));
        match self {
            KeyKind::String => f.write_str("text"),
            KeyKind::InputPath | KeyKind::OutputPath => f.write_str("a path"),
            KeyKind::InputPaths => f.write_str("a path, or a list of paths"),
            KeyKind::Int => f.write_str("an integer"),
            KeyKind::Bool => f.write_str("true or false"),
            KeyKind::OneOf(texts) => write!(f, "one of: {}", one_of(texts)),
            KeyKind::Expression => f.write_str("an expression"),
            KeyKind::ExpressionTable => f.write_str("a table from field names to expressions"),
            KeyKind::TableOf(texts) => write!(f, "a table from names to one of: {}", one_of(texts)),
            KeyKind::Any => f.write_str("anything"),
        }
    }
}

/// The paths in the value of a key: one, or a list of them; none when it is something else.
pub fn paths(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(path) => Some(vec![path.as_str()]),
        Value::List(paths) if !paths.is_empty() => paths.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The text of a CEL expression in a job: text, or a scalar, which is an expression in itself, so
/// that `one: 1` needs no quotes.
pub fn expression_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Null => Some("null".into()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::Float(n) => Some(format!("{n:?}")),
        Value::Bytes(_) | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_text_or_a_list_of_texts_that_is_not_empty() {
        assert_eq!(paths(&Value::from("a.csv")), Some(vec!["a.csv"]));
        let list = |values: &[Value]| Value::from(values.to_vec());
        let two = list(&["a.csv".into(), "b/".into()]);
        assert_eq!(paths(&two), Some(vec!["a.csv", "b/"]));
        let others = [
            list(&[]),
            list(&["a.csv".into(), Value::Int(1)]),
            Value::Int(1),
        ];
        assert!(others.iter().all(|other| paths(other).is_none()));
    }
}
