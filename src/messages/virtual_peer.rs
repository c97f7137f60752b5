//! What a virtual peer hears from its children.

use crate::ids::{JobId, PeerId, TaskName};
use crate::log::wants::TaskPhase;
use crate::messages::supervision::EndReason;
use actix::Message;

/// The pulse watcher to the group: a peer that one of ours watches has no pulse.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct PulseGone(pub PeerId);

/// The task pipeline to its peer: I have come this far.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TaskProgressed {
    /// Which start of a task this is about.
    pub incarnation: u64,
    /// How far.
    pub phase: TaskPhase,
}

/// The task pipeline to its peer: the task cannot go on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TaskFailed {
    /// Which start of a task this is about.
    pub incarnation: u64,
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// What the task's exception handlers decided.
    pub verdict: TaskVerdict,
    /// What happened, for people.
    pub exception: String,
}

/// What becomes of a task after an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskVerdict {
    /// The job is killed and the exception kept.
    KillJob,
    /// Coordination or the slot is to blame: the peer starts again as a new incarnation, and the job
    /// goes on.
    RestartPeer,
    /// The task's handlers want it to start again: the same, but only so often. After that the job is
    /// killed.
    RestartTask,
}

/// The group to its peer, before all its peers leave together: end the task, say what is owed, and
/// then nothing more. A stop follows.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// The group to its peer: end now; what you live on is over.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct EndIncarnation {
    /// Of what kind that is.
    pub reason: EndReason,
    /// The same for people.
    pub cause: String,
}
