//! That an output which stands still has nothing repeated, although the others of its job go on.

use crate::flights::{config, joined, start};
use crate::jobs::*;
use onyx::Segment;
use onyx::api::JobOutcome;
use onyx::job::vocabulary::{PluginSignature, Signature};
use onyx::job::{Task, TaskKind};
use onyx::plugins::{Output, PluginError};
use onyx::testing::plugins::{Sink, SinkWriter, Source};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SEGMENTS: i64 = 600;
const TIMEOUT: Duration = Duration::from_millis(200);

/// So many batches pass before it closes.
const PASS: usize = 5;

/// An output that writes a few batches, and no more before a gate is opened.
struct Gated {
    gate: Arc<Mutex<Receiver<()>>>,
    writer: SinkWriter,
}

impl Output for Gated {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        // It is open once nobody holds the other end any more.
        let _ = self.gate.lock().unwrap().recv();
        self.writer.write(segments)
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        self.writer.seal()
    }
}

/// Two sinks, of which the first takes little before the gate is dropped.
fn gated(kept: &Sink, passed: &Sink) -> (Sender<()>, onyx::task::registry::Registry) {
    let source = Source::numbers(SEGMENTS).pausing(Duration::from_millis(10));
    let mut registry = registry(&source, passed);
    let (gate, waits) = channel();
    (0..PASS).for_each(|_| gate.send(()).unwrap());
    let (waits, kept) = (Arc::new(Mutex::new(waits)), kept.clone());
    let signature = PluginSignature {
        kind: TaskKind::Output,
        max_peers: None,
        signature: Signature::default(),
    };
    registry.plugins.output("gated", signature, move |context| {
        Ok(Gated {
            gate: waits.clone(),
            writer: kept.open(context.slot),
        })
    });
    for (name, rest) in [("even", 0), ("odd", 1)] {
        registry.functions.function(name, move |segment| {
            let is_mine = n(&segment) % 2 == rest;
            is_mine.then_some(segment)
        });
    }
    (gate, registry)
}

fn gated_job() -> onyx::job::Job {
    let read = Task {
        batch_size: count(2),
        pending_timeout_ms: count(TIMEOUT.as_millis() as u32),
        input_retry_timeout_ms: count(50),
        max_retries: count(1),
        ..input("in")
    };
    let write = Task {
        plugin: Some("gated".into()),
        ..output("kept")
    };
    job(
        "in>odd odd>kept in>even even>passed",
        [
            read,
            function("odd", "odd"),
            function("even", "even"),
            write,
            output("passed"),
        ],
    )
}

#[test]
fn what_stands_before_one_output_is_not_repeated_while_another_goes_on() {
    onyx::run(async {
        let (kept, passed) = (Sink::default(), Sink::default());
        let (gate, registry) = gated(&kept, &passed);
        let mut config = config();
        config.node.peers = NonZeroUsize::new(5).unwrap();
        let node = start(config, registry).await;
        let handle = node.handle();
        joined(handle, 5).await;
        let job = handle.submit_job(gated_job()).await.unwrap();
        let waits_for_long = async || {
            let measured = handle.measurements().await.unwrap();
            let mut tasks = measured.tasks.iter();
            tasks.any(|task| task.oldest_pending >= 8 * TIMEOUT)
        };
        while !waits_for_long().await {
            tokio::task::yield_now().await;
        }
        assert!(passed.segments().len() > kept.segments().len());
        assert!(!kept.segments().is_empty());
        drop(gate);
        let outcome = handle.await_job_completion(job).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        let halves = [&kept, &passed].map(|sink| sink.ints("n"));
        let odd = |n: &i64| n % 2 == 1;
        let (kept, passed): (Vec<i64>, Vec<i64>) = all(SEGMENTS).into_iter().partition(odd);
        assert_eq!(halves, [kept, passed]);
        let told = handle.job(job).await.unwrap();
        assert_eq!(
            (told.totals().retried, told.account_here.dead_lettered),
            (0, 0)
        );
        node.stop().await.unwrap();
    });
}
