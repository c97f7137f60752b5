//! `[node]`: which cluster the node belongs to, and how many peers it runs.

use super::section::Section;
use super::value::{OptionValue, count};
use crate::ids::NodeName;
use std::fmt;
use std::num::NonZeroUsize;

const TENANCY_ID_BYTES_MAX: usize = 64;
const NODE_NAME_BYTES_MAX: usize = 64;

/// Who the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentityConfig {
    /// Nodes with the same id at the same coordination service form one cluster.
    pub tenancy_id: TenancyId,
    /// What people call this node. Empty for the default: the host and the port of its HTTP server.
    pub name: NodeName,
    /// Virtual peers of this process.
    pub peers: NonZeroUsize,
}

impl Default for NodeIdentityConfig {
    fn default() -> Self {
        NodeIdentityConfig {
            tenancy_id: TenancyId("default".into()),
            name: NodeName::default(),
            peers: count(8),
        }
    }
}

impl NodeIdentityConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = NodeIdentityConfig::default();
        NodeIdentityConfig {
            tenancy_id: keys.get("tenancy-id", default.tenancy_id),
            name: keys.get("name", default.name),
            peers: keys.get("peers", default.peers),
        }
    }
}

/// The name of a cluster. It becomes part of paths, so few characters are allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenancyId(String);

impl TenancyId {
    /// Takes a name that has only allowed characters.
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let fits = (1..=TENANCY_ID_BYTES_MAX).contains(&text.len());
        let is_relative = text == "." || text == "..";
        (fits && text.chars().all(allowed) && !is_relative).then(|| TenancyId(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenancyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl OptionValue for TenancyId {
    const EXPECTED: &'static str = "1 to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`";

    fn from_text(text: &str) -> Option<Self> {
        TenancyId::new(text)
    }
}

impl OptionValue for NodeName {
    const EXPECTED: &'static str = "at most 64 printable ASCII characters without spaces";

    fn from_text(text: &str) -> Option<Self> {
        let is_valid =
            text.len() <= NODE_NAME_BYTES_MAX && text.chars().all(|c| c.is_ascii_graphic());
        is_valid.then(|| NodeName::from(text))
    }
}
