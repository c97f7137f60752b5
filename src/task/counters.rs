//! What a job has done so far, counted where it happens and read from anywhere.

use crate::ids::{JobId, TaskName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The counters of one task on this node. They outlive a restarted peer.
#[derive(Debug, Default)]
pub struct TaskCounters {
    read: AtomicU64,
    rejected: AtomicU64,
    received: AtomicU64,
    emitted: AtomicU64,
    written: AtomicU64,
    completed: AtomicU64,
    retried: AtomicU64,
    in_flight: AtomicU64,
    misdirected: AtomicU64,
    damaged: AtomicU64,
    exceptions: AtomicU64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Segments an input read for the first time.
    Read,
    /// Pieces of an input that were no segments.
    Rejected,
    /// Segments that arrived from upstream.
    Received,
    /// Segments sent downstream, once for each downstream task.
    Emitted,
    /// Segments handed to a medium.
    Written,
    /// Roots whose whole tree was acknowledged.
    Completed,
    /// Roots that were played again.
    Retried,
    /// Messages that were meant for somebody else: an earlier task or incarnation.
    Misdirected,
    /// Segments that could not be decoded.
    Damaged,
    /// Exceptions in user code and plugins.
    Exceptions,
}

impl TaskCounters {
    /// Counts `n` more.
    pub fn add(&self, count: Count, n: u64) {
        self.cell(count).fetch_add(n, Ordering::Relaxed);
    }

    /// One slot has so many roots pending now, and had so many when it said so last.
    pub fn move_in_flight(&self, before: u64, now: u64) {
        self.in_flight.fetch_add(now, Ordering::Relaxed);
        self.in_flight.fetch_sub(before, Ordering::Relaxed);
    }

    /// All figures.
    pub fn figures(&self) -> TaskFigures {
        let get = |count| self.cell(count).load(Ordering::Relaxed);
        TaskFigures {
            read: get(Count::Read),
            rejected: get(Count::Rejected),
            received: get(Count::Received),
            emitted: get(Count::Emitted),
            written: get(Count::Written),
            completed: get(Count::Completed),
            retried: get(Count::Retried),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            misdirected: get(Count::Misdirected),
            damaged: get(Count::Damaged),
            exceptions: get(Count::Exceptions),
        }
    }

    fn cell(&self, count: Count) -> &AtomicU64 {
        match count {
            Count::Read => &self.read,
            Count::Rejected => &self.rejected,
            Count::Received => &self.received,
            Count::Emitted => &self.emitted,
            Count::Written => &self.written,
            Count::Completed => &self.completed,
            Count::Retried => &self.retried,
            Count::Misdirected => &self.misdirected,
            Count::Damaged => &self.damaged,
            Count::Exceptions => &self.exceptions,
        }
    }
}

/// The figures of a task at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is explained at `Count`")]
pub struct TaskFigures {
    pub read: u64,
    pub rejected: u64,
    pub received: u64,
    pub emitted: u64,
    pub written: u64,
    pub completed: u64,
    pub retried: u64,
    pub in_flight: u64,
    pub misdirected: u64,
    pub damaged: u64,
    pub exceptions: u64,
}

impl TaskFigures {
    /// The sums of two sets of figures.
    pub fn plus(&self, other: &TaskFigures) -> TaskFigures {
        TaskFigures {
            read: self.read + other.read,
            rejected: self.rejected + other.rejected,
            received: self.received + other.received,
            emitted: self.emitted + other.emitted,
            written: self.written + other.written,
            completed: self.completed + other.completed,
            retried: self.retried + other.retried,
            in_flight: self.in_flight + other.in_flight,
            misdirected: self.misdirected + other.misdirected,
            damaged: self.damaged + other.damaged,
            exceptions: self.exceptions + other.exceptions,
        }
    }
}

/// The counters of every task that has run on this node. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    tasks: Arc<Mutex<BTreeMap<JobId, Tasks>>>,
}

type Tasks = BTreeMap<TaskName, Arc<TaskCounters>>;

impl Counters {
    /// The counters of a task; fresh ones when it is new here.
    pub fn of(&self, job: JobId, task: &TaskName) -> Arc<TaskCounters> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks
            .entry(job)
            .or_default()
            .entry(task.clone())
            .or_default()
            .clone()
    }

    /// The figures of a job's tasks on this node.
    pub fn figures(&self, job: JobId) -> BTreeMap<TaskName, TaskFigures> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_job = tasks.get(&job).into_iter().flatten();
        of_job
            .map(|(task, counters)| (task.clone(), counters.figures()))
            .collect()
    }
}
