//! Completion: with the sentinel in the batch and nothing pending, the input is exhausted.

use crate::task::context::{BatchWork, Role, Sentinel, TaskContext};
use crate::task::exception::Fault;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let Role::Input(input) = &mut context.role else {
        return Ok(());
    };
    if batch.sentinel == Sentinel::Present && input.pending.is_empty() {
        input.drained = true;
    }
    Ok(())
}
