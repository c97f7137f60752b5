//! The end of a job: by `kill-job`, by the last `seal-task`, and by the loss of a peer that it cannot
//! do without.

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
    end(&mut new, job, outcome, position);
    reallocate(&new, position)
}

/// Ends a live job; its peers have to be shared anew.
pub(super) fn end(replica: &mut Replica, job: JobId, outcome: Outcome, position: LogPosition) {
    Arc::make_mut(&mut replica.jobs).finish(job, outcome, position);
    Arc::make_mut(&mut replica.allocations).remove(&job);
    Arc::make_mut(&mut replica.progress).remove(&job);
    if replica.state_logs.logs.contains_key(&job) {
        Arc::make_mut(&mut replica.state_logs).release(job);
    }
}
