//! What people and programs are told of jobs and nodes.

use super::KILLED_BY_A_CLIENT;
use super::events::EventReport;
use crate::actors::held_tasks::HeldTask;
use crate::actors::task_restarts::TaskRestart;
use crate::coordination::SessionState;
use crate::ids::{GroupId, JobId, LogPosition, PeerId, TaskName};
use crate::messages::peer_group::GroupStatus;
use crate::nearest::counted;
use crate::replica::{JobState, Replica, Slots};
use crate::scheduler::{Explanation, explain};
use crate::task::InputProgress;
use crate::task::counters::{Account, TaskFigures};
use crate::task::exception::shortened;
use serde::Serialize;
use std::collections::BTreeMap;

/// A job in a line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// What people call it.
    pub name: String,
    /// Waiting, running, completed or killed.
    pub state: JobState,
    /// Why it has the peers it has, or none.
    pub why: String,
    /// How many peers work on it.
    pub peers: usize,
}

impl JobSummary {
    pub(super) fn of(replica: &Replica, id: JobId) -> Option<Self> {
        let Some(record) = replica.record(id) else {
            return Self::of_tombstone(replica, id);
        };
        Some(JobSummary {
            id,
            name: record.name.clone(),
            state: replica.job_state(id)?,
            why: explain(replica, id).to_string(),
            peers: replica.peer_count(id),
        })
    }

    /// The same of a job of which it is known what killed it: that in one line.
    pub(super) fn killed_by(mut self, cause: &str) -> Self {
        let line = cause.lines().next().unwrap_or_default();
        let line = shortened(line.to_owned(), WHY_BYTES_MAX);
        self.why = match cause {
            KILLED_BY_A_CLIENT => line,
            _ => format!("killed: {line}"),
        };
        self
    }

    /// What is left of a job whose record was collected: nobody remembers its name.
    fn of_tombstone(replica: &Replica, id: JobId) -> Option<Self> {
        let tombstone = replica.jobs.tombstones.get(&id)?;
        let position = tombstone.collected;
        Some(JobSummary {
            id,
            name: String::new(),
            state: replica.job_state(id)?,
            why: format!(
                "it has ended, and entry {position} collected all else that was known of it"
            ),
            peers: 0,
        })
    }
}

/// In a list, a cause has so much room.
const WHY_BYTES_MAX: usize = 240;

/// A job in full.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobReport {
    /// The job in a line.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Why it has as many peers as it has, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// What killed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// What became of all that its inputs read, on every node: the sum of what their slots saved last
    /// with their positions. None while coordination does not answer, and if the job was collected.
    pub account: Option<Account>,
    /// The part of this node.
    pub account_here: Account,
    /// What happened to its peers, and what its inputs replay, oldest first. Of each job the latest
    /// changes of peers are remembered, and the latest replays of each slot, until it is collected.
    pub events: Vec<EventReport>,
    /// Its tasks that failed on this node lately and were started again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<TaskRestart>,
    /// Its tasks on this node that have been in one call of user code for 1 s or more, abandoned ones
    /// included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_tasks: Vec<HeldTask>,
    /// Its tasks in topological order.
    pub tasks: Vec<TaskReport>,
}

/// A task of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TaskReport {
    /// Its name.
    pub name: TaskName,
    /// Who runs it.
    pub peers: Slots,
    /// Why so many, while the job runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What was counted of it on this node.
    pub counts: TaskFigures,
}

impl JobReport {
    pub(super) fn of(
        replica: &Replica,
        summary: JobSummary,
        exception: Option<String>,
        figures: BTreeMap<TaskName, TaskFigures>,
        progress: Option<InputProgress>,
    ) -> Self {
        let account = progress.as_ref().map(|progress| progress.account);
        let replays = progress.map(|progress| progress.replays);
        let events = EventReport::of_job(replica, summary.id, replays.unwrap_or_default());
        let allocation = replica.allocations.get(&summary.id);
        let records = replica
            .record(summary.id)
            .map(|record| record.tasks.clone());
        let shares = match explain(replica, summary.id) {
            Explanation::Allocated(shares) => Some(shares),
            _ => None,
        };
        let why = |task: &TaskName| {
            let tasks = shares.iter().flat_map(|shares| &shares.tasks);
            let share = tasks.into_iter().find(|share| share.task == *task);
            share.map(|share| share.reason.to_string())
        };
        let tasks = records
            .unwrap_or_default()
            .into_iter()
            .map(|task| TaskReport {
                why: why(&task.name),
                peers: allocation
                    .and_then(|allocation| allocation.tasks.get(&task.name).cloned())
                    .unwrap_or_default(),
                counts: figures.get(&task.name).copied().unwrap_or_default(),
                name: task.name,
            });
        JobReport {
            exception,
            account,
            account_here: account_of(&figures),
            events,
            restarts: Vec::new(),
            held_tasks: Vec::new(),
            tasks: tasks.collect(),
            share: shares.as_ref().map(|shares| shares.share.to_string()),
            summary,
        }
    }

    /// The sums of the figures over all tasks.
    pub fn totals(&self) -> TaskFigures {
        sum(self.tasks.iter().map(|task| &task.counts))
    }
}

/// What became of all that these tasks read.
pub(super) fn account_of(figures: &BTreeMap<TaskName, TaskFigures>) -> Account {
    sum(figures.values()).account()
}

fn sum<'a>(figures: impl Iterator<Item = &'a TaskFigures>) -> TaskFigures {
    figures.fold(TaskFigures::default(), |sum, figures| sum.plus(figures))
}

/// How a node is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeStatus {
    /// Its group.
    pub group: GroupId,
    /// How many peers should live here.
    pub peers_wanted: usize,
    /// How many of them are members.
    pub peers_joined: usize,
    /// Those that live.
    pub peers: Vec<PeerId>,
    /// The last entry applied.
    pub position: Option<LogPosition>,
    /// How many entries its slowest peer is behind that.
    pub lag_entries: u64,
    /// Why the node is not ready; empty when it is.
    pub not_ready: Vec<String>,
}

/// A peer that is this many entries behind is not ready.
const LAG_ENTRIES_MAX: u64 = 1_000;

impl NodeStatus {
    pub(super) fn of(status: GroupStatus) -> Self {
        let mut not_ready = Vec::new();
        let GroupStatus {
            peers_wanted,
            peers_joined,
            lag_entries,
            ..
        } = status;
        if peers_joined < peers_wanted {
            not_ready.push(format!(
                "{peers_joined} of {} joined",
                counted(peers_wanted as u64, "peer has", "peers have")
            ));
        }
        if lag_entries > LAG_ENTRIES_MAX {
            not_ready.push(format!(
                "the replica is {} behind the log",
                counted(lag_entries, "entry", "entries")
            ));
        }
        match status.session {
            SessionState::Connected => {}
            SessionState::Disconnected => not_ready.push("coordination is disconnected".into()),
            SessionState::Expired => not_ready.push("the coordination session is over".into()),
        }
        if let Err(cause) = status.transport {
            not_ready.push(format!("the transport is not alive: {cause}"));
        }
        not_ready.extend(status.exhaustion);
        NodeStatus {
            group: status.group,
            peers_wanted,
            peers_joined,
            peers: status.peers,
            position: status.position,
            lag_entries,
            not_ready,
        }
    }

    /// Whether the node can take work.
    pub fn is_ready(&self) -> bool {
        self.not_ready.is_empty()
    }
}
