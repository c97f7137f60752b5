//! `[log-collection]`: when the log of the cluster is collected by itself.

use super::section::Section;

/// When the log of the cluster is collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionConfig {
    /// With so many entries since the last time; 0 is never.
    pub entries: u32,
    /// With so many bytes since the last time; 0 is never.
    pub bytes: u32,
}

impl Default for CollectionConfig {
    fn default() -> Self {
        CollectionConfig {
            entries: 50_000,
            bytes: 64 << 20,
        }
    }
}

impl CollectionConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = CollectionConfig::default();
        CollectionConfig {
            entries: keys.get("entries", default.entries),
            bytes: keys.get("bytes", default.bytes),
        }
    }
}
