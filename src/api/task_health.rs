//! What keeps the tasks of a job from getting on, on this node: calls of user code that do not return, and
//! failures after which a task starts again.

use super::NodeHandle;
use super::report::JobSummary;
use crate::actors::held_tasks::{HeldTask, HeldTasks};
use crate::actors::task_restarts::{TaskRestart, TaskRestarts};
use crate::clock::Clock;
use crate::ids::JobId;
use crate::replica::JobState;
use std::time::Duration;

/// Where a node keeps the health of its tasks. Clones share it.
#[derive(Clone)]
pub struct TaskHealth {
    /// Tasks that hold their thread.
    pub held: HeldTasks,
    /// Tasks that failed and start again.
    pub restarts: TaskRestarts,
    /// The time of the node.
    pub clock: Clock,
}

/// A task that has been in one call for this long is worth a word.
const HELD_MIN: Duration = Duration::from_secs(1);

/// What keeps the tasks of one job from getting on.
pub(super) struct JobHealth {
    /// Tasks that failed and were started again lately.
    pub(super) restarts: Vec<TaskRestart>,
    /// Tasks that have been in one call of user code for long.
    pub(super) held: Vec<HeldTask>,
}

impl NodeHandle {
    /// The health of a job on this node.
    pub(super) fn health_of(&self, job: JobId) -> JobHealth {
        let TaskHealth {
            held,
            restarts,
            clock,
        } = &self.health;
        let held = held.held_for(HELD_MIN).into_iter();
        JobHealth {
            restarts: restarts.of(job, clock.now()),
            held: held.filter(|held| held.job == job).collect(),
        }
    }
}

impl JobHealth {
    /// Adds it to what the scheduler says of the job.
    pub(super) fn added_to(&self, mut summary: JobSummary) -> JobSummary {
        let restarts: Vec<String> = self.restarts.iter().map(TaskRestart::to_string).collect();
        if !restarts.is_empty() {
            let link = match summary.state {
                JobState::Waiting => ", because a peer starts again after a failure: ",
                JobState::Running | JobState::Completed | JobState::Killed => "; ",
            };
            summary.why += link;
            summary.why += &restarts.join("; ");
        }
        for held in &self.held {
            summary.why += &format!("; {held}");
        }
        summary
    }
}
