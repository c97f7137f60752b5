//! Giving roots back to the sources that read them.

use crate::acking::{Cause, Retries};
use crate::codec::{BatchMeta, Origin};
use std::collections::BTreeMap;

/// Collects roots by the source that read them and by what is to become of them.
#[derive(Debug, Default)]
pub(super) struct RetriesBySource(BTreeMap<(Origin, Cause), Given>);

#[derive(Debug, Default)]
struct Given {
    /// Of the first of them: one stands for all.
    reason: String,
    roots: Vec<u64>,
}

impl RetriesBySource {
    /// The root of one row.
    pub(super) fn add(&mut self, meta: &BatchMeta, index: usize, cause: Cause, reason: &str) {
        let row = meta.row(index);
        let origin = meta.origins()[usize::from(row.origin)];
        let given = self.0.entry((origin, cause)).or_default();
        if given.roots.is_empty() {
            given.reason = reason.into();
        }
        given.roots.push(row.root);
    }

    /// The roots of all rows, with which nothing is wrong.
    pub(super) fn add_all(&mut self, meta: &BatchMeta) {
        (0..meta.len()).for_each(|index| self.add(meta, index, Cause::GivenBack, ""));
    }

    /// What to tell each source.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Retries> {
        self.0
            .into_iter()
            .map(|((origin, cause), Given { reason, roots })| Retries {
                source: origin.source,
                epoch: origin.epoch,
                cause,
                reason,
                roots,
            })
    }
}
