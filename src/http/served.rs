//! What every endpoint has at hand: the node, whether it still takes jobs, and how long to wait.

use super::refusal::Refusal;
use super::seats::Seats;
use crate::api::{ApiError, NodeHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What every endpoint has at hand.
pub(super) struct Served {
    pub(super) node: NodeHandle,
    pub(super) gate: Gate,
    pub(super) seats: Seats,
    pub(super) max_body_bytes: usize,
}

/// Whether the node takes jobs. It closes once and for all; clones are one gate.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(super) fn close(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long the actors of this process may take to answer.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// How long an entry may take to the log and back.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// The answer of the node to a question, while somebody waits for it.
pub(super) async fn read<T>(
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(READ_LIMIT, answer).await {
        Ok(answer) => answer.map_err(Refusal::from),
        Err(_) => Err(Refusal::late(READ_LIMIT, "ask again")),
    }
}

/// The answer of the node to a wish. Nobody knows what became of one that is late.
pub(super) async fn write<T>(
    answer: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(WRITE_LIMIT, answer).await {
        Ok(answer) => answer.map_err(Refusal::from),
        Err(_) => Err(Refusal::late(
            WRITE_LIMIT,
            "it may still happen; look at GET /jobs",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_answers_is_given_up() {
        let refusal = read(pending::<Result<(), ApiError>>()).await.unwrap_err();
        assert_eq!(
            refusal.message(),
            "the node did not answer within 2 s; ask again"
        );
        let refusal = write(pending::<Result<(), ApiError>>()).await.unwrap_err();
        assert!(
            refusal
                .message()
                .ends_with("it may still happen; look at GET /jobs")
        );
    }
}
