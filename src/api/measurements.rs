//! What a node measures, for whoever watches it.

use super::in_time::in_time;
use super::{ApiError, NodeHandle, NodeStatus};
use crate::acking::Latencies;
use crate::clock::Millis;
use crate::ids::{JobId, TaskName};
use crate::messages::peer_group::Status;
use crate::replica::Jobs;
use crate::task::counters::{JobsSum, TaskFigures};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a node has measured since its start, and how it is now.
#[derive(Clone, Debug)]
pub struct Measurements {
    /// How the node is doing.
    pub status: NodeStatus,
    /// Of each task that has run here, of live jobs and of those that ended last.
    pub tasks: Vec<TaskMeasurements>,
    /// Of all other jobs together.
    pub ended: JobsSum,
    /// Roots of which the ackers of this node have some acks.
    pub acker_entries: u64,
    /// Ack messages that came a second time.
    pub duplicate_acks: u64,
    /// Acks for roots that were complete or given up.
    pub late_acks: u64,
    /// Roots that ackers gave up.
    pub given_up: u64,
    /// Completions whose source was gone.
    pub undeliverable_completions: u64,
    /// What arrived and was not taken, by reason.
    pub frames_refused: Vec<(&'static str, u64)>,
    /// How often the session with coordination was opened again.
    pub session_restarts: u64,
    /// How often its connection was lost and made again in time.
    pub session_reconnects: u64,
    /// Tasks that were abandoned and have not returned from user code.
    pub abandoned_tasks: usize,
    /// How often virtual peers were started again, by reason.
    pub peer_restarts: Vec<(&'static str, u64)>,
    /// How many entries the log has; none while coordination does not tell.
    pub log_entries: Option<u64>,
}

/// What was measured of one task.
#[derive(Clone, Debug)]
pub struct TaskMeasurements {
    /// Of which job.
    pub job: JobId,
    /// Which task.
    pub task: TaskName,
    /// What was counted.
    pub figures: TaskFigures,
    /// How long roots took, of inputs.
    pub latencies: Latencies,
    /// For how long the oldest pending read has been pending.
    pub oldest_pending: Duration,
}

/// How many completed and how many killed jobs are measured one by one after their end. All of them would
/// make `/metrics` longer with every job.
const ENDED_LISTED: usize = 16;

fn newest_ended(jobs: &Jobs) -> BTreeSet<JobId> {
    let newest = |ended: &[JobId]| {
        let newest = ended.iter().rev().take(ENDED_LISTED);
        newest.copied().collect::<Vec<_>>()
    };
    let [completed, killed] = [&jobs.completed, &jobs.killed].map(|ended| newest(ended));
    completed.into_iter().chain(killed).collect()
}

impl NodeHandle {
    /// What the node measures.
    pub async fn measurements(&self) -> Result<Measurements, ApiError> {
        let status = self.group.send(Status).await;
        let status = status.map_err(|_| ApiError::NodeEnded)?;
        let session = self.window.session.borrow().clone();
        let log_entries = in_time(session.log_len()).await;
        let oldest = |since: Option<Millis>| since.map(|since| status.now.since(since));
        let jobs = self.snapshot().replica.jobs.clone();
        let newest = newest_ended(&jobs);
        let is_listed = |job| jobs.is_live(job) || newest.contains(&job);
        let ended = self.counters.sum_without(is_listed);
        let tasks = self.counters.all().into_iter();
        let tasks = tasks.filter(|(job, ..)| is_listed(*job));
        let tasks = tasks.map(|(job, task, counters)| TaskMeasurements {
            job,
            task,
            figures: counters.figures(),
            latencies: counters.latencies(),
            oldest_pending: oldest(counters.oldest()).unwrap_or_default(),
        });
        let tasks: Vec<TaskMeasurements> = tasks.collect();
        let displaced = tasks.iter().map(|task| task.figures.displaced);
        let displaced = displaced.sum::<u64>() + ended.figures.displaced;
        let mut frames_refused = status.refused.clone();
        frames_refused.push(("displaced", displaced));
        let ackers = self.counters.ackers();
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Ok(Measurements {
            tasks,
            ended,
            acker_entries: get(&ackers.open),
            duplicate_acks: get(&ackers.refused),
            late_acks: get(&ackers.late),
            given_up: get(&ackers.given_up),
            undeliverable_completions: get(&ackers.undeliverable),
            frames_refused,
            session_restarts: status.session_restarts,
            session_reconnects: status.session_reconnects,
            abandoned_tasks: status.abandoned_tasks,
            peer_restarts: status.peer_restarts.clone(),
            log_entries: log_entries.and_then(Result::ok),
            status: NodeStatus::of(status),
        })
    }
}
