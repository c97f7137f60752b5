//! The end of a job, by `kill-job` and by the last `seal-task`.

use crate::ids::{JobId, LogPosition};
use crate::replica::{Outcome, Replica};
use crate::scheduler::reallocate;
use std::sync::Arc;

/// Ends a live job: its peers are free for others, its state logs are to be deleted.
pub(super) fn finish(
    replica: &Replica,
    job: JobId,
    outcome: Outcome,
    position: LogPosition,
) -> Replica {
    let mut new = replica.clone();
    Arc::make_mut(&mut new.jobs).finish(job, outcome, position);
    Arc::make_mut(&mut new.allocations).remove(&job);
    Arc::make_mut(&mut new.progress).remove(&job);
    if new.state_logs.logs.contains_key(&job) {
        Arc::make_mut(&mut new.state_logs).release(job);
    }
    reallocate(&new, position)
}
