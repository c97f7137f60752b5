//! Requests that a broken connection cut short: how soon, and how often, they are sent again.

use super::{Coordination, CoordinationError, SessionState};
use crate::config::RetryConfig;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the requests of a session are repeated, and how often that was necessary.
#[derive(Debug, Default)]
pub struct Retry {
    config: RetryConfig,
    interruptions: AtomicU64,
}

impl Retry {
    /// Repeats as configured.
    pub fn new(config: RetryConfig) -> Self {
        Retry {
            config,
            interruptions: AtomicU64::new(0),
        }
    }

    /// How many requests were cut short so far.
    pub fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::Relaxed)
    }
}

/// The attempts at one request. They are bounded while the session is connected: what fails again
/// and again then has another reason than an outage.
pub struct Attempts<'a> {
    session: &'a dyn Coordination,
    failed: usize,
}

impl<'a> Attempts<'a> {
    /// No attempt so far.
    pub fn of(session: &'a dyn Coordination) -> Self {
        Attempts { session, failed: 0 }
    }

    /// Waits until the request may be sent again. An answer of `Err` ends the attempts.
    pub async fn again(&mut self, cause: &str) -> Result<(), CoordinationError> {
        let retry = self.session.retry();
        retry.interruptions.fetch_add(1, Ordering::Relaxed);
        self.failed += 1;
        let attempt = self.failed;
        if attempt >= retry.config.attempts.get() {
            tracing::error!(
                attempt,
                cause,
                "a request is cut short every time; given up"
            );
            let cause = format!("{cause}; {attempt} times in a row");
            return Err(CoordinationError::Interrupted(cause));
        }
        match attempt {
            1 => tracing::debug!(cause, "a request was cut short; it is sent again"),
            often if often.is_power_of_two() => {
                tracing::warn!(attempt, cause, "a request was cut short again");
            }
            _ => {}
        }
        tokio::time::sleep(retry.config.pause_after(attempt)).await;
        connected(self.session).await
    }
}

/// Waits until requests are answered again, for at least a moment, so that what failed for another
/// reason is not tried in a tight loop.
pub async fn reconnected(session: &dyn Coordination) -> Result<(), CoordinationError> {
    tokio::time::sleep(session.retry().config.pause_min).await;
    connected(session).await
}

/// Waits until there is a connection, if there is none.
pub(crate) async fn connected(session: &dyn Coordination) -> Result<(), CoordinationError> {
    let mut state = session.state();
    loop {
        match *state.borrow_and_update() {
            SessionState::Connected => return Ok(()),
            SessionState::Expired => return Err(CoordinationError::Expired),
            SessionState::Disconnected => {}
        }
        if state.changed().await.is_err() {
            return Err(CoordinationError::Expired);
        }
    }
}

/// Repeats a read, or a write that may be repeated, while the connection is interrupted.
pub async fn patiently<T, F>(
    session: &dyn Coordination,
    mut request: impl FnMut() -> F,
) -> Result<T, CoordinationError>
where
    F: Future<Output = Result<T, CoordinationError>>,
{
    let mut attempts = Attempts::of(session);
    loop {
        match request().await {
            Err(CoordinationError::Interrupted(cause)) => attempts.again(&cause).await?,
            known => return known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::memory::MemoryServer;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_fails_for_ever_is_given_up_and_counted() {
        let server = MemoryServer::default();
        let session = server.connect();
        let start = Instant::now();
        let mut sent = 0;
        let answer: Result<(), _> = patiently(&session, || {
            sent += 1;
            async { Err(CoordinationError::Interrupted("strange".into())) }
        })
        .await;
        let config = RetryConfig::default();
        let attempts = config.attempts.get();
        let told = format!("strange; {attempts} times in a row");
        assert_eq!(answer, Err(CoordinationError::Interrupted(told)));
        assert_eq!(
            (sent, session.retry().interruptions()),
            (attempts, attempts as u64)
        );
        assert!(start.elapsed() < config.pause_max * attempts as u32);
        assert!(start.elapsed() > config.pause_max * (attempts as u32 / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_any_length_is_one_attempt() {
        let server = MemoryServer::default();
        let session = server.connect();
        server.interrupt();
        let mut attempts = Attempts::of(&session);
        let (again, ()) = tokio::join!(attempts.again("cut"), async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            server.restore();
        });
        assert_eq!((again, session.retry().interruptions()), (Ok(()), 1));
    }
}
