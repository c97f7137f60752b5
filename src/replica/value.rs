//! The sections of the replica as plain values.

use crate::ids::{
    AllocationVersion, GroupId, JobId, LogPosition, PeerId, SlotId, TaskName, WriterId,
};
use crate::job::{TaskKind, TaskScheduler};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The state of the cluster as of one position of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replica {
    /// Who is in the cluster, who is joining, who watches whom.
    pub membership: Arc<Membership>,
    /// Every job that is remembered.
    pub jobs: Arc<Jobs>,
    /// Which peer works where. A job without an entry is not running.
    pub allocations: Arc<BTreeMap<JobId, Arc<Allocation>>>,
    /// How far live jobs are.
    pub progress: Arc<BTreeMap<JobId, Arc<Progress>>>,
    /// The last entry applied of each writer.
    pub writers: Arc<Writers>,
}

/// Who is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Membership {
    /// Fully joined peers, in the order in which they joined.
    pub peers: Vec<PeerId>,
    /// Observer to joiner: the first phase is done.
    pub prepared: BTreeMap<PeerId, PeerId>,
    /// Observer to joiner: the second phase is done.
    pub accepted: BTreeMap<PeerId, PeerId>,
    /// Watcher to watched: the ring; empty when there are fewer than two peers.
    pub pairs: BTreeMap<PeerId, PeerId>,
    /// What each joined or joining peer said of itself.
    pub members: BTreeMap<PeerId, Member>,
}

/// What a peer says of itself when it prepares to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// Its process.
    pub group: GroupId,
    /// Where its segments are to be sent.
    pub site: Site,
    /// The words of its vocabulary: it takes only tasks that need no others.
    pub words: Arc<BTreeSet<String>>,
}

/// Where a peer can be reached by the transport, in the transport's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Site(pub String);

/// The jobs that are remembered, each in exactly one of the three lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Jobs {
    /// Live jobs in the order of their submission.
    pub live: Vec<JobId>,
    /// Completed ones, the latest [`Jobs::FINISHED_REMEMBERED`].
    pub completed: Vec<JobId>,
    /// Killed ones, the latest [`Jobs::FINISHED_REMEMBERED`].
    pub killed: Vec<JobId>,
    /// What was submitted.
    pub records: BTreeMap<JobId, Arc<JobRecord>>,
}

/// What the cluster needs to know of a job; the rest is stored beside the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobRecord {
    /// What people call it.
    pub name: String,
    /// The tasks in topological order.
    pub tasks: Vec<TaskRecord>,
    /// How its peers are shared among its tasks.
    pub task_scheduler: TaskScheduler,
    /// The entry that submitted it.
    pub submitted: LogPosition,
}

/// What the scheduler needs to know of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TaskRecord {
    /// Its name.
    pub name: TaskName,
    /// Input, function or output.
    pub kind: TaskKind,
    /// Where its segments go.
    pub downstream: Vec<TaskName>,
    /// The fewest peers it may run with, at least 1.
    pub min_peers: u32,
    /// The most it can use; none is no limit. Saturation is the sum of these.
    pub max_peers: Option<u32>,
    /// The words a peer must know to run it.
    pub words: BTreeSet<String>,
}

/// Who runs a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Allocation {
    /// The entry that last changed `tasks`.
    pub version: AllocationVersion,
    /// The last entry at which a peer of this job was lost or moved away. What was in flight then
    /// may be gone; inputs replay what they had emitted before.
    pub last_loss: Option<LogPosition>,
    /// Slots of every task. While a job runs, no task is without one.
    pub tasks: BTreeMap<TaskName, BTreeMap<SlotId, PeerId>>,
    /// Peers that have said, for their present slot, that they can receive.
    pub ready: BTreeSet<PeerId>,
}

/// How far a live job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress {
    /// Slots of inputs that have nothing more to read and nothing pending. A mark is about slot k
    /// of the slots that the task had then: it goes when the slots of the task change.
    pub exhausted: BTreeSet<(TaskName, SlotId)>,
    /// Inputs of which every slot was exhausted at once. They stay so, whoever serves them later.
    pub exhausted_tasks: BTreeSet<TaskName>,
    /// Slots of outputs that have been sealed. They go like `exhausted`, to be sealed again.
    pub sealed: BTreeSet<(TaskName, SlotId)>,
}

/// The last sequence applied of each writer, so that an entry that was written twice counts once.
/// Writers that are not members are remembered for a bounded number of writers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Writers {
    /// Writer to its last sequence and the position of that entry.
    pub last: BTreeMap<WriterId, (u64, LogPosition)>,
}
