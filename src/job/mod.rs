//! What a user declares: a job is a workflow of tasks, a catalog that says what each one is, and
//! lifecycles around them. Plain values; nothing here has been checked yet.

pub mod content;
pub mod file;
pub mod graph;
pub mod max_rejected;
pub mod percent;
pub mod place;
mod task_keys;
pub mod validation;
pub mod vocabulary;

use crate::ids::TaskName;
use crate::segment::{Segment, Value};
use max_rejected::MaxRejected;
use percent::Percent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// A job as it is submitted and stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// What people call it; need not be unique.
    pub name: String,
    /// The edges of the graph, each `[from, to]`.
    pub workflow: Vec<(TaskName, TaskName)>,
    /// The tasks.
    pub catalog: Vec<Task>,
    /// Calls around tasks.
    #[serde(default)]
    pub lifecycles: Vec<Lifecycle>,
    /// How the job's peers are shared among its tasks.
    #[serde(default)]
    pub task_scheduler: TaskScheduler,
    /// The job's share of the cluster; wanted when the cluster's job scheduler is `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// How far a colocated job sends its segments.
    #[serde(default, skip_serializing_if = "Sends::is_default")]
    pub sends: Sends,
    /// Which of its peers keep the ledgers of its segments.
    #[serde(default, skip_serializing_if = "AckerRule::is_default")]
    pub ackers: AckerRule,
}

impl Job {
    /// A job of these edges and tasks, without lifecycles.
    pub fn new<'a>(
        name: impl Into<String>,
        workflow: impl IntoIterator<Item = (&'a str, &'a str)>,
        catalog: impl IntoIterator<Item = Task>,
    ) -> Self {
        let edges = workflow
            .into_iter()
            .map(|(from, to)| (from.into(), to.into()));
        Job {
            name: name.into(),
            workflow: edges.collect(),
            catalog: catalog.into_iter().collect(),
            lifecycles: Vec::new(),
            task_scheduler: TaskScheduler::default(),
            percentage: None,
            sends: Sends::default(),
            ackers: AckerRule::default(),
        }
    }

    /// The task of a name.
    pub fn task(&self, name: &TaskName) -> Option<&Task> {
        self.catalog.iter().find(|task| task.name == *name)
    }
}

/// A catalog entry: one task and how it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Task {
    /// Unique in the job.
    pub name: TaskName,
    /// Input, function or output.
    #[serde(rename = "type")]
    pub kind: TaskKind,
    /// The registered function that is applied to each segment; none passes segments on.
    #[serde(rename = "fn", default)]
    pub function: Option<String>,
    /// The registered plugin of an input or output.
    #[serde(default)]
    pub plugin: Option<String>,
    /// The most segments in a batch.
    #[serde(default = "defaults::batch_size")]
    pub batch_size: NonZeroU32,
    /// How long a read waits for the first segment of a batch.
    #[serde(default = "defaults::batch_timeout_ms")]
    pub batch_timeout_ms: NonZeroU32,
    /// The fewest peers with which the task may run.
    #[serde(default = "defaults::min_peers")]
    pub min_peers: NonZeroU32,
    /// The most peers it can use; none is no limit. `n-peers` in a job file sets both.
    #[serde(default)]
    pub max_peers: Option<NonZeroU32>,
    /// The task's share of its job; wanted when the job's task scheduler is `percentage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// What happens when the task's peers change; none lets them come and go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flux_policy: Option<FluxPolicy>,
    /// Tags that a peer must have to run it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub required_tags: BTreeSet<String>,
    /// Inputs: a root that is not acknowledged for this long is replayed.
    #[serde(default = "defaults::pending_timeout_ms")]
    pub pending_timeout_ms: NonZeroU32,
    /// Inputs: how often time-outs are looked for; divides the time-out.
    #[serde(default = "defaults::input_retry_timeout_ms")]
    pub input_retry_timeout_ms: NonZeroU32,
    /// Inputs: the most roots that may be unacknowledged at once.
    #[serde(default = "defaults::max_pending")]
    pub max_pending: NonZeroU32,
    /// Inputs: the most bytes that the segments of these roots may have, encoded.
    #[serde(
        default = "defaults::max_pending_bytes",
        skip_serializing_if = "defaults::is_max_pending_bytes"
    )]
    pub max_pending_bytes: NonZeroU32,
    /// Inputs: after so many retries that failed, a root goes to the dead letters.
    #[serde(
        default = "defaults::max_retries",
        skip_serializing_if = "defaults::is_max_retries"
    )]
    pub max_retries: NonZeroU32,
    /// Where segments that could not be read, or not be brought to an end, are written, as JSON lines
    /// with the reason; none counts and logs them only.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Inputs: how much of it may be rejected. None fails the job if all of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rejected: Option<MaxRejected>,
    /// What its function and plugin were given: every other key of the catalog entry.
    #[serde(default)]
    pub params: Segment,
}

impl Task {
    /// The keys of a catalog entry that every task may have; the others are its own, in `params`.
    pub const KEYS: [&'static str; 19] = [
        "name",
        "type",
        "fn",
        "plugin",
        "batch-size",
        "batch-timeout-ms",
        "min-peers",
        "max-peers",
        "n-peers",
        "percentage",
        "flux-policy",
        "required-tags",
        "pending-timeout-ms",
        "input-retry-timeout-ms",
        "max-pending",
        "max-pending-bytes",
        "max-retries",
        "dead-letter",
        "max-rejected",
    ];

    /// Those of the keys that mean something to inputs only.
    pub const INPUT_KEYS: [&'static str; 6] = [
        "pending-timeout-ms",
        "input-retry-timeout-ms",
        "max-pending",
        "max-pending-bytes",
        "max-retries",
        "max-rejected",
    ];

    /// A task with every default, for what comes from code rather than from a file.
    pub fn new(name: impl Into<TaskName>, kind: TaskKind) -> Self {
        Task {
            name: name.into(),
            kind,
            function: None,
            plugin: None,
            batch_size: defaults::batch_size(),
            batch_timeout_ms: defaults::batch_timeout_ms(),
            min_peers: defaults::min_peers(),
            max_peers: None,
            percentage: None,
            flux_policy: None,
            required_tags: BTreeSet::new(),
            pending_timeout_ms: defaults::pending_timeout_ms(),
            input_retry_timeout_ms: defaults::input_retry_timeout_ms(),
            max_pending: defaults::max_pending(),
            max_pending_bytes: defaults::max_pending_bytes(),
            max_retries: defaults::max_retries(),
            dead_letter: None,
            max_rejected: None,
            params: Segment::new(),
        }
    }

    /// An input that reads through a plugin.
    pub fn input(name: impl Into<TaskName>, plugin: impl Into<String>) -> Self {
        Task {
            plugin: Some(plugin.into()),
            ..Task::new(name, TaskKind::Input)
        }
    }

    /// A task that applies a function.
    pub fn function(name: impl Into<TaskName>, function: impl Into<String>) -> Self {
        Task {
            function: Some(function.into()),
            ..Task::new(name, TaskKind::Function)
        }
    }

    /// An output that writes through a plugin.
    pub fn output(name: impl Into<TaskName>, plugin: impl Into<String>) -> Self {
        Task {
            plugin: Some(plugin.into()),
            ..Task::new(name, TaskKind::Output)
        }
    }

    /// The same task with one more key, as it would be written in a job file: one that every task has,
    /// such as `n-peers`, or one of its function or plugin.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !task_keys::set(&mut self, key, &value) {
            self.params.set(key, value);
        }
        self
    }
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Reads segments from a medium.
    Input,
    /// Turns segments into segments.
    Function,
    /// Writes segments to a medium.
    Output,
}

impl TaskKind {
    /// Every kind, in the order in which data passes them.
    pub const ALL: [TaskKind; 3] = [TaskKind::Input, TaskKind::Function, TaskKind::Output];

    /// As it is written in a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskKind::Input => "input",
            TaskKind::Function => "function",
            TaskKind::Output => "output",
        }
    }
}

/// Registered calls around a task, or around every task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lifecycle {
    /// Which task, or `all`.
    pub task: LifecycleTarget,
    /// The registered name of the calls.
    pub calls: String,
}

/// Which tasks a lifecycle is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", from = "TaskName", into = "TaskName")]
pub enum LifecycleTarget {
    /// Every task of the job, written `all`.
    All,
    /// One task.
    Task(TaskName),
}

impl LifecycleTarget {
    /// Whether the lifecycle applies to a task.
    pub fn covers(&self, task: &TaskName) -> bool {
        match self {
            LifecycleTarget::All => true,
            LifecycleTarget::Task(name) => name == task,
        }
    }
}

impl From<TaskName> for LifecycleTarget {
    fn from(name: TaskName) -> Self {
        if name.as_str() == "all" {
            LifecycleTarget::All
        } else {
            LifecycleTarget::Task(name)
        }
    }
}

impl From<LifecycleTarget> for TaskName {
    fn from(target: LifecycleTarget) -> Self {
        match target {
            LifecycleTarget::All => "all".into(),
            LifecycleTarget::Task(name) => name,
        }
    }
}

/// How the peers of a job are shared among its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskScheduler {
    /// As evenly as minima and maxima allow.
    #[default]
    #[serde(
        alias = "onyx.task-scheduler/balanced",
        alias = ":onyx.task-scheduler/balanced"
    )]
    Balanced,
    /// By the percentage of each task.
    #[serde(
        alias = "onyx.task-scheduler/percentage",
        alias = ":onyx.task-scheduler/percentage"
    )]
    Percentage,
    /// As many whole copies of the job as fit on single sites, so that segments stay where they are.
    #[serde(
        alias = "onyx.task-scheduler/colocated",
        alias = ":onyx.task-scheduler/colocated"
    )]
    Colocated,
}

impl TaskScheduler {
    /// Every scheduler.
    pub const ALL: [TaskScheduler; 3] = [
        TaskScheduler::Balanced,
        TaskScheduler::Percentage,
        TaskScheduler::Colocated,
    ];

    /// As it is written in a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskScheduler::Balanced => "balanced",
            TaskScheduler::Percentage => "percentage",
            TaskScheduler::Colocated => "colocated",
        }
    }
}

/// How far a colocated job sends its segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sends {
    /// To peers of the same site only: each copy of the job keeps to itself.
    #[default]
    Local,
    /// To any peer of the job, so that a slow copy is helped by others.
    Anywhere,
}

impl Sends {
    /// Every way to send.
    pub const ALL: [Sends; 2] = [Sends::Local, Sends::Anywhere];

    /// As it is written in a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            Sends::Local => "local",
            Sends::Anywhere => "anywhere",
        }
    }

    /// Whether nothing else was said.
    pub fn is_default(&self) -> bool {
        *self == Sends::default()
    }
}

/// What happens to a task, and to its job, when the peers of the task change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FluxPolicy {
    /// It goes on with those who are there.
    Continue,
    /// Nobody joins it, and the job is killed when one of its peers leaves.
    Kill,
    /// A peer that leaves is replaced in its slot; until then the job stops.
    Recover,
}

impl FluxPolicy {
    /// Every policy.
    pub const ALL: [FluxPolicy; 3] = [FluxPolicy::Continue, FluxPolicy::Kill, FluxPolicy::Recover];

    /// As it is written in a job file.
    pub fn as_str(self) -> &'static str {
        match self {
            FluxPolicy::Continue => "continue",
            FluxPolicy::Kill => "kill",
            FluxPolicy::Recover => "recover",
        }
    }
}

/// Which peers of a job keep the ledgers of its segments. Without a percentage each root is kept
/// where it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AckerRule {
    /// How many of the job's peers are ackers, rounded up; none leaves each source its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
    /// Whether peers of inputs are spared.
    #[serde(default)]
    pub exempt_inputs: bool,
    /// Whether peers of outputs are spared.
    #[serde(default)]
    pub exempt_outputs: bool,
    /// Tasks whose peers are spared.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exempt_tasks: BTreeSet<TaskName>,
}

impl AckerRule {
    /// Whether each source is its own acker, and nothing else was said.
    pub fn is_default(&self) -> bool {
        *self == AckerRule::default()
    }
}

/// The defaults of catalog keys, in one place.
pub mod defaults {
    use std::num::NonZeroU32;

    const fn positive(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("a default that is not zero")
    }

    /// Segments in a batch.
    pub const fn batch_size() -> NonZeroU32 {
        positive(256)
    }

    /// Milliseconds that a read waits for its first segment.
    pub const fn batch_timeout_ms() -> NonZeroU32 {
        positive(50)
    }

    /// Peers of a task.
    pub const fn min_peers() -> NonZeroU32 {
        positive(1)
    }

    /// Milliseconds until an unacknowledged root is replayed.
    pub const fn pending_timeout_ms() -> NonZeroU32 {
        positive(60_000)
    }

    /// Milliseconds between two looks for time-outs.
    pub const fn input_retry_timeout_ms() -> NonZeroU32 {
        positive(1_000)
    }

    /// Roots that may be unacknowledged at once.
    pub const fn max_pending() -> NonZeroU32 {
        positive(10_000)
    }

    /// Bytes of unacknowledged roots.
    pub const fn max_pending_bytes() -> NonZeroU32 {
        positive(64 << 20)
    }

    /// Whether it is the default, which is not stored.
    pub fn is_max_pending_bytes(bytes: &NonZeroU32) -> bool {
        *bytes == max_pending_bytes()
    }

    /// Retries of a root that may fail.
    pub const fn max_retries() -> NonZeroU32 {
        positive(10)
    }

    /// Whether it is the default, which is not stored.
    pub fn is_max_retries(retries: &NonZeroU32) -> bool {
        *retries == max_retries()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_each_kind_does_its_work_by_what_is_named() {
        let kinds = |task: &Task| (task.kind, task.plugin.clone(), task.function.clone());
        let name = || Some("csv".to_owned());
        let input = kinds(&Task::input("read", "csv"));
        assert_eq!(input, (TaskKind::Input, name(), None));
        let function = kinds(&Task::function("keep", "csv"));
        assert_eq!(function, (TaskKind::Function, None, name()));
        let output = kinds(&Task::output("write", "csv"));
        assert_eq!(output, (TaskKind::Output, name(), None));
    }
}
