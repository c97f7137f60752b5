//! The phases of a batch, in the order of the design. Each is a function of the task's context and
//! the batch; none of them waits.

mod ack_messages;
mod apply_function;
mod build_new_segments;
mod close_resources;
mod completion;
mod flow_retry;
mod inject_resources;
mod read_batch;
mod strip_sentinel;
mod tag_messages;
mod timeout_pool;
mod write_batch;

use super::context::{BatchWork, TaskContext};
use super::exception::{Fault, Phase};

/// A phase.
type Run = fn(&mut TaskContext, &mut BatchWork) -> Result<(), Fault>;

/// Every phase with its name, in order.
pub const PHASES: [(&str, Run); 12] = [
    ("inject-resources", inject_resources::run),
    ("read-batch", read_batch::run),
    ("tag-messages", tag_messages::run),
    ("timeout-pool", timeout_pool::run),
    ("completion", completion::run),
    ("strip-sentinel", strip_sentinel::run),
    ("apply-function", apply_function::run),
    ("build-new-segments", build_new_segments::run),
    ("write-batch", write_batch::run),
    ("flow-retry", flow_retry::run),
    ("ack-messages", ack_messages::run),
    ("close-resources", close_resources::run),
];

/// Runs a batch through all of them.
pub fn run_all(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    batch.clear();
    PHASES.iter().try_for_each(|(name, phase)| {
        // What user code returns after its task was to stop goes no further, least of all to a medium
        // that another task has opened since.
        if context.stop.is_set() {
            return Err(Fault::in_phase(Phase::CloseResources, stopped_before(name)));
        }
        phase(context, batch)
    })
}

fn stopped_before(phase: &str) -> String {
    format!("the task was stopped before {phase}")
}
