//! Strip sentinel: the sentinel ends its way here; it is no segment and reaches no function.

use crate::task::context::{BatchWork, Sentinel, TaskContext};
use crate::task::exception::Fault;

pub(super) fn run(_: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    batch.sentinel = Sentinel::Absent;
    Ok(())
}
