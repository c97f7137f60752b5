//! Entries as they stand in the log.

use super::commands::{Command, check_keys};
use crate::ids::{EntrySource, LogPosition};
use crate::nearest::{akin, listed};
use crate::replica::view::{Misread, read_at};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// One command as it stands in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Who wrote it; an entry that is seen again from its writer changes nothing. One that people
    /// write by hand may have none, and counts as often as it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<EntrySource>,
    /// The entry it reacts to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_parent: Option<LogPosition>,
    /// When it was written, in milliseconds since 1970 by the clock of its writer. For people: no rule
    /// reads it. None if the writer did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at_ms: Option<u64>,
    /// What it says: `fn` and `args`.
    #[serde(flatten)]
    pub command: Command,
}

impl Entry {
    /// Reads JSON that stands at a place. Unknown keys and names are refused with the nearest valid
    /// one.
    pub fn read(value: &Value, path: &str) -> Result<Self, Misread> {
        let Value::Object(keys) = value else {
            return Err(Misread::new(path, "expected an object"));
        };
        check_keys(keys, &KEYS, path)?;
        if let Some(Value::Object(source)) = keys.get("source") {
            check_keys(source, &SOURCE_KEYS, &format!("{path}.source"))?;
        }
        let Some(name) = keys.get("fn") else {
            return Err(Misread::new(
                path,
                "missing field `fn`, the name of a command",
            ));
        };
        let name: String = read_at(name, &format!("{path}.fn"))?;
        let none = Value::Object(Map::new());
        let args = keys.get("args").unwrap_or(&none);
        let command = Command::read(&name, args, &format!("{path}.args"));
        let command = command.ok_or_else(|| no_command(&name, path))??;
        Ok(Entry {
            source: read_at(&value["source"], &format!("{path}.source"))?,
            entry_parent: read_at(&value["entry-parent"], &format!("{path}.entry-parent"))?,
            written_at_ms: read_at(&value["written-at-ms"], &format!("{path}.written-at-ms"))?,
            command,
        })
    }
}

/// The keys of an entry.
const KEYS: [&str; 5] = ["source", "entry-parent", "written-at-ms", "fn", "args"];
const SOURCE_KEYS: [&str; 2] = ["writer", "sequence"];

fn no_command(name: &str, path: &str) -> Misread {
    let near = akin(name, Command::NAMES);
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    let message = format!(
        "there is no command `{name}`; {near}there are {}",
        listed(Command::NAMES)
    );
    Misread::new(format!("{path}.fn"), message)
}

/// A payload that is not an entry of this version, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the payload is not an entry: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_that_there_is_not_is_told_with_the_nearest() {
        let told = |name: &str| {
            let read = Entry::read(&json!({ "fn": name, "args": {} }), "entries[0]");
            read.unwrap_err().to_string()
        };
        let seal = told("seal-output");
        let expected = "entries[0].fn: there is no command `seal-output`; did you mean `seal-task`? there are \
             prepare-join-cluster, ";
        assert!(seal.starts_with(expected), "{seal}");
        let hello = told("hello");
        let expected = "entries[0].fn: there is no command `hello`; there are ";
        assert!(hello.starts_with(expected), "{hello}");
    }
}
