//! Entries as they stand in the log.

use super::commands::Command;
use crate::ids::{EntrySource, LogPosition};
use serde::{Deserialize, Serialize};
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
    /// What it says: `fn` and `args`.
    #[serde(flatten)]
    pub command: Command,
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
