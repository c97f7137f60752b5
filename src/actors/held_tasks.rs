//! The tasks of a node that hold their thread: which call of user code each is in, for how long, and
//! which of them were abandoned.

use super::task_threads::Watch;
use crate::ids::{JobId, PeerId, SlotId, TaskName};
use crate::log::wants::Assignment;
use crate::task::Beat;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Every task of a node that runs on the threads of tasks and has not ended. Clones share it.
///
/// There are as many as peers, and at most `abandoned_max` more: beyond that no task is abandoned, and
/// its peer has no other until it returns.
#[derive(Clone)]
pub struct HeldTasks {
    tasks: Arc<Mutex<Vec<Entry>>>,
    abandoned_max: usize,
}

struct Entry {
    start: TaskOfPeer,
    beat: Beat,
    watch: Watch,
    hold: Hold,
}

/// One start of a task on a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskOfPeer {
    /// The peer.
    pub peer: PeerId,
    /// The number of the start on that peer.
    pub incarnation: u64,
    /// What the peer runs by it.
    pub job: JobId,
    /// The task of that job.
    pub task: TaskName,
    /// The slot of that task.
    pub slot: SlotId,
}

/// Whether the peer still waits for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// It is its peer's task.
    Running,
    /// Its job has ended, its node stops, or it was stuck: its peer has gone on without it, and it ends
    /// where it returns from user code.
    Abandoned,
}

/// A task that has been in one call of user code for long. Prints as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HeldTask {
    /// The peer that started it.
    pub peer: PeerId,
    /// Its job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot of the task.
    pub slot: SlotId,
    /// Whether its peer still waits for it.
    pub hold: Hold,
    /// The call, as "opening file/lines /data/in.fifo".
    pub call: String,
    /// For how long it has been in that call.
    pub held_ms: u64,
}

impl HeldTasks {
    /// No tasks yet, of which at most `abandoned_max` may be abandoned at a time.
    pub fn new(abandoned_max: NonZeroUsize) -> Self {
        HeldTasks {
            tasks: Arc::default(),
            abandoned_max: abandoned_max.get(),
        }
    }

    // A poisoned lock means that a thread panicked between two whole changes.
    fn living(&self) -> MutexGuard<'_, Vec<Entry>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|entry| !entry.watch.has_ended());
        tasks
    }

    /// A task has been started.
    pub(super) fn add(&self, start: TaskOfPeer, beat: Beat, watch: Watch) {
        self.living().push(Entry {
            start,
            beat,
            watch,
            hold: Hold::Running,
        });
    }

    /// Whether one more task that holds its thread may be abandoned.
    pub(super) fn have_room(&self) -> bool {
        self.abandoned() < self.abandoned_max
    }

    /// A peer does not wait for its task any more.
    pub(super) fn abandoned_by_peer(&self, start: &TaskOfPeer) {
        let mut tasks = self.living();
        if let Some(entry) = tasks.iter_mut().find(|entry| entry.start == *start) {
            entry.hold = Hold::Abandoned;
        }
    }

    /// The tasks that have been in one call for `time`, and all abandoned ones.
    pub fn held_for(&self, time: Duration) -> Vec<HeldTask> {
        let tasks = self.living();
        let held = tasks.iter().filter_map(|entry| {
            let held_for = entry.watch.held_for();
            let is_held = entry.hold == Hold::Abandoned || held_for >= time;
            is_held.then(|| entry.held(held_for))
        });
        held.collect()
    }

    /// How many are abandoned and have not returned.
    pub fn abandoned(&self) -> usize {
        let tasks = self.living();
        let abandoned = tasks.iter().filter(|entry| entry.hold == Hold::Abandoned);
        abandoned.count()
    }

    /// Why the node should get no more work; `None` while one more task could be abandoned.
    pub fn exhaustion(&self) -> Option<String> {
        let abandoned = self.abandoned();
        (abandoned >= self.abandoned_max).then(|| {
            format!(
                "{abandoned} abandoned tasks have not returned from user code \
                 (peer.abandoned-tasks-max = {}): GET /peers names their calls, and a restart of the \
                 node ends them",
                self.abandoned_max
            )
        })
    }
}

impl TaskOfPeer {
    /// The start of an assignment.
    pub(super) fn of(peer: PeerId, incarnation: u64, assignment: &Assignment) -> Self {
        TaskOfPeer {
            peer,
            incarnation,
            job: assignment.job,
            task: assignment.task.clone(),
            slot: assignment.slot,
        }
    }
}

impl Entry {
    fn held(&self, held_for: Duration) -> HeldTask {
        HeldTask {
            peer: self.start.peer,
            job: self.start.job,
            task: self.start.task.clone(),
            slot: self.start.slot,
            hold: self.hold,
            call: self.beat.call(),
            held_ms: u64::try_from(held_for.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for HeldTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeldTask {
            peer,
            task,
            slot,
            call,
            held_ms,
            ..
        } = self;
        let seconds = held_ms / 1_000;
        write!(
            f,
            "task {task} (slot {slot}) has been {call} for {seconds} s"
        )?;
        match self.hold {
            Hold::Running => write!(f, " on peer {peer}"),
            Hold::Abandoned => write!(f, ", and peer {peer} has gone on without it"),
        }
    }
}
