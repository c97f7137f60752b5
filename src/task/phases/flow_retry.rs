//! Flow retry: roots whose segments asked for it are played again from their input.

use crate::messaging::{Message, Retries};
use crate::task::context::{BatchWork, TaskContext};
use crate::task::exception::Fault;
use crate::task::outbound::To;
use std::collections::BTreeMap;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if batch.retries.is_empty() {
        return Ok(());
    }
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    let mut by_source: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for index in &batch.retries {
        let row = meta.row(*index);
        let origin = meta.origins()[usize::from(row.origin)];
        by_source
            .entry((origin.source, origin.epoch))
            .or_default()
            .push(row.root);
    }
    for ((source, epoch), roots) in by_source {
        let retry = Retries {
            source,
            epoch,
            roots,
        };
        context
            .outbound
            .push(To::Source(source), Message::Retries(retry));
    }
    Ok(())
}
