//! Following the log as a client.

use crate::actors::peer_group::GroupWindow;
use crate::log::Step;
use crate::messages::log_reader::Snapshot;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// The log as it is applied on this node.
pub struct LogSubscription {
    latest: watch::Receiver<Snapshot>,
    steps: broadcast::Receiver<Arc<Step>>,
    place: Place,
}

enum Place {
    /// The newest replica comes next.
    Lost,
    /// Steps behind this one come next.
    Behind(Snapshot),
}

/// What a subscriber sees.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// The newest replica: first of all, and again for a subscriber that fell too far behind.
    Snapshot(Snapshot),
    /// The next entry, with the replica before and after it.
    Step(Arc<Step>),
}

impl LogSubscription {
    pub(super) fn new(window: &GroupWindow) -> Self {
        // Subscribing before looking at the newest replica leaves no gap between the two.
        let steps = window.steps.subscribe();
        LogSubscription {
            latest: window.latest.clone(),
            steps,
            place: Place::Lost,
        }
    }

    /// The next event; `None` once the node has ended and every entry before its end was returned.
    pub async fn next(&mut self) -> Option<LogEvent> {
        let Place::Behind(seen) = &self.place else {
            return Some(self.jump());
        };
        let seen = seen.position;
        loop {
            let step = tokio::select! {
                biased;
                step = self.steps.recv() => step,
                // Handles keep the channel of steps open; only the peer group holds this one.
                () = ended(&mut self.latest) => return None,
            };
            match step {
                // Part of the snapshot already.
                Ok(step) if seen.is_some_and(|seen| step.position <= seen) => {}
                Ok(step) => return Some(LogEvent::Step(step)),
                Err(RecvError::Lagged(_)) => return Some(self.jump()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn jump(&mut self) -> LogEvent {
        // As above; and what is left of the ring is part of the replica already.
        self.steps = self.steps.resubscribe();
        let snapshot = self.latest.borrow().clone();
        self.place = Place::Behind(snapshot.clone());
        LogEvent::Snapshot(snapshot)
    }
}

/// Waits until the peer group, which alone publishes replicas, is gone.
async fn ended(latest: &mut watch::Receiver<Snapshot>) {
    while latest.changed().await.is_ok() {}
}
