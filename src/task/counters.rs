//! What a job has done so far, counted where it happens and read from anywhere.

use crate::acking::{BOUNDS_MS, Ends, Latencies, PendingCounters};
use crate::clock::Millis;
use crate::ids::{JobId, TaskName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counters of one task on this node. They outlive a restarted peer.
#[derive(Debug, Default)]
pub struct TaskCounters {
    counts: [AtomicU64; Count::COUNT],
    in_flight: AtomicU64,
    latencies: [AtomicU64; BOUNDS_MS.len() + 1],
    latency_sum_ms: AtomicU64,
    /// When the oldest pending read of each run was made.
    oldest: Mutex<Vec<Arc<Oldest>>>,
}

/// When the oldest pending read of a run was made.
#[derive(Debug)]
pub struct Oldest(AtomicU64);

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
    /// Those of them of which nothing was left to write.
    Filtered,
    /// Roots that went to the dead letters.
    DeadLettered,
    /// Roots that were in flight when their run ended. Whoever has the slot next reads them again.
    Relinquished,
    /// Roots that were played again.
    Retried,
    /// Roots that nobody knew any more after their time-out.
    TimedOut,
    /// Milliseconds in which a batch was ready to be sent and nobody had room for it.
    BlockedMs,
    /// Messages that were meant for somebody else: an earlier task or incarnation.
    Misdirected,
    /// Batches of peers that have lost their place upstream.
    Displaced,
    /// Segments that could not be decoded.
    Damaged,
    /// Segments that were too large to be sent.
    Oversized,
    /// Positions that coordination did not take; the next one is saved after it.
    FailedSaves,
    /// Exceptions in user code and plugins.
    Exceptions,
}

impl Count {
    const COUNT: usize = Count::Exceptions as usize + 1;
}

impl TaskCounters {
    /// Counts `n` more.
    pub fn add(&self, count: Count, n: u64) {
        self.counts[count as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// What became of the roots of a run, given what was told of them before.
    pub fn move_roots(&self, before: &PendingCounters, now: &PendingCounters) {
        let completed = |it: &PendingCounters| it.ends.written + it.ends.filtered;
        for (count, before, now) in [
            (Count::Read, before.read, now.read),
            (Count::Completed, completed(before), completed(now)),
            (Count::Filtered, before.ends.filtered, now.ends.filtered),
            (
                Count::DeadLettered,
                before.ends.dead_lettered,
                now.ends.dead_lettered,
            ),
            (Count::Retried, before.replayed, now.replayed),
            (Count::TimedOut, before.timed_out, now.timed_out),
        ] {
            if now > before {
                self.add(count, now - before);
            }
        }
    }

    /// One run has so many roots pending now, and had so many when it said so last.
    pub fn move_in_flight(&self, before: u64, now: u64) {
        if now != before {
            self.in_flight.fetch_add(now, Ordering::Relaxed);
            self.in_flight.fetch_sub(before, Ordering::Relaxed);
        }
    }

    /// A run ended with so many roots in flight.
    pub fn relinquish(&self, in_flight: u64) {
        self.add(Count::Relinquished, in_flight);
        self.move_in_flight(in_flight, 0);
    }

    /// Roots completed, each after some time.
    pub fn add_latencies(&self, latencies: &Latencies) {
        for (cell, count) in self.latencies.iter().zip(latencies.counts) {
            if count > 0 {
                cell.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.latency_sum_ms
            .fetch_add(latencies.sum_ms, Ordering::Relaxed);
    }

    /// Where a run says when its oldest pending read was made.
    pub fn oldest_of_run(&self) -> Arc<Oldest> {
        let mut runs = self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|run| Arc::strong_count(run) > 1);
        let run = Arc::new(Oldest(AtomicU64::new(NOTHING_PENDING)));
        runs.push(run.clone());
        run
    }

    /// When the oldest pending read was made; none while nothing is pending.
    pub fn oldest(&self) -> Option<Millis> {
        let runs = self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        let running = runs.iter().filter(|run| Arc::strong_count(run) > 1);
        let oldest = running.map(|run| run.0.load(Ordering::Relaxed)).min();
        oldest.filter(|at| *at != NOTHING_PENDING).map(Millis)
    }

    /// How long roots took, since the start.
    pub fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::default();
        for (count, cell) in latencies.counts.iter_mut().zip(&self.latencies) {
            *count = cell.load(Ordering::Relaxed);
        }
        latencies.sum_ms = self.latency_sum_ms.load(Ordering::Relaxed);
        latencies
    }

    /// All figures.
    pub fn figures(&self) -> TaskFigures {
        let get = |count: Count| self.counts[count as usize].load(Ordering::Relaxed);
        TaskFigures {
            read: get(Count::Read),
            rejected: get(Count::Rejected),
            received: get(Count::Received),
            emitted: get(Count::Emitted),
            written: get(Count::Written),
            completed: get(Count::Completed),
            filtered: get(Count::Filtered),
            dead_lettered: get(Count::DeadLettered),
            relinquished: get(Count::Relinquished),
            retried: get(Count::Retried),
            timed_out: get(Count::TimedOut),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            blocked_ms: get(Count::BlockedMs),
            misdirected: get(Count::Misdirected),
            displaced: get(Count::Displaced),
            damaged: get(Count::Damaged),
            oversized: get(Count::Oversized),
            failed_saves: get(Count::FailedSaves),
            exceptions: get(Count::Exceptions),
        }
    }
}

const NOTHING_PENDING: u64 = u64::MAX;

impl Oldest {
    /// It is this one now.
    pub fn is(&self, read_at: Option<Millis>) {
        let at = read_at.map_or(NOTHING_PENDING, |at| at.0);
        self.0.store(at, Ordering::Relaxed);
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
    pub filtered: u64,
    pub dead_lettered: u64,
    pub relinquished: u64,
    pub retried: u64,
    pub timed_out: u64,
    pub in_flight: u64,
    pub blocked_ms: u64,
    pub misdirected: u64,
    pub displaced: u64,
    pub damaged: u64,
    pub oversized: u64,
    pub failed_saves: u64,
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
            filtered: self.filtered + other.filtered,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            relinquished: self.relinquished + other.relinquished,
            retried: self.retried + other.retried,
            timed_out: self.timed_out + other.timed_out,
            in_flight: self.in_flight + other.in_flight,
            blocked_ms: self.blocked_ms + other.blocked_ms,
            misdirected: self.misdirected + other.misdirected,
            displaced: self.displaced + other.displaced,
            damaged: self.damaged + other.damaged,
            oversized: self.oversized + other.oversized,
            failed_saves: self.failed_saves + other.failed_saves,
            exceptions: self.exceptions + other.exceptions,
        }
    }

    /// What became of all that was read.
    pub fn account(&self) -> Account {
        let Self {
            read,
            completed,
            filtered,
            dead_lettered,
            relinquished,
            in_flight,
            ..
        } = *self;
        let ended = completed + dead_lettered + relinquished + in_flight;
        Account {
            r#in: read,
            out: completed.saturating_sub(filtered),
            filtered,
            dead_lettered,
            in_flight,
            relinquished,
            unaccounted: read as i64 - ended as i64,
        }
    }
}

/// What became of the roots of a job: `in` is the sum of all others, and `unaccounted` is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account {
    /// Segments that inputs read. Each is a root.
    pub r#in: u64,
    /// Roots that are complete, and of which an output wrote something.
    pub out: u64,
    /// Roots that are complete, and of which nothing was left to write.
    pub filtered: u64,
    /// Roots that went to the dead letters.
    pub dead_lettered: u64,
    /// Roots that are none of these yet.
    pub in_flight: u64,
    /// Roots that were in flight when their input stopped. Its successor reads them again, and they
    /// count again.
    pub relinquished: u64,
    /// What is missing. It is 0 whenever no input is in the middle of a batch.
    pub unaccounted: i64,
}

impl Account {
    /// What became of so many roots that were read, of which so many are in flight.
    pub fn of(read: u64, ends: Ends, in_flight: u64) -> Account {
        let Ends {
            written,
            filtered,
            dead_lettered,
        } = ends;
        let ended = written + filtered + dead_lettered;
        Account {
            r#in: read,
            out: written,
            filtered,
            dead_lettered,
            in_flight,
            relinquished: 0,
            unaccounted: read as i64 - (ended + in_flight) as i64,
        }
    }

    /// The sums of two accounts.
    pub fn plus(&self, other: &Account) -> Account {
        Account {
            r#in: self.r#in + other.r#in,
            out: self.out + other.out,
            filtered: self.filtered + other.filtered,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            in_flight: self.in_flight + other.in_flight,
            relinquished: self.relinquished + other.relinquished,
            unaccounted: self.unaccounted + other.unaccounted,
        }
    }

    /// What is left of an account when its input has stopped: whoever follows reads again what was in
    /// flight.
    pub fn left_behind(self) -> Account {
        Account {
            in_flight: 0,
            relinquished: self.relinquished + self.in_flight,
            ..self
        }
    }
}

/// The counters of every task that has run on this node, and of its ackers. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    tasks: Arc<Mutex<Table>>,
    ackers: Arc<AckerCounters>,
}

/// The counters of jobs that are kept, and the sum of the others.
#[derive(Debug, Default)]
struct Table {
    jobs: BTreeMap<JobId, Tasks>,
    dropped: JobsSum,
}

type Tasks = BTreeMap<TaskName, Arc<TaskCounters>>;

/// What all tasks of several jobs did on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobsSum {
    /// How many jobs.
    pub jobs: u64,
    /// The sums of their figures.
    pub figures: TaskFigures,
    /// How long their roots took.
    pub latencies: Latencies,
}

impl JobsSum {
    fn add(&mut self, tasks: &Tasks) {
        self.jobs += 1;
        for counters in tasks.values() {
            self.figures = self.figures.plus(&counters.figures());
            self.latencies = self.latencies.plus(&counters.latencies());
        }
    }
}

impl Counters {
    /// The counters of a task; fresh ones when it is new here.
    pub fn of(&self, job: JobId, task: &TaskName) -> Arc<TaskCounters> {
        let tasks = &mut self.table().jobs;
        tasks
            .entry(job)
            .or_default()
            .entry(task.clone())
            .or_default()
            .clone()
    }

    /// Drops the counters of all other jobs. Their sums are kept.
    pub fn keep_only(&self, is_kept: impl Fn(JobId) -> bool) {
        let Table { jobs, dropped } = &mut *self.table();
        jobs.retain(|job, tasks| {
            let is_kept = is_kept(*job);
            if !is_kept {
                dropped.add(tasks);
            }
            is_kept
        });
    }

    /// The sum of all jobs whose counters were dropped, and of those that are not listed.
    pub fn sum_without(&self, is_listed: impl Fn(JobId) -> bool) -> JobsSum {
        let table = self.table();
        let mut sum = table.dropped;
        let unlisted = table.jobs.iter().filter(|(job, _)| !is_listed(**job));
        unlisted.for_each(|(_, tasks)| sum.add(tasks));
        sum
    }

    /// The figures of a job's tasks on this node.
    pub fn figures(&self, job: JobId) -> BTreeMap<TaskName, TaskFigures> {
        let table = self.table();
        let of_job = table.jobs.get(&job).into_iter().flatten();
        of_job
            .map(|(task, counters)| (task.clone(), counters.figures()))
            .collect()
    }

    /// The counters of every task, by job.
    pub fn all(&self) -> Vec<(JobId, TaskName, Arc<TaskCounters>)> {
        let table = self.table();
        let all = table.jobs.iter().flat_map(|(job, tasks)| {
            let named = tasks.iter();
            named.map(|(task, counters)| (*job, task.clone(), counters.clone()))
        });
        all.collect()
    }

    /// The counters of the acking daemons.
    pub fn ackers(&self) -> &AckerCounters {
        &self.ackers
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the acking daemons of this node have seen.
#[derive(Debug, Default)]
pub struct AckerCounters {
    /// Roots that have some of their acks.
    pub open: AtomicU64,
    /// Ack messages that were refused, as applied before.
    pub refused: AtomicU64,
    /// Acks for roots that were complete or given up already.
    pub late: AtomicU64,
    /// Roots given up.
    pub given_up: AtomicU64,
    /// Completions whose source was gone.
    pub undeliverable: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;

    #[test]
    fn what_was_read_is_what_ended_what_is_in_flight_and_what_was_given_up() {
        let counters = TaskCounters::default();
        let before = PendingCounters::default();
        let now = PendingCounters {
            read: 10,
            ends: Ends {
                written: 4,
                filtered: 2,
                dead_lettered: 1,
            },
            ..before
        };
        counters.move_roots(&before, &now);
        counters.move_in_flight(0, 3);
        let account = counters.figures().account();
        assert_eq!((account.r#in, account.out, account.filtered), (10, 4, 2));
        assert_eq!((account.dead_lettered, account.in_flight), (1, 3));
        assert_eq!(account.unaccounted, 0);
        counters.relinquish(3);
        let account = counters.figures().account();
        assert_eq!((account.in_flight, account.relinquished), (0, 3));
        assert_eq!(account.unaccounted, 0);
        counters.add(Count::Read, 1);
        assert_eq!(counters.figures().account().unaccounted, 1);
    }

    #[test]
    fn the_oldest_read_is_that_of_runs_that_still_go_on() {
        let counters = TaskCounters::default();
        let (one, other) = (counters.oldest_of_run(), counters.oldest_of_run());
        assert_eq!(counters.oldest(), None);
        one.is(Some(Millis(5)));
        other.is(Some(Millis(9)));
        assert_eq!(counters.oldest(), Some(Millis(5)));
        drop(one);
        assert_eq!(counters.oldest(), Some(Millis(9)));
        other.is(None);
        assert_eq!(counters.oldest(), None);
    }

    #[test]
    fn sums_of_unlisted_jobs_stay_when_their_counters_are_dropped() {
        let mut ids = IdSource::from_seed(1);
        let (kept, ended) = (ids.job(), ids.job());
        let counters = Counters::default();
        for job in [kept, ended] {
            for task in ["read", "write"] {
                counters.of(job, &task.into()).add(Count::Received, 3);
            }
        }
        let mut latencies = Latencies::default();
        (latencies.counts[2], latencies.sum_ms) = (4, 9);
        counters.of(ended, &"read".into()).add_latencies(&latencies);
        let sum = counters.sum_without(|job| job == kept);
        assert_eq!((sum.jobs, sum.figures.received), (1, 6));
        assert_eq!(sum.latencies, latencies);
        counters.keep_only(|job| job == kept);
        assert_eq!(counters.sum_without(|job| job == kept), sum);
        assert_eq!(counters.all().len(), 2);
    }
}
