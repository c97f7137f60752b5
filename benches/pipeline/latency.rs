//! How long a segment takes from the moment at which it is due to the sink, at a rate that is far below
//! what the pipeline could take. Most of that is waking one thread after the other, which takes as long
//! as the machine likes: so the floor goes at the same pace before.

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
use std::fmt;
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

    /// Waits until one more is due than were taken, like one that reads from a wire. How many are due
    /// then, of so many more at most.
    fn wait(&self, taken: u64, max: u64) -> u64 {
        let wait = self.due(taken).saturating_duration_since(now());
        #[expect(clippy::disallowed_methods, reason = "no virtual time runs here")]
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let now = now();
        let end = SEGMENTS.min(taken.saturating_add(max));
        let due = (taken..end).take_while(|&number| self.due(number) <= now);
        taken + due.count() as u64
    }

    fn note(&self, now: Instant, number: u64) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(now.saturating_duration_since(self.due(number)));
    }

    fn lateness(&self, cores: f64) -> Lateness {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted = std::mem::take(&mut *taken);
        let arrived = sorted.len() as u64;
        assert_eq!(arrived, SEGMENTS, "something was lost or repeated");
        sorted.drain(..(SECONDS_BEFORE * 10_000) as usize);
        sorted.sort_unstable();
        Lateness { sorted, cores }
    }
}

/// Runs the chain at that rate, through the floor and through the runtime, and tells the percentiles.
pub(crate) fn run() {
    println!("== latency: {SECONDS} s at 10,000 segments/s, in process");
    let pace = pace_alone();
    println!("the pace alone, on one thread: {pace:.2} cores");
    let floor = through_floor();
    println!("floor: {floor}");
    let runtime = through_runtime();
    println!("runtime: {runtime}");
    println!(
        "wanted: median {MEDIAN_MAX:.0?}, 99% {P99_MAX:.0?}, {CORES_MAX} cores; \
         ratios to the floor: median {:.2}, cores {:.2}",
        runtime.at(0.5).as_secs_f64() / floor.at(0.5).as_secs_f64(),
        runtime.cores / floor.cores
    );
}

/// How late the segments reached the sink, in order, and what it took.
struct Lateness {
    sorted: Vec<Duration>,
    cores: f64,
}

impl Lateness {
    fn at(&self, part: f64) -> Duration {
        self.sorted[((self.sorted.len() - 1) as f64 * part) as usize]
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part| self.at(part);
        write!(
            f,
            "median {:.0?}, 90% {:.0?}, 99% {:.0?}, 99.9% {:.0?}, {:.2} cores",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            self.cores
        )
    }
}

/// The cores that waiting for each segment takes, whoever does something with it.
fn pace_alone() -> f64 {
    let times = Times::default();
    let (start, cpu_before) = (now(), cpu_seconds("self"));
    let mut taken = 0;
    while taken < SEGMENTS / 3 {
        taken = times.wait(taken, u64::MAX);
    }
    (cpu_seconds("self") - cpu_before) / start.elapsed().as_secs_f64()
}

fn through_floor() -> Lateness {
    let times = Times::default();
    let (of_source, of_sink) = (times.clone(), times.clone());
    let due = move |taken| of_source.wait(taken, u64::MAX);
    let result = floor::run_with(Chain::standard(SEGMENTS), due, move |root| {
        of_sink.note(now(), root);
    });
    times.lateness(result.cpu_seconds / result.elapsed.as_secs_f64())
}

fn through_runtime() -> Lateness {
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
    times.lateness((cpu_seconds("self") - cpu_before) / elapsed.as_secs_f64())
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

/// Reads what is due, and waits for it.
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
        let end = self.times.wait(self.next, max as u64);
        for root in self.next..end {
            floor::fill(read.place(), &self.keys, root, floor::TEXT_MIN);
        }
        self.next = end;
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
        for segment in segments {
            let id = segment.get("id").and_then(Value::as_int).unwrap_or(0);
            self.0.note(now, id as u64);
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}
