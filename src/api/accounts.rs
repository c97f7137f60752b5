//! The account of a job in the whole cluster, as its slots have saved it.

use super::NodeHandle;
use super::in_time::in_time;
use crate::ids::{JobId, TaskName};
use crate::job::TaskKind;
use crate::replica::{JobState, Replica};
use crate::task::account_of;
use crate::task::counters::Account;

impl NodeHandle {
    /// What became of all that was read for a job; none while coordination does not tell, and when the
    /// job was collected.
    pub(super) async fn account(&self, replica: &Replica, job: JobId) -> Option<Account> {
        let tasks = &replica.record(job)?.tasks;
        let inputs = tasks.iter().filter(|task| task.kind == TaskKind::Input);
        let inputs: Vec<TaskName> = inputs.map(|task| task.name.clone()).collect();
        let session = self.window.session.borrow().clone();
        let account = in_time(account_of(&*session, job, &inputs)).await?.ok()?;
        Some(match replica.job_state(job) {
            Some(JobState::Waiting | JobState::Running) => account,
            // Who died with something in flight is not followed by anybody.
            Some(JobState::Completed | JobState::Killed) | None => account.left_behind(),
        })
    }
}
