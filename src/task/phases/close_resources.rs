//! Close batch resources: the `after-batch` calls of the task's lifecycles.

use crate::task::context::{BatchWork, TaskContext};
use crate::task::exception::{Fault, Phase, guarded};

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    context.beat.enter(Phase::CloseResources);
    let calls = context
        .lifecycles
        .iter()
        .filter_map(|calls| calls.after_batch.as_ref());
    for call in calls {
        let event = context.event(batch.received());
        guarded(Phase::CloseResources, || {
            call(&event).map_err(|error| Fault::in_phase(Phase::CloseResources, error))
        })?;
    }
    Ok(())
}
