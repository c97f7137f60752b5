//! Timeout pool: what an input read is pending from here on. If it is not acknowledged in time, the peers
//! of the job are asked about it, and it is played again if none has it.

use crate::task::context::{BatchWork, Freshness, Role, TaskContext};
use crate::task::exception::Fault;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let now = context.now;
    let (Role::Input(input), Some(keeper)) = (&mut context.role, batch.keeper) else {
        return Ok(());
    };
    if batch.freshness != Freshness::New {
        return Ok(());
    }
    // An empty read with a position is kept too: rejected pieces move the position along.
    if let Some(position) = batch.position.take() {
        input
            .pending
            .add(batch.encoded.clone(), position, keeper, now);
    }
    context.tell_roots();
    Ok(())
}
