//! Flow retry: roots whose segments asked for it, or cannot go on, go back to their input.

use crate::task::context::{BatchWork, TaskContext};
use crate::task::exception::Fault;
use crate::task::retries::RetriesBySource;
use crate::task::traces::Traced;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if batch.given_back.is_empty() {
        return Ok(());
    }
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    let mut back = RetriesBySource::default();
    for given in &batch.given_back {
        back.add(meta, given.index, given.cause, &given.reason);
    }
    context.note_rows(meta, |index| {
        let given = batch.given_back.iter().find(|given| given.index == index)?;
        let reason = given.reason.clone();
        Some(Traced::GivenBack { reason })
    });
    for retry in back.into_messages() {
        context.outbound.tell(retry);
    }
    Ok(())
}
