//! One job with trouble in its middle: what it costs in time and in duplicates.

use crate::flights::{Difference, Flights};
use crate::stage::{CHECKPOINT, NODES, SESSION, Stage, pause};
use crate::trouble::{Happened, Trouble};
use onyx::clock::{Clock, Millis};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What a round has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) trouble: Trouble,
    /// How long after the trouble nothing was written, at the longest.
    pub(crate) stall: Duration,
    pub(crate) took: Duration,
    pub(crate) difference: Difference,
    /// How often peers of the job were lost: a machine that is busy may lose others too.
    pub(crate) losses: u64,
    /// The most lines that can have been under way, for each loss: what was written since the input's
    /// position was last saved, and what the input may have pending.
    pub(crate) in_flight: u64,
}

/// How many segments an input may have pending, by default, and in how many lines one can end.
const PENDING: u64 = 10_000 * 2;
const LINE_BYTES: u64 = 140;

/// Runs one job, and waits until the stage is whole again.
pub(crate) fn run(
    stage: &mut Stage,
    flights: &Flights,
    trouble: Trouble,
    number: u32,
    random: &mut StdRng,
) -> Round {
    let text = flights.job(number);
    let clock = Clock::start();
    let job = stage.node(random.random_range(0..NODES)).submit(&text);
    let share = random.random_range(0.05..0.6);
    let begins = (Flights::bytes_of(flights.rows) as f64 * share) as u64;
    let mut growth = Growth::default();
    while growth.bytes < begins {
        growth.saw(flights.written(), clock.now());
        pause(BETWEEN_LOOKS);
    }
    let happened = trouble.happen(stage, random);
    let under_way = growth.lately() / LINE_BYTES + PENDING;
    let (stall, losses) = completes(stage, flights, &job, happened, &clock, growth);
    let took = Duration::from_millis(clock.now().0);
    stage.is_whole();
    Round {
        trouble,
        stall,
        took,
        difference: flights.compare(),
        losses,
        in_flight: under_way * losses.max(1),
    }
}

/// Waits for the end of the job, puts right what has happened in time, and answers with the longest
/// time without a write, and with how often peers were lost.
fn completes(
    stage: &mut Stage,
    flights: &Flights,
    job: &str,
    happened: Happened,
    clock: &Clock,
    mut growth: Growth,
) -> (Duration, u64) {
    let begun = clock.now();
    let mut losses = BTreeSet::new();
    growth.forget_stalls(begun);
    let mut open = Some(happened);
    let mut completed = false;
    while !completed || open.is_some() {
        let now = clock.now();
        let since = Duration::from_millis(now.0 - begun.0);
        if open.take_if(|happened| since >= happened.lasts).is_some() {
            happened.put_right(stage);
        }
        if !completed {
            growth.saw(flights.written(), now);
            let report = stage.job(happened.witness(), job);
            assert_ne!(report["state"], "killed", "{report}");
            completed = report["state"] == "completed";
            losses.extend(stage.last_loss(happened.witness(), job));
        }
        pause(BETWEEN_LOOKS);
    }
    (growth.longest, losses.len() as u64)
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// How the outputs grow.
#[derive(Debug, Default)]
struct Growth {
    bytes: u64,
    last: Millis,
    longest: Duration,
    samples: VecDeque<(Millis, u64)>,
}

impl Growth {
    fn saw(&mut self, bytes: u64, now: Millis) {
        if bytes != self.bytes {
            let stall = Duration::from_millis(now.0 - self.last.0);
            self.longest = self.longest.max(stall);
            (self.bytes, self.last) = (bytes, now);
        }
        self.samples.push_back((now, bytes));
        let old =
            |sample: &mut (Millis, u64)| sample.0.0 + Self::LATELY.as_millis() as u64 <= now.0;
        while self.samples.pop_front_if(old).is_some() {}
    }

    /// A save may be under way, and fail for as long as the session lives.
    const LATELY: Duration = CHECKPOINT.saturating_mul(2).saturating_add(SESSION);

    /// How many bytes were written lately.
    fn lately(&self) -> u64 {
        let first = self.samples.front().map_or(0, |sample| sample.1);
        self.bytes.saturating_sub(first)
    }

    fn forget_stalls(&mut self, now: Millis) {
        self.longest = Duration::ZERO;
        self.last = now;
    }
}
