//! The lease of a session: until when this process may act on it without asking.
//!
//! A process that was paused, or cut off, cannot know that its session has ended before it asks. It
//! does not have to: the service keeps a session for its time-out after it has last heard of it, so
//! that until then nobody can have been told that our peers are gone. Every proof that the session
//! lives extends the lease to that moment; whoever acts looks first.

use super::CoordinationError;
use crate::clock::{Clock, Millis};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// A moment that moves on while the session is known to live. Clones share it.
#[derive(Clone, Debug)]
pub struct SessionLease {
    clock: Clock,
    term: Arc<Term>,
}

#[derive(Debug, Default)]
struct Term {
    until: AtomicU64,
    /// Whoever waits looks again.
    changed: Notify,
}

impl SessionLease {
    /// The lease of a session of which nothing is proved yet.
    pub fn unproved(clock: Clock) -> Self {
        SessionLease {
            clock,
            term: Arc::default(),
        }
    }

    /// The session was proved to be alive by a request that began at `asked`.
    pub fn extend(&self, asked: Millis, timeout: Duration) {
        // An answer that comes late, or after the end, extends nothing.
        let later = |until: u64| (until != ENDED).then(|| until.max(asked.plus(timeout).0));
        let until = &self.term.until;
        let _ = until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        self.term.changed.notify_waiters();
    }

    /// The session is over: nothing extends this lease any more.
    pub fn end(&self) {
        self.term.until.store(ENDED, Ordering::Relaxed);
        self.term.changed.notify_waiters();
    }

    /// Whether one may act now.
    pub fn holds(&self) -> bool {
        self.holds_at(self.clock.now())
    }

    /// Whether one may act at a moment.
    pub fn holds_at(&self, now: Millis) -> bool {
        let until = self.until();
        until != ENDED && now.0 < until
    }

    /// Answers when one may act, or when one never may again.
    pub async fn held(&self) -> Result<(), CoordinationError> {
        loop {
            let changed = self.term.changed.notified();
            if self.holds() {
                return Ok(());
            }
            if self.until() == ENDED {
                return Err(CoordinationError::Expired);
            }
            changed.await;
        }
    }

    fn until(&self) -> u64 {
        self.term.until.load(Ordering::Relaxed)
    }
}

/// Stands for the moment that nothing moves any more.
const ENDED: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(6);

    fn lease() -> SessionLease {
        let lease = SessionLease::unproved(Clock::start());
        assert!(!lease.holds_at(Millis(0)));
        lease.extend(Millis(0), TIMEOUT);
        lease
    }

    #[test]
    fn it_holds_for_the_time_out_after_the_last_question_that_was_answered() {
        let lease = lease();
        assert!(lease.holds_at(Millis(5_999)));
        assert!(!lease.holds_at(Millis(6_000)));
        lease.extend(Millis(1_000), TIMEOUT);
        assert!(lease.holds_at(Millis(6_999)));
        assert!(!lease.holds_at(Millis(7_000)));
    }

    #[test]
    fn an_answer_to_an_older_question_takes_nothing_away() {
        let lease = lease();
        lease.extend(Millis(3_000), TIMEOUT);
        lease.extend(Millis(2_000), TIMEOUT);
        assert!(lease.holds_at(Millis(8_999)));
    }

    #[test]
    fn one_that_ran_out_holds_again_when_the_session_turns_out_to_live() {
        let lease = lease();
        assert!(!lease.holds_at(Millis(6_500)));
        lease.extend(Millis(6_500), TIMEOUT);
        assert!(lease.holds_at(Millis(6_501)));
    }

    #[test]
    fn nothing_extends_the_lease_of_a_session_that_is_over() {
        let lease = lease();
        lease.end();
        lease.extend(Millis(1_000), TIMEOUT);
        assert!(!lease.holds_at(Millis(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_that_it_holds_again_or_never_will() {
        let lease = SessionLease::unproved(Clock::start());
        let (waits, extends) = (lease.held(), async { lease.extend(Millis(0), TIMEOUT) });
        assert_eq!(futures_util::join!(waits, extends).0, Ok(()));
        tokio::time::advance(TIMEOUT).await;
        let (waits, ends) = (lease.held(), async { lease.end() });
        assert_eq!(
            futures_util::join!(waits, ends).0,
            Err(CoordinationError::Expired)
        );
    }
}
