//! Completion: with the sentinel in the batch and nothing pending, the input is exhausted.

use crate::task::context::{BatchWork, Role, Sentinel, TaskContext};
use crate::task::exception::{Fault, Phase};

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let Role::Input(input) = &mut context.role else {
        return Ok(());
    };
    if batch.sentinel == Sentinel::Present && input.pending.is_empty() {
        if let Some(letters) = &mut input.dead_letters
            && !input.drained
        {
            let finished = letters.finish();
            finished.map_err(|error| {
                let text = format!("dead letters are not whole: {error}");
                Fault::in_phase(Phase::ReadBatch, text)
            })?;
        }
        input.drained = true;
    }
    Ok(())
}
