//! What a group lends its peers: the shared session, the transport, and the settings of a peer.

use super::acking_daemon::AckingSettings;
use super::held_tasks::HeldTasks;
use super::running_task::Placement;
use super::supervision::{Backoff, Census};
use super::task_restarts::TaskRestarts;
use crate::ids::{IdSource, PeerId};
use crate::task::TaskServices;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Everything a peer is given. Clones share it.
#[derive(Clone)]
pub struct PeerServices {
    /// What its tasks need.
    pub task: TaskServices,
    /// Entries that wait to be written.
    pub outbox_capacity: usize,
    /// The settings of its acking daemon.
    pub acking: AckingSettings,
    /// How often an input's position is saved.
    pub checkpoint_interval: Duration,
    /// How long a task may take to stop before it is abandoned.
    pub stuck_after: Duration,
    /// When the node stops: how long a task may be in one call of user code before it is abandoned.
    pub blocked_after: Duration,
    /// The tasks that run, and those that were abandoned.
    pub held_tasks: HeldTasks,
    /// How often tasks fail and start again.
    pub task_restarts: TaskRestarts,
    /// Between two attempts to join.
    pub join_backoff: Backoff,
    /// Where pipelines run.
    pub placement: Placement,
    /// Where every actor is counted.
    pub census: Census,
    /// Where ids and draws come from.
    pub ids: Rc<RefCell<IdSource>>,
}

impl PeerServices {
    /// A draw of 64 bits.
    pub fn draw(&self) -> u64 {
        self.ids.borrow_mut().bits()
    }

    /// A draw from [0, 1).
    pub fn unit(&self) -> f64 {
        self.ids.borrow_mut().unit()
    }

    /// An id that has never been used.
    pub fn fresh_peer(&self) -> PeerId {
        self.ids.borrow_mut().peer()
    }
}
