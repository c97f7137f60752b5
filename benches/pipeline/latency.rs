//! How long a segment takes from the moment at which it is due to the sink, at a rate that is far below
//! what the pipeline could take.

use crate::chain::{self, Chain};
use crate::cpu::cpu_seconds;
use crate::floor;
use onyx::Segment;
use onyx::Value;
use onyx::config::NodeConfig;
use onyx::job::TaskKind;
use onyx::node::NodeBuilder;
use onyx::plugins::{Input, Output, PluginError, Polled, Position, ReadSegments};
use onyx::segment::Key;
use onyx::task::registry::Registry;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// One segment in so long is due.
const PACE: Duration = Duration::from_micros(100);
const SECONDS: u64 = 15;
/// What is not counted, while threads and caches settle.
const SECONDS_BEFORE: u64 = 3;
const SEGMENTS: u64 = SECONDS * 10_000;

const MEDIAN_MAX: Duration = Duration::from_micros(200);
const P99_MAX: Duration = Duration::from_millis(3);
const CORES_MAX: f64 = 0.5;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// When the first segment was due, and how late each reached the sink.
#[derive(Clone, Default)]
struct Times {
    start: Arc<OnceLock<Instant>>,
    taken: Arc<Mutex<Vec<Duration>>>,
}

impl Times {
    fn due(&self, number: u64) -> Instant {
        *self.start.get_or_init(now) + PACE * number as u32
    }
}

/// Runs the chain at that rate and tells the percentiles.
pub(crate) fn run() {
    println!("== latency: {SECONDS} s at 10,000 segments/s, in process");
    let times = Times::default();
    let registry = registry(&times);
    let cpu_before = cpu_seconds("self");
    let elapsed = onyx::run(async move {
        let mut config = NodeConfig::default();
        config.node.peers = NonZeroUsize::new(4).expect("four");
        let builder = NodeBuilder::new(config).registry(registry).without_http();
        let node = builder.start().await.expect("a node");
        let start = now();
        let job = Chain::standard(SEGMENTS).job(&[]);
        let job = node.handle().submit_job(job).await.expect("a valid job");
        let outcome = node.handle().await_job_completion(job).await;
        outcome.expect("an outcome");
        let elapsed = start.elapsed();
        node.stop().await.expect("a clean stop");
        elapsed
    });
    let cores = (cpu_seconds("self") - cpu_before) / elapsed.as_secs_f64();
    let mut taken = times.taken.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        taken.len() as u64,
        SEGMENTS,
        "something was lost or repeated"
    );
    taken.drain(..(SECONDS_BEFORE * 10_000) as usize);
    taken.sort_unstable();
    let at = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize];
    let (median, p99) = (at(0.5), at(0.99));
    println!(
        "median {median:.0?} ({MEDIAN_MAX:.0?} wanted), 90% {:.0?}, 99% {p99:.0?} ({P99_MAX:.0?} wanted), \
         99.9% {:.0?}, {cores:.2} cores ({CORES_MAX} wanted)",
        at(0.9),
        at(0.999)
    );
}

fn registry(times: &Times) -> Registry {
    let mut registry = Registry::with_built_in();
    let of_source = times.clone();
    let plugins = &mut registry.plugins;
    plugins.input(
        "bench/source",
        chain::signature(TaskKind::Input),
        move |_| {
            Ok(Paced {
                next: 0,
                keys: floor::keys(),
                times: of_source.clone(),
            })
        },
    );
    let of_sink = times.clone();
    plugins.output(
        "bench/sink",
        chain::signature(TaskKind::Output),
        move |_| Ok(Stopwatch(of_sink.clone())),
    );
    chain::add_map(&mut registry);
    registry
}

/// Reads what is due, and waits for it like one that reads from a wire.
struct Paced {
    next: u64,
    keys: [Key; 3],
    times: Times,
}

impl Input for Paced {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        if self.next == SEGMENTS {
            return Ok(Polled::Exhausted);
        }
        let wait = self.times.due(self.next).saturating_duration_since(now());
        #[expect(clippy::disallowed_methods, reason = "no virtual time runs here")]
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let now = now();
        let end = SEGMENTS.min(self.next + max as u64);
        while self.next < end && self.times.due(self.next) <= now {
            floor::fill(read.place(), &self.keys, self.next, floor::TEXT_MIN);
            self.next += 1;
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        [("next", self.next as i64)].into_iter().collect()
    }
}

struct Stopwatch(Times);

impl Output for Stopwatch {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        let now = now();
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for segment in segments {
            let id = segment.get("id").and_then(Value::as_int).unwrap_or(0);
            taken.push(now.saturating_duration_since(self.0.due(id as u64)));
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}
