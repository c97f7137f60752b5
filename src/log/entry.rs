//! Entries as they stand in the log.

use super::commands::Command;
use crate::ids::{EntrySource, LogPosition};
use crate::nearest::{akin, listed};
use crate::replica::view::{Misread, read_at};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// From JSON that stands at a place. Of a command that there is not, the one is told that was
    /// probably meant.
    pub fn read(value: &Value, path: &str) -> Result<Self, Misread> {
        if let Some(name) = value["fn"].as_str()
            && !Command::NAMES.contains(&name)
        {
            let near = akin(name, Command::NAMES);
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let message = format!(
                "there is no command `{name}`; {near}there are {}",
                listed(Command::NAMES)
            );
            return Err(Misread::new(format!("{path}.fn"), message));
        }
        read_at(value, path)
    }
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
