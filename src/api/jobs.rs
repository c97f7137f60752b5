//! How jobs end, and what is known of them.

use super::report::{JobReport, JobSummary};
use super::{ApiError, NodeHandle};
use crate::coordination::{Node, patiently, read_blob};
use crate::ids::JobId;
use crate::messages::log_reader::Snapshot;
use crate::replica::{JobState, Replica};
use crate::scheduler::explain;
use serde::Serialize;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobOutcome {
    /// Every output is sealed.
    Completed,
    /// It was ended early, with the exception when there was one.
    Killed(Option<String>),
}

impl NodeHandle {
    /// Everything known of a job.
    pub async fn job(&self, job: JobId) -> Result<JobReport, ApiError> {
        let replica = self.snapshot().replica;
        let summary = JobSummary::of(&replica, job).ok_or(ApiError::UnknownJob(job))?;
        let exception = match replica.job_state(job) {
            Some(JobState::Killed) => self.cause(&replica, job).await?,
            _ => None,
        };
        let summary = match &exception {
            Some(cause) if replica.record(job).is_some() => summary.killed_by(cause),
            _ => summary,
        };
        let figures = self.counters.figures(job);
        let progress = self.input_progress(&replica, job).await;
        let health = self.health_of(job);
        let summary = health.added_to(summary);
        Ok(JobReport {
            restarts: health.restarts,
            held_tasks: health.held,
            ..JobReport::of(&replica, summary, exception, figures, progress)
        })
    }

    /// What the cluster's scheduler says of a job, and what this node knows of its tasks, in a sentence.
    pub fn explain(&self, job: JobId) -> String {
        let replica = self.snapshot().replica;
        match JobSummary::of(&replica, job) {
            Some(summary) => self.health_of(job).added_to(summary).why,
            None => explain(&replica, job).to_string(),
        }
    }

    pub(super) async fn outcome(
        &self,
        snapshot: &Snapshot,
        job: JobId,
    ) -> Result<Option<JobOutcome>, ApiError> {
        match snapshot.replica.job_state(job) {
            None => Err(ApiError::UnknownJob(job)),
            Some(JobState::Completed) => Ok(Some(JobOutcome::Completed)),
            Some(JobState::Killed) => {
                let cause = self.cause(&snapshot.replica, job).await?;
                Ok(Some(JobOutcome::Killed(cause)))
            }
            Some(JobState::Waiting | JobState::Running) => Ok(None),
        }
    }

    /// Why a job was killed: what the log says, or what whoever killed it stored.
    pub(super) async fn cause(
        &self,
        replica: &Replica,
        job: JobId,
    ) -> Result<Option<String>, ApiError> {
        if let Some(loss) = replica.jobs.losses.get(&job) {
            return Ok(Some(loss.to_string()));
        }
        let session = self.window.session.borrow().clone();
        let stored = patiently(&*session, || read_blob(&*session, Node::Exception(job))).await?;
        Ok(stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}
