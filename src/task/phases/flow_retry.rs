//! Flow retry: roots whose segments asked for it are played again from their input.

use crate::messaging::Message;
use crate::task::context::{BatchWork, TaskContext};
use crate::task::exception::Fault;
use crate::task::outbound::To;
use crate::task::retries::RetriesBySource;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if batch.retries.is_empty() {
        return Ok(());
    }
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    let mut asked = RetriesBySource::default();
    batch
        .retries
        .iter()
        .for_each(|index| asked.add(meta, *index));
    for retry in asked.into_messages() {
        context
            .outbound
            .push(To::Source(retry.source), Message::Retries(retry));
    }
    Ok(())
}
