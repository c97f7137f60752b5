//! Asking sources to play roots again.

use crate::codec::{BatchMeta, Origin};
use crate::messaging::Retries;
use std::collections::BTreeMap;

/// Collects roots by the source that read them.
#[derive(Debug, Default)]
pub(super) struct RetriesBySource(BTreeMap<Origin, Vec<u64>>);

impl RetriesBySource {
    /// The root of one row.
    pub(super) fn add(&mut self, meta: &BatchMeta, index: usize) {
        let row = meta.row(index);
        let origin = meta.origins()[usize::from(row.origin)];
        self.0.entry(origin).or_default().push(row.root);
    }

    /// The roots of all rows.
    pub(super) fn add_all(&mut self, meta: &BatchMeta) {
        (0..meta.len()).for_each(|index| self.add(meta, index));
    }

    /// What to tell each source.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Retries> {
        self.0.into_iter().map(|(origin, roots)| Retries {
            source: origin.source,
            epoch: origin.epoch,
            roots,
        })
    }
}
