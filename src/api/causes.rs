//! Why jobs were killed, as far as this node has read it. What is stored of that never changes.

use super::NodeHandle;
use super::in_time::in_time;
use super::report::JobSummary;
use crate::ids::JobId;
use crate::replica::Replica;
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The causes of killed jobs. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Causes(Arc<Mutex<BTreeMap<JobId, String>>>);

impl Causes {
    // A lock is poisoned by a panic elsewhere, between two whole changes.
    fn known(&self) -> MutexGuard<'_, BTreeMap<JobId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets those of jobs that are not remembered as killed any more, and tells of which of the
    /// others the cause is not known.
    fn missing(&self, replica: &Replica) -> Vec<JobId> {
        let mut known = self.known();
        known.retain(|job, _| replica.record(*job).is_some());
        let killed = replica.jobs.killed.iter();
        let missing = killed.filter(|job| !known.contains_key(job));
        missing.copied().collect()
    }
}

/// So many causes are read at the same time.
const READS_AT_ONCE: usize = 16;

impl NodeHandle {
    /// The jobs that are known, live ones first.
    pub async fn jobs(&self) -> Vec<JobSummary> {
        let replica = self.snapshot().replica;
        let missing = self.causes.missing(&replica);
        let read = stream::iter(missing).for_each_concurrent(READS_AT_ONCE, |job| {
            let replica = &replica;
            async move {
                if let Ok(Some(cause)) = self.cause(replica, job).await {
                    self.causes.known().insert(job, cause);
                }
            }
        });
        // The causes that could not be told come next time.
        let _ = in_time(read).await;
        let causes = self.causes.known();
        let jobs = &replica.jobs;
        let all = jobs.live.iter().chain(&jobs.completed).chain(&jobs.killed);
        let summaries = all.filter_map(|job| {
            let summary = JobSummary::of(&replica, *job)?;
            let summary = match causes.get(job) {
                Some(cause) => summary.killed_by(cause),
                None => summary,
            };
            Some(self.health_of(*job).added_to(summary))
        });
        summaries.collect()
    }
}
