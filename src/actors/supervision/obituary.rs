//! The death notice of an actor.

use super::panic_cause::last_panic;
use crate::messages::supervision::{Child, ChildDown, EndReason, Exit};
use actix::Recipient;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Owned by a child: dropping it tells the supervisor, whether the child stopped or panicked. A
/// child cannot die silently.
pub struct Obituary {
    child: Child,
    incarnation: u64,
    supervisor: Recipient<ChildDown>,
    cause: Option<(EndReason, String)>,
    census: Census,
}

/// Counts the actors of a node that live. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Census {
    living: Arc<AtomicUsize>,
}

impl Census {
    /// How many live.
    pub fn living(&self) -> usize {
        self.living.load(Ordering::SeqCst)
    }
}

impl Obituary {
    /// The notice of a child that is about to live.
    pub fn of(
        child: Child,
        incarnation: u64,
        supervisor: Recipient<ChildDown>,
        census: &Census,
    ) -> Self {
        census.living.fetch_add(1, Ordering::SeqCst);
        Obituary {
            child,
            incarnation,
            supervisor,
            cause: None,
            census: census.clone(),
        }
    }

    /// Says why the child is about to end; without it, and without a panic, it has simply stopped.
    pub fn because(&mut self, cause: impl Into<String>) {
        self.because_of(EndReason::Failed, cause);
    }

    /// The same, and of what kind that is.
    pub fn because_of(&mut self, reason: EndReason, cause: impl Into<String>) {
        self.cause = Some((reason, cause.into()));
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        self.census.living.fetch_sub(1, Ordering::SeqCst);
        let (reason, exit) = match self.cause.take() {
            _ if std::thread::panicking() => (EndReason::Panicked, Exit::Panicked(last_panic())),
            Some((reason, cause)) => (reason, Exit::Failed(cause)),
            None => (EndReason::Stopped, Exit::Stopped),
        };
        let down = ChildDown {
            child: self.child,
            incarnation: self.incarnation,
            exit,
            reason,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a death notice is not refused for a full mailbox"
        )]
        self.supervisor.do_send(down);
    }
}
