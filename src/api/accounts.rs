//! How far the inputs of a job are in the whole cluster, as their slots have saved it.

use super::NodeHandle;
use super::in_time::in_time;
use crate::ids::{JobId, TaskName};
use crate::job::TaskKind;
use crate::replica::{JobState, Replica};
use crate::task::{InputProgress, progress_of};

impl NodeHandle {
    /// What became of all that was read for a job, and what was replayed. None while coordination does
    /// not answer, and if the job was collected.
    pub(super) async fn input_progress(
        &self,
        replica: &Replica,
        job: JobId,
    ) -> Option<InputProgress> {
        let tasks = &replica.record(job)?.tasks;
        let inputs = tasks.iter().filter(|task| task.kind == TaskKind::Input);
        let inputs: Vec<TaskName> = inputs.map(|task| task.name.clone()).collect();
        let session = self.window.session.borrow().clone();
        let progress = in_time(progress_of(&*session, job, &inputs)).await?.ok()?;
        Some(match replica.job_state(job) {
            Some(JobState::Waiting | JobState::Running) => progress,
            // A job that has ended has no successor for roots in flight: they are relinquished.
            Some(JobState::Completed | JobState::Killed) | None => InputProgress {
                account: progress.account.left_behind(),
                ..progress
            },
        })
    }
}
