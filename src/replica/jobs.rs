//! Changes and questions of jobs, their tasks and how far they are.

use super::{JobRecord, Jobs, Progress, TaskRecord, Tombstone};
use crate::ids::{ContentHash, JobId, LogPosition, SlotId, TaskName};
use crate::job::{AckerRule, Sends, TaskKind, TaskScheduler};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every output was sealed.
    Completed,
    /// Somebody, or an error, ended it.
    Killed,
}

impl Jobs {
    /// How many completed and how many killed jobs are remembered with their records; what is left
    /// of older ones is a tombstone.
    pub const FINISHED_REMEMBERED: usize = 1_000;

    /// How many tombstones there may be. When there are more, the oldest tenth is forgotten, so that
    /// the replica of a cluster that runs for years stays small.
    pub const TOMBSTONES_REMEMBERED: usize = 100_000;

    /// How many jobs may be live at once.
    pub const LIVE_LIMIT: usize = 1_000;

    /// Whether the job waits or runs.
    pub fn is_live(&self, job: JobId) -> bool {
        self.live.contains(&job)
    }

    /// Whether the job is remembered: live, finished, or by its tombstone.
    pub fn is_known(&self, job: JobId) -> bool {
        self.records.contains_key(&job) || self.tombstones.contains_key(&job)
    }

    /// What a job that is remembered was submitted as. None when it is not remembered, or was
    /// submitted without saying so.
    pub fn content_of(&self, job: JobId) -> Option<ContentHash> {
        match self.records.get(&job) {
            Some(record) => record.content,
            None => self.tombstones.get(&job)?.content,
        }
    }

    /// How a job that is remembered has ended; none while it is live.
    pub fn outcome_of(&self, job: JobId) -> Option<Outcome> {
        if self.completed.contains(&job) {
            return Some(Outcome::Completed);
        }
        if self.killed.contains(&job) {
            return Some(Outcome::Killed);
        }
        self.tombstones.get(&job).map(|tombstone| tombstone.outcome)
    }

    /// Adds a live job.
    pub(crate) fn submit(&mut self, id: JobId, record: JobRecord) {
        self.live.push(id);
        self.records.insert(id, Arc::new(record));
    }

    /// Moves a live job to the finished ones, at the entry of a position. When there are many, the
    /// oldest of those becomes a tombstone.
    pub(crate) fn finish(&mut self, job: JobId, outcome: Outcome, position: LogPosition) {
        self.live.retain(|live| *live != job);
        let finished = match outcome {
            Outcome::Completed => &mut self.completed,
            Outcome::Killed => &mut self.killed,
        };
        finished.push(job);
        let surplus = finished.len().saturating_sub(Self::FINISHED_REMEMBERED);
        let oldest: Vec<JobId> = finished.drain(..surplus).collect();
        self.bury(oldest, outcome, position);
    }

    /// Leaves a tombstone of every finished job.
    pub(crate) fn collect(&mut self, position: LogPosition) {
        let completed = std::mem::take(&mut self.completed);
        self.bury(completed, Outcome::Completed, position);
        let killed = std::mem::take(&mut self.killed);
        self.bury(killed, Outcome::Killed, position);
    }

    fn bury(&mut self, finished: Vec<JobId>, outcome: Outcome, collected: LogPosition) {
        for job in finished {
            let record = self.records.remove(&job);
            self.losses.remove(&job);
            let tombstone = Tombstone {
                outcome,
                content: record.and_then(|record| record.content),
                collected,
            };
            self.tombstones.insert(job, tombstone);
        }
        if self.tombstones.len() > Self::TOMBSTONES_REMEMBERED {
            let keep = Self::TOMBSTONES_REMEMBERED - Self::TOMBSTONES_REMEMBERED / 10;
            let age = |_: &JobId, tombstone: &Tombstone| Some(tombstone.collected);
            self.tombstones.keep_highest(keep, age);
        }
    }
}

impl JobRecord {
    /// A job of these tasks, with every default.
    pub fn new(name: impl Into<String>, tasks: Vec<TaskRecord>) -> Self {
        JobRecord {
            name: name.into(),
            tasks,
            task_scheduler: TaskScheduler::default(),
            percentage: None,
            sends: Sends::default(),
            ackers: AckerRule::default(),
            content: None,
            submitted: LogPosition(0),
        }
    }

    /// A task by its name.
    pub fn task(&self, name: &TaskName) -> Option<&TaskRecord> {
        self.tasks.iter().find(|task| task.name == *name)
    }

    /// The fewest peers with which the job runs.
    pub fn min_peers(&self) -> u64 {
        self.tasks
            .iter()
            .map(|task| u64::from(task.min_peers))
            .sum()
    }

    /// The fewest copies with which a colocated job runs: each has a peer of every task.
    pub fn min_copies(&self) -> u32 {
        let minima = self.tasks.iter().map(|task| task.min_peers);
        minima.max().unwrap_or(0)
    }

    /// The most peers that the job can use; none is no limit.
    pub fn saturation(&self) -> Option<u64> {
        self.tasks
            .iter()
            .map(|task| task.max_peers.map(u64::from))
            .sum()
    }

    /// The tasks of a kind, in topological order.
    pub fn tasks_of(&self, kind: TaskKind) -> impl Iterator<Item = &TaskRecord> {
        self.tasks.iter().filter(move |task| task.kind == kind)
    }

    /// The tasks that send to this one.
    pub fn upstream<'a>(&'a self, name: &'a TaskName) -> impl Iterator<Item = &'a TaskRecord> {
        self.tasks
            .iter()
            .filter(move |task| task.downstream.contains(name))
    }
}

impl AckerRule {
    /// Whether the peers of a task keep no ledgers.
    pub fn spares(&self, task: &TaskRecord) -> bool {
        let by_kind = match task.kind {
            TaskKind::Input => self.exempt_inputs,
            TaskKind::Function => false,
            TaskKind::Output => self.exempt_outputs,
        };
        by_kind || self.exempt_tasks.contains(&task.name)
    }
}

impl Progress {
    /// Whether a slot of an input has nothing more to read.
    pub fn is_exhausted(&self, task: &TaskName, slot: SlotId) -> bool {
        self.exhausted_tasks.contains(task) || self.exhausted.contains(&(task.clone(), slot))
    }

    /// Whether a slot of an output has been sealed.
    pub fn is_sealed(&self, task: &TaskName, slot: SlotId) -> bool {
        self.sealed.contains(&(task.clone(), slot))
    }

    /// Whether nothing more can come to a function or output: everything upstream is finished.
    pub fn nothing_more_comes_to(&self, record: &JobRecord, name: &TaskName) -> bool {
        let is_input = record
            .task(name)
            .is_none_or(|task| task.kind == TaskKind::Input);
        !is_input && self.finished_tasks(record).contains(name)
    }

    /// Inputs that are exhausted, and tasks to which nothing more can come.
    pub fn finished_tasks<'a>(&self, record: &'a JobRecord) -> BTreeSet<&'a TaskName> {
        let mut finished: BTreeSet<&TaskName> = BTreeSet::new();
        for task in &record.tasks {
            let done = match task.kind {
                TaskKind::Input => self.exhausted_tasks.contains(&task.name),
                TaskKind::Function | TaskKind::Output => {
                    let mut upstream = record.upstream(&task.name);
                    upstream.all(|from| finished.contains(&from.name))
                }
            };
            if done {
                finished.insert(&task.name);
            }
        }
        finished
    }

    /// Takes back what was said of single slots of a task, because it has other slots now.
    pub(crate) fn forget_slots(&mut self, task: &TaskName) {
        self.exhausted.retain(|(marked, _)| marked != task);
        self.sealed.retain(|(marked, _)| marked != task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::sample::{job_id, record};

    #[test]
    fn an_output_waits_for_every_input_above_it() {
        let record = record("in:i>f other:i>f f:f>out out:o lone:i>last last:o");
        let mut progress = Progress::default();
        progress.exhausted_tasks.insert("in".into());
        assert!(!progress.nothing_more_comes_to(&record, &"out".into()));
        progress.exhausted_tasks.insert("other".into());
        assert!(progress.nothing_more_comes_to(&record, &"out".into()));
        assert!(!progress.nothing_more_comes_to(&record, &"last".into()));
        assert!(!progress.nothing_more_comes_to(&record, &"absent".into()));
    }

    #[test]
    fn saturation_is_open_when_one_task_is() {
        assert_eq!(record("in:i>out:1-2 out:o:1-3").saturation(), Some(5));
        assert_eq!(record("in:i>out:1-2 out:o:1-").saturation(), None);
        assert_eq!(record("in:i>out:2-2 out:o:3-").min_peers(), 5);
    }

    fn run_and_kill(jobs: &mut Jobs, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let content = Some(ContentHash(number.into()));
            let record = JobRecord {
                content,
                ..record("in:i>out out:o")
            };
            jobs.submit(job_id(number), record);
            jobs.finish(job_id(number), Outcome::Killed, LogPosition(number.into()));
        }
    }

    #[test]
    fn the_oldest_finished_jobs_become_tombstones() {
        let mut jobs = Jobs::default();
        let remembered = Jobs::FINISHED_REMEMBERED as u32;
        run_and_kill(&mut jobs, 0..=remembered);
        assert_eq!(jobs.killed.len(), Jobs::FINISHED_REMEMBERED);
        assert_eq!(jobs.records.len(), Jobs::FINISHED_REMEMBERED);
        let tombstone = Tombstone {
            outcome: Outcome::Killed,
            content: Some(ContentHash(0)),
            collected: LogPosition(remembered.into()),
        };
        assert_eq!(jobs.tombstones.get(&job_id(0)), Some(&tombstone));
        assert!(jobs.is_known(job_id(0)) && jobs.is_known(job_id(1)));
        assert_eq!(jobs.content_of(job_id(0)), Some(ContentHash(0)));
        assert_eq!(jobs.outcome_of(job_id(0)), Some(Outcome::Killed));
    }

    #[test]
    fn the_oldest_tombstones_are_forgotten() {
        let mut jobs = Jobs::default();
        let limit = Jobs::TOMBSTONES_REMEMBERED as u32;
        for numbers in [0..limit / 2, limit / 2..limit + 1] {
            let (first, last) = (numbers.start, numbers.end);
            jobs.killed = numbers.map(job_id).collect();
            assert!(first < last);
            jobs.collect(LogPosition(last.into()));
        }
        let kept = Jobs::TOMBSTONES_REMEMBERED / 10 * 9;
        assert_eq!(jobs.tombstones.len(), kept);
        assert!(jobs.is_known(job_id(limit)) && jobs.is_known(job_id(limit / 2)));
        assert!(!jobs.is_known(job_id(0)));
    }
}
