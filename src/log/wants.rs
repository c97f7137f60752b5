//! What a peer wants, derived from the replica after every step and every jump.

use super::PeerContext;
use super::commands::Command;
use crate::ids::{AllocationVersion, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::replica::Replica;
use std::collections::BTreeSet;

/// What a peer should have, watch, run and say, given a replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Wants {
    /// Where it stands.
    pub standing: Standing,
    /// Whose pulses to watch.
    pub watches: BTreeSet<PeerId>,
    /// The task to run.
    pub task: Option<Assignment>,
    /// What it owes the log: ready, exhaust and seal.
    pub owes: Vec<Command>,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not in the replica: before its join, between two attempts, or removed.
    Outside,
    /// Prepared or accepted: the outbox lets only the join and leaves pass.
    Joining,
    /// A member: the outbox is open.
    Joined,
}

/// The place of a peer in a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The job's allocation version; changes without the assignment changing.
    pub version: AllocationVersion,
    /// The allocation's last loss of a peer.
    pub last_loss: Option<LogPosition>,
    /// How many slots the task has.
    pub slots: u32,
    /// Whether every task of the job has a peer that is ready: inputs may read.
    pub go: Go,
    /// Ready peers of each downstream task, in slot order.
    pub downstream: Vec<(TaskName, Vec<(SlotId, PeerId)>)>,
    /// Whether this output slot should be sealed now.
    pub seal: Seal,
}

/// Whether inputs may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// Some task of the job has no ready peer yet.
    Wait,
    /// Every task has one.
    Run,
}

/// Whether a slot should be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Something upstream may still come, or the slot is sealed already, or is no output.
    No,
    /// All that is upstream is exhausted: seal, then say so.
    Now,
}

/// What the peer's own pipeline has done, of which the replica may not know yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalFacts {
    /// The task that runs here, if any.
    pub running: Option<RunningTask>,
}

/// The state of the task that runs on this peer.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningTask {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// How far it is.
    pub phase: TaskPhase,
}

/// How far a running task is. Each includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskPhase {
    /// It opens its plugin and inbox.
    Starting,
    /// It can receive.
    Ready,
    /// An input that has read everything, and all of it is acknowledged.
    Exhausted,
    /// An output that has sealed its slot.
    Sealed,
}

/// Derives what `me` wants.
pub fn wants(replica: &Replica, me: &PeerContext, facts: &LocalFacts) -> Wants {
    let _ = (replica, me, facts);
    Wants {
        standing: Standing::Outside,
        watches: BTreeSet::new(),
        task: None,
        owes: Vec::new(),
    }
}
