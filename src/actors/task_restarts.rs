//! How often the tasks of a node fail and are started again, and when that is enough.

use super::supervision::{RestartBudget, Verdict};
use crate::clock::Millis;
use crate::ids::{JobId, TaskName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The failures of tasks whose peers start again, of live jobs. Clones share them.
#[derive(Clone)]
pub struct TaskRestarts {
    limit: RestartLimit,
    tasks: Arc<Mutex<BTreeMap<(JobId, TaskName), Failures>>>,
}

/// How often a task may be started again on one node. One more failure kills its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// Restarts within the window.
    pub max: usize,
    /// The window.
    pub window: Duration,
}

struct Failures {
    budget: RestartBudget,
    last: String,
}

/// A task that was started again within the window. Prints as a part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TaskRestart {
    /// The task.
    pub task: TaskName,
    /// How often within the window.
    pub restarts: usize,
    /// How often at most.
    pub restarts_max: usize,
    /// The exception of its last failure.
    pub last_exception: String,
}

impl TaskRestarts {
    /// No failures yet.
    pub fn new(limit: RestartLimit) -> Self {
        TaskRestarts {
            limit,
            tasks: Arc::default(),
        }
    }

    // A poisoned lock means that a thread panicked between two whole changes.
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<(JobId, TaskName), Failures>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task has failed and would be started again. An error says that it was too often, and is the
    /// reason to kill its job. Forgets jobs that are not live.
    pub(super) fn record(
        &self,
        (job, task): (JobId, &TaskName),
        exception: &str,
        now: Millis,
        is_live: impl Fn(JobId) -> bool,
    ) -> Result<(), String> {
        let mut tasks = self.tasks();
        tasks.retain(|(job, _), _| is_live(*job));
        let RestartLimit { max, window } = self.limit;
        let failures = tasks
            .entry((job, task.clone()))
            .or_insert_with(|| Failures {
                budget: RestartBudget::new(max, window),
                last: String::new(),
            });
        exception.clone_into(&mut failures.last);
        match failures.budget.spend(now) {
            Verdict::Restart => Ok(()),
            Verdict::GiveUp => {
                let (failed, seconds) = (max + 1, window.as_secs());
                Err(format!(
                    "task {task} failed {failed} times within {seconds} s on one node \
                     (peer.task-restarts-max = {max}), the last time: {exception}"
                ))
            }
        }
    }

    /// The tasks of a job that were started again within the window.
    pub fn of(&self, job: JobId, now: Millis) -> Vec<TaskRestart> {
        let mut tasks = self.tasks();
        let of_job = tasks.iter_mut().filter(|((of, _), _)| *of == job);
        let restarts = of_job.map(|((_, task), failures)| TaskRestart {
            task: task.clone(),
            restarts: failures.budget.spent(now),
            restarts_max: self.limit.max,
            last_exception: failures.last.clone(),
        });
        restarts.filter(|restart| restart.restarts > 0).collect()
    }
}

impl fmt::Display for TaskRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskRestart {
            task,
            restarts,
            restarts_max,
            last_exception,
        } = self;
        write!(
            f,
            "task {task} was started again {restarts} of at most {restarts_max} times, \
             the last exception: {last_exception}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    const LIMIT: RestartLimit = RestartLimit {
        max: 2,
        window: Duration::from_secs(600),
    };

    #[test]
    fn a_task_that_fails_too_often_gives_a_reason_to_kill_its_job() {
        let restarts = TaskRestarts::new(LIMIT);
        let (job, task) = (IdSource::from_seed(1).job(), TaskName::from("write"));
        let fail = |at| restarts.record((job, &task), "disk is full", Millis(at), |_| true);
        assert_eq!((fail(0), fail(1_000)), (Ok(()), Ok(())));
        insta::assert_snapshot!(restarts.of(job, Millis(1_000))[0], @"task write was started again 2 of at most 2 times, the last exception: disk is full");
        insta::assert_snapshot!(fail(2_000).unwrap_err(), @"task write failed 3 times within 600 s on one node (peer.task-restarts-max = 2), the last time: disk is full");
    }

    #[test]
    fn failures_before_the_window_do_not_count() {
        let restarts = TaskRestarts::new(LIMIT);
        let (job, task) = (IdSource::from_seed(1).job(), TaskName::from("write"));
        for day in 0..9 {
            let now = Millis(day * 86_400_000);
            assert_eq!(restarts.record((job, &task), "no", now, |_| true), Ok(()));
        }
        assert_eq!(restarts.of(job, Millis(10 * 86_400_000)), []);
    }

    #[test]
    fn the_failures_of_an_ended_job_are_forgotten() {
        let restarts = TaskRestarts::new(LIMIT);
        let mut ids = IdSource::from_seed(1);
        let (ended, live) = (ids.job(), ids.job());
        let task = TaskName::from("write");
        let record = |job, is_live: fn(JobId) -> bool| {
            restarts.record((job, &task), "no", Millis(0), is_live)
        };
        assert_eq!(record(ended, |_| true), Ok(()));
        assert_eq!(record(live, |_| false), Ok(()));
        assert_eq!(restarts.of(ended, Millis(0)), []);
        assert_eq!(restarts.of(live, Millis(0)).len(), 1);
    }
}
