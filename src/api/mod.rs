//! What a client can do with a node: submit, watch, wait and kill.

mod accounts;
mod causes;
mod collection;
mod error;
mod events;
mod files_in_use;
mod in_time;
mod jobs;
mod measurements;
mod nodes;
mod report;
mod submission;
mod subscription;
mod task_health;
mod traces;

use causes::Causes;
pub use error::ApiError;
pub use events::{EventDetail, EventReport, ReplayEvent};
use files_in_use::FilesInUse;
pub use jobs::JobOutcome;
pub use measurements::{Measurements, TaskMeasurements};
pub use nodes::{NodeEntry, NodeList};
pub use report::{JobReport, JobSummary, NodeStatus};
pub use submission::{Submitted, check_job, with_checks};
pub use subscription::{LogEvent, LogSubscription};
pub use task_health::TaskHealth;
pub use traces::{Heard, RootTrace, TraceStep};

use crate::actors::peer_group::{GroupWindow, PeerGroup};
use crate::coordination::{Node, Put, patiently};
use crate::ids::{IdSource, JobId, LogPosition, PeerId};
use crate::log::commands::{Command, KillJob};
use crate::messages::log_reader::Snapshot;
use crate::messages::outbox::WriteFailed;
use crate::messages::peer_group::{Append, StartPeers, Status, StopPeer};
use crate::messages::supervision::{ActorReport, Observe};
use crate::replica::JobState;
use crate::task::counters::Counters;
use crate::task::registry::Registry;
use crate::task::traces::Traces;
use actix::Addr;
use std::sync::{Arc, Mutex};

/// What is stored of a job that nobody but a client killed.
const KILLED_BY_A_CLIENT: &str = "killed by a client";

/// A handle on a running node. Cloning it is cheap, and it may be used from any thread.
#[derive(Clone)]
pub struct NodeHandle {
    group: Addr<PeerGroup>,
    window: GroupWindow,
    registry: Arc<Registry>,
    counters: Counters,
    traces: Traces,
    ids: Arc<Mutex<IdSource>>,
    files: FilesInUse,
    causes: Causes,
    health: TaskHealth,
}

impl NodeHandle {
    /// A handle on a group.
    pub(crate) fn new(
        group: Addr<PeerGroup>,
        window: GroupWindow,
        registry: Arc<Registry>,
        (counters, traces): (Counters, Traces),
        health: TaskHealth,
        ids: IdSource,
    ) -> Self {
        NodeHandle {
            group,
            window,
            registry,
            counters,
            traces,
            ids: Arc::new(Mutex::new(ids)),
            files: FilesInUse::default(),
            causes: Causes::default(),
            health,
        }
    }

    /// Waits until a job has ended, however; looks at the state it finds first.
    pub async fn await_job_completion(&self, job: JobId) -> Result<JobOutcome, ApiError> {
        let mut latest = self.window.latest.clone();
        loop {
            let snapshot = latest.borrow_and_update().clone();
            if let Some(outcome) = self.outcome(&snapshot, job).await? {
                return Ok(outcome);
            }
            latest.changed().await.map_err(|_| ApiError::NodeEnded)?;
        }
    }

    /// Ends a job early. Returns when this node has applied the entry. A job that has ended already
    /// stays as it is.
    pub async fn kill_job(&self, job: JobId) -> Result<(), ApiError> {
        let state = self.snapshot().replica.job_state(job);
        let cause = KILLED_BY_A_CLIENT.to_owned();
        match state {
            None => return Err(ApiError::UnknownJob(job)),
            Some(JobState::Completed | JobState::Killed) => return Ok(()),
            Some(JobState::Waiting | JobState::Running) => {}
        }
        let kill = KillJob::new(job, Some(cause.clone()));
        self.append(Command::KillJob(kill)).await?;
        // The log forgets its entries; whoever asks later finds the cause here. An exception that
        // is there already was first.
        let session = self.window.session.borrow().clone();
        let kept = cause.into_bytes();
        let put = || session.put(Node::Exception(job), kept.clone(), Put::IfAbsent);
        patiently(&*session, put).await?;
        Ok(())
    }

    /// Follows the log from the newest replica on.
    pub fn subscribe_to_log(&self) -> LogSubscription {
        LogSubscription::new(&self.window)
    }

    /// The newest replica of this node, and the position it is as of.
    pub fn snapshot(&self) -> Snapshot {
        self.window.latest.borrow().clone()
    }

    /// Starts more virtual peers.
    pub async fn start_peers(&self, more: usize) -> Result<(), ApiError> {
        self.group
            .send(StartPeers(more))
            .await
            .map_err(|_| ApiError::NodeEnded)
    }

    /// Stops one of this node's virtual peers: its task drains, and it leaves the cluster.
    pub async fn stop_peer(&self, peer: PeerId) -> Result<(), ApiError> {
        match self.group.send(StopPeer(peer)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApiError::NotMyPeer(peer)),
            Err(_) => Err(ApiError::NodeEnded),
        }
    }

    /// The supervision tree as it is now.
    pub async fn observe(&self) -> Result<ActorReport, ApiError> {
        self.group
            .send(Observe)
            .await
            .map_err(|_| ApiError::NodeEnded)
    }

    /// How the node is doing.
    pub async fn status(&self) -> Result<NodeStatus, ApiError> {
        self.group
            .send(Status)
            .await
            .map(NodeStatus::of)
            .map_err(|_| ApiError::NodeEnded)
    }

    /// What this node knows of single roots.
    pub fn traces(&self) -> &Traces {
        &self.traces
    }

    /// What jobs can name on this node.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn group(&self) -> &Addr<PeerGroup> {
        &self.group
    }

    pub(crate) fn window(&self) -> &GroupWindow {
        &self.window
    }

    /// Appends a command and waits until this node has applied it.
    async fn append(&self, command: Command) -> Result<LogPosition, ApiError> {
        let appended = self
            .group
            .send(Append(command))
            .await
            .map_err(|_| ApiError::NodeEnded)?;
        let position = appended?;
        let mut latest = self.window.latest.clone();
        let applied = |snapshot: &Snapshot| snapshot.position >= Some(position);
        latest
            .wait_for(applied)
            .await
            .map_err(|_| ApiError::Write(WriteFailed::Ended))?;
        Ok(position)
    }
}
