//! The sections of the replica as plain values.

use super::{Events, Outcome, SharedMap, Slots};
use crate::config::{JobScheduler, Transport};
use crate::ids::{
    AllocationVersion, ContentHash, GroupId, JobId, LogPosition, NodeName, PeerId, SlotId,
    StateLogId, TaskName, WriterId,
};
use crate::job::percent::Percent;
use crate::job::{AckerRule, FluxPolicy, Sends, TaskKind, TaskScheduler};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The state of the cluster as of one position of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replica {
    /// What everybody who uses this log agreed on before its first entry.
    #[serde(default)]
    pub agreed: Agreed,
    /// Who is in the cluster, who is joining, who watches whom.
    pub membership: Arc<Membership>,
    /// Every job that is remembered.
    pub jobs: Arc<Jobs>,
    /// Which peer works where. A job without an entry is not running.
    pub allocations: Arc<BTreeMap<JobId, Arc<Allocation>>>,
    /// How far live jobs are.
    pub progress: Arc<BTreeMap<JobId, Arc<Progress>>>,
    /// The state logs of tasks that keep state.
    #[serde(default)]
    pub state_logs: Arc<StateLogs>,
    /// The last entry applied of each writer.
    pub writers: Arc<Writers>,
    /// What happened to the peers of jobs, for people. No rule reads it.
    #[serde(default)]
    pub events: Arc<Events>,
}

/// What everybody who uses a log agrees on before its first entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Agreed {
    /// How peers are shared among jobs.
    pub job_scheduler: JobScheduler,
    /// What carries segments. With `local` they stay in their process, and so does each job.
    pub messaging: Transport,
}

/// Where nothing is said, every peer can reach every other; a node says what its segments can do.
impl Default for Agreed {
    fn default() -> Self {
        Agreed {
            job_scheduler: JobScheduler::default(),
            messaging: Transport::Aeron,
        }
    }
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
    pub pairs: SharedMap<PeerId, PeerId>,
    /// What each joined or joining peer said of itself.
    pub members: SharedMap<PeerId, Member>,
}

/// What a peer says of itself when it prepares to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// Its process.
    pub group: GroupId,
    /// The name of the node that this process is.
    #[serde(
        default,
        rename = "node-name",
        skip_serializing_if = "NodeName::is_empty"
    )]
    pub node: NodeName,
    /// Where its segments are to be sent.
    #[serde(rename = "peer-site")]
    pub site: Site,
    /// The words of its vocabulary: it takes only tasks that need no others.
    pub words: Arc<BTreeSet<String>>,
    /// Its tags: what its configuration says it can do.
    #[serde(default)]
    pub tags: Arc<BTreeSet<String>>,
}

/// Where a peer can be reached by the transport, in the transport's own words. Words that are a JSON
/// object are shown as one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "SiteShape", into = "SiteShape")]
pub struct Site(pub String);

/// A site as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum SiteShape {
    Text(String),
    Object(serde_json::Map<String, serde_json::Value>),
}

impl From<SiteShape> for Site {
    fn from(shape: SiteShape) -> Self {
        match shape {
            SiteShape::Text(text) => Site(text),
            SiteShape::Object(object) => Site(serde_json::Value::Object(object).to_string()),
        }
    }
}

impl From<Site> for SiteShape {
    /// Only what reads back to the very same words is shown as an object.
    fn from(site: Site) -> Self {
        let object = match site.0.starts_with('{') {
            true => serde_json::from_str(&site.0).ok(),
            false => None,
        };
        let object = object.map(SiteShape::Object);
        match object {
            Some(object) if Site::from(object.clone()) == site => object,
            _ => SiteShape::Text(site.0),
        }
    }
}

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
    pub records: SharedMap<JobId, Arc<JobRecord>>,
    /// The killed ones of the list above that could not do without a peer.
    #[serde(default)]
    pub losses: BTreeMap<JobId, Loss>,
    /// What is left of finished jobs whose records are gone, the latest
    /// [`Jobs::TOMBSTONES_REMEMBERED`] or a little fewer.
    #[serde(default)]
    pub tombstones: SharedMap<JobId, Tombstone>,
}

/// A peer that left, and its task, whose flux policy is `kill`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Loss {
    /// The peer.
    pub peer: PeerId,
    /// Its task.
    pub task: TaskName,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { peer, task } = self;
        write!(
            f,
            "peer {peer} of task {task} left, and the task has the flux-policy kill"
        )
    }
}

/// What is left of a finished job: enough to answer who waits for it or submits it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tombstone {
    /// How it ended.
    pub outcome: Outcome,
    /// What it consisted of, if it was submitted with a hash.
    pub content: Option<ContentHash>,
    /// The entry that collected it: the oldest are forgotten first.
    pub collected: LogPosition,
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
    /// Its share of the cluster.
    #[serde(default)]
    pub percentage: Option<Percent>,
    /// How far a colocated job sends its segments.
    #[serde(default)]
    pub sends: Sends,
    /// Which of its peers keep ledgers.
    #[serde(default)]
    pub ackers: AckerRule,
    /// What it consists of, if its submitter said so.
    #[serde(default)]
    pub content: Option<ContentHash>,
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
    /// The tags a peer must have to run it.
    #[serde(default)]
    pub required_tags: BTreeSet<String>,
    /// What happens when its peers change.
    #[serde(default)]
    pub flux_policy: Option<FluxPolicy>,
    /// Its share of the job.
    #[serde(default)]
    pub percentage: Option<Percent>,
}

impl TaskRecord {
    /// A task that one peer or any more can run, whatever they know.
    pub fn new(name: impl Into<TaskName>, kind: TaskKind, downstream: Vec<TaskName>) -> Self {
        TaskRecord {
            name: name.into(),
            kind,
            downstream,
            min_peers: 1,
            max_peers: None,
            words: BTreeSet::new(),
            required_tags: BTreeSet::new(),
            flux_policy: None,
            percentage: None,
        }
    }
}

/// Who runs a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Allocation {
    /// The entry that last changed `tasks`.
    pub version: AllocationVersion,
    /// The last entry at which a peer of this job left the cluster. What was in flight then may be
    /// gone; inputs replay what they had emitted before.
    pub last_loss: Option<LogPosition>,
    /// Slots of every task. While a job runs, no task is without one.
    pub tasks: BTreeMap<TaskName, Slots>,
    /// Peers that have said, for their present slot, that they can receive.
    pub ready: BTreeSet<PeerId>,
    /// Those of its peers that keep ledgers, sorted; none when each source keeps its own.
    #[serde(default)]
    pub ackers: Vec<PeerId>,
    /// Peers of the cluster that were moved from a slot of this job and have not been ready in another
    /// slot since: they may still be finishing what they had received. Their death is a loss.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaving: BTreeSet<PeerId>,
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

/// The state logs of tasks that keep state, in the order in which they are played back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StateLogs {
    /// The logs of each slot.
    pub logs: BTreeMap<JobId, BTreeMap<TaskName, BTreeMap<SlotId, Vec<StateLogId>>>>,
    /// Logs that nobody needs any more and that are to be deleted.
    pub marked: BTreeSet<StateLogId>,
}

/// The last sequence applied of each writer, so that an entry that was written twice counts once.
/// Writers that are not members are remembered for a bounded number of writers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Writers {
    /// Writer to its last sequence and the position of that entry.
    pub last: SharedMap<WriterId, (u64, LogPosition)>,
}
