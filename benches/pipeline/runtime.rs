//! The runtime: the same chain as a job on a whole node: embedded coordination, virtual peers, replica,
//! scheduler, pipelines, acking daemons and all.

use crate::chain::Chain;
use crate::cpu::cpu_seconds;
use crate::floor;
use onyx::api::{JobOutcome, NodeHandle};
use onyx::config::NodeConfig;
use onyx::job::Job;
use onyx::node::NodeBuilder;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// What a run gave.
pub(crate) struct RuntimeResult {
    /// From the submission of the job to its completion.
    pub(crate) elapsed: Duration,
    /// Of the whole process meanwhile.
    pub(crate) cpu_seconds: f64,
    /// Roots completed.
    pub(crate) completed: u64,
    /// Roots played again; 0 when nothing failed.
    pub(crate) retried: u64,
}

impl RuntimeResult {
    /// Segments in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs the segments of a chain through a node, and checks what came out.
pub(crate) fn run(chain: Chain) -> RuntimeResult {
    let sum = Arc::new(AtomicI64::new(0));
    let registry = chain.registry(&sum);
    let result = onyx::run(async move {
        let mut config = NodeConfig::default();
        config.node.peers = NonZeroUsize::new(chain.peers_needed()).expect("some");
        let builder = NodeBuilder::new(config).registry(registry).without_http();
        let node = builder.start().await.expect("a node");
        let result = complete(node.handle(), chain.job(&[])).await;
        node.stop().await.expect("a clean stop");
        result
    });
    check(chain, sum.load(Ordering::Relaxed), &result);
    result
}

/// Submits a job and waits for its end.
pub(crate) async fn complete(node: &NodeHandle, job: Job) -> RuntimeResult {
    let cpu_before = cpu_seconds("self");
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let start = Instant::now();
    let id = node.submit_job(job).await.expect("a valid job");
    let outcome = node.await_job_completion(id).await.expect("an outcome");
    let elapsed = start.elapsed();
    assert_eq!(outcome, JobOutcome::Completed);
    let totals = node.job(id).await.expect("a report").totals();
    RuntimeResult {
        elapsed,
        cpu_seconds: cpu_seconds("self") - cpu_before,
        completed: totals.completed,
        retried: totals.retried,
    }
}

/// Everything must have arrived, and once.
pub(crate) fn check(chain: Chain, sum: i64, result: &RuntimeResult) {
    assert_eq!(result.completed, chain.segments, "not every root completed");
    assert_eq!(
        sum,
        floor::expected_checksum(chain),
        "{} retried",
        result.retried
    );
}
