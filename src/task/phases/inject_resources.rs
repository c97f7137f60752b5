//! Inject resources: the `before-batch` calls of the task's lifecycles.

use crate::task::context::{BatchWork, TaskContext};
use crate::task::exception::{Fault, Phase, guarded};

pub(super) fn run(context: &mut TaskContext, _: &mut BatchWork) -> Result<(), Fault> {
    context.beat.enter(Phase::InjectResources);
    let calls = context
        .lifecycles
        .iter()
        .filter_map(|calls| calls.before_batch.as_ref());
    for call in calls {
        let event = context.event(0);
        guarded(Phase::InjectResources, || {
            call(&event).map_err(|error| Fault::in_phase(Phase::InjectResources, error))
        })?;
    }
    Ok(())
}
