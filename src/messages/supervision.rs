//! What every actor understands, and what every supervisor hears.

use actix::Message;
use serde::Serialize;
use std::fmt;

/// The kinds of actors in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Child {
    /// The root.
    PeerGroup,
    /// One incarnation of a virtual peer.
    VirtualPeer,
    /// Writes to the log.
    Outbox,
    /// Owns the pulse and the watches.
    PulseWatcher,
    /// Owns the XOR ledger.
    AckingDaemon,
    /// Hands out steps.
    LogReader,
    /// Runs a task.
    TaskPipeline,
}

impl fmt::Display for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Child::PeerGroup => "peer-group",
            Child::VirtualPeer => "virtual-peer",
            Child::Outbox => "outbox",
            Child::PulseWatcher => "pulse-watcher",
            Child::AckingDaemon => "acking-daemon",
            Child::LogReader => "log-reader",
            Child::TaskPipeline => "task-pipeline",
        })
    }
}

/// A child to its supervisor: I am gone. Makes it true that nothing more comes from this
/// incarnation.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ChildDown {
    /// Which child.
    pub child: Child,
    /// Which of its incarnations.
    pub incarnation: u64,
    /// How it ended.
    pub exit: Exit,
    /// The same as one of few.
    pub reason: EndReason,
}

/// Of what kind the end of an actor was, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndReason {
    /// It was asked to end.
    Stopped,
    /// It could not go on.
    Failed,
    /// A bug.
    Panicked,
    /// Its task says that exceptions start the peer again.
    Exception,
    /// Its task was stuck in user code.
    Stuck,
    /// The cluster has removed it.
    Removed,
    /// The session that it lived on is over.
    Session,
    /// The transport has lost what was under way.
    Transport,
}

impl EndReason {
    /// All for which an actor is started again.
    pub const OF_RESTARTS: [EndReason; 7] = [
        EndReason::Failed,
        EndReason::Panicked,
        EndReason::Exception,
        EndReason::Stuck,
        EndReason::Removed,
        EndReason::Session,
        EndReason::Transport,
    ];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Stopped => "stopped",
            EndReason::Failed => "failed",
            EndReason::Panicked => "panicked",
            EndReason::Exception => "exception",
            EndReason::Stuck => "stuck",
            EndReason::Removed => "removed",
            EndReason::Session => "session",
            EndReason::Transport => "transport",
        }
    }
}

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It was asked to.
    Stopped,
    /// It could not go on.
    Failed(String),
    /// A bug: the message of the panic.
    Panicked(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Stopped => f.write_str("stopped"),
            Exit::Failed(cause) => f.write_str(cause),
            Exit::Panicked(cause) => write!(f, "panicked: {cause}"),
        }
    }
}

/// A supervisor to a child: finish what you hold, then end. The answer comes when it is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Anybody to any actor: how are you? The answer is small and building it changes nothing.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "ActorReport")]
pub struct Observe;

/// What an actor says of itself and of what it supervises.
#[derive(Clone, Debug, PartialEq, Serialize, actix::MessageResponse)]
#[serde(rename_all = "kebab-case")]
pub struct ActorReport {
    /// What it is.
    pub actor: Child,
    /// In a word or two.
    pub state: String,
    /// How often it has been started again.
    pub restarts: u64,
    /// How its last incarnation ended, if there was one.
    pub last_cause: Option<String>,
    /// Whatever else is worth seeing.
    pub detail: serde_json::Value,
    /// Its children in start order.
    pub children: Vec<ActorReport>,
}

impl ActorReport {
    /// A report without children.
    pub fn of(actor: Child, state: impl Into<String>, detail: serde_json::Value) -> Self {
        ActorReport {
            actor,
            state: state.into(),
            restarts: 0,
            last_cause: None,
            detail,
            children: Vec::new(),
        }
    }
}

/// A test to any actor: panic now, as a bug in it would. Sent by [`crate::testing`] alone.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Crash(pub Child);
