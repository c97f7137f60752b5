//! One job with trouble in its middle: what it costs in time and in duplicates.

use crate::flights::{Difference, Flights};
use crate::process::pause;
use crate::stage::{CHECKPOINT, NODES, Stage};
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
    /// How long after the trouble its peers were known to be lost, if they served the job.
    pub(crate) noticed: Option<Duration>,
    /// How long after the last line was written the job was complete.
    pub(crate) end: Duration,
    pub(crate) took: Duration,
    pub(crate) difference: Difference,
    /// How often peers of the job were lost: a machine that is busy may lose others too.
    pub(crate) losses: u64,
    /// The most lines that can have been under way, for each loss: what was written since the input's
    /// position was last saved, and what the input may have pending.
    pub(crate) in_flight: u64,
    /// What the account of the job says of segments that are nowhere.
    pub(crate) unaccounted: i64,
    /// How many rows that account does not count, or counts twice.
    pub(crate) uncounted: i64,
}

impl Round {
    /// How long it took until everything went on.
    pub(crate) fn recovery(&self) -> Duration {
        let noticed = self.noticed.unwrap_or_default();
        self.stall.max(self.end).max(noticed)
    }
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
    let before = growth.lately(CHECKPOINT * SAVES);
    let course = completes(stage, flights, &job, happened, &clock, growth);
    let took = Duration::from_millis(clock.now().0);
    stage.is_whole();
    let losses = course.losses.len() as u64;
    let written = match trouble.hinders_saves() {
        true => before + course.before_noticed,
        false => before,
    };
    let under_way = written / LINE_BYTES + PENDING;
    Round {
        trouble,
        stall: course.stall,
        noticed: course.noticed,
        end: course.end,
        took,
        difference: flights.compare(),
        losses,
        in_flight: under_way * losses.max(1),
        unaccounted: course.unaccounted,
        uncounted: flights.rows as i64 - course.counted,
    }
}

/// What came since the last save, and what came since that began.
const SAVES: u32 = 2;

/// What was seen of a job from the trouble to its end.
#[derive(Default)]
struct Course {
    stall: Duration,
    noticed: Option<Duration>,
    end: Duration,
    /// How many bytes were written from the trouble until the first loss was noticed.
    before_noticed: u64,
    losses: BTreeSet<u64>,
    unaccounted: i64,
    counted: i64,
}

/// Waits for the end of the job, and puts right what has happened in time.
fn completes(
    stage: &mut Stage,
    flights: &Flights,
    job: &str,
    happened: Happened,
    clock: &Clock,
    mut growth: Growth,
) -> Course {
    let begun = clock.now();
    let mut course = Course::default();
    let written_before = growth.bytes;
    let before = stage.last_loss(happened.witness(), job);
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
            course.stall = growth.longest;
            let report = stage.job(happened.witness(), job);
            assert_ne!(report["state"], "killed", "{report}");
            completed = report["state"] == "completed";
            let lost = stage.last_loss(happened.witness(), job);
            if lost != before && course.losses.is_empty() {
                course.noticed = Some(since);
                course.before_noticed = growth.bytes - written_before;
            }
            course
                .losses
                .extend(lost.filter(|lost| Some(*lost) != before));
            if completed {
                course.end = Duration::from_millis(now.0 - growth.last.0);
                let told = |key: &str| report["account"][key].as_i64();
                course.unaccounted = told("unaccounted").expect("a job has an account");
                course.counted = told("in").expect("a job has an account");
            }
        }
        pause(BETWEEN_LOOKS);
    }
    course
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
        let kept = (CHECKPOINT * SAVES).as_millis() as u64;
        let old = |sample: &mut (Millis, u64)| sample.0.0 + kept <= now.0;
        while self.samples.pop_front_if(old).is_some() {}
    }

    /// How many bytes were written in this last time.
    fn lately(&self, time: Duration) -> u64 {
        let now = self.samples.back().map_or(0, |sample| sample.0.0);
        let since = now.saturating_sub(time.as_millis() as u64);
        let first = self.samples.iter().find(|sample| sample.0.0 >= since);
        self.bytes
            .saturating_sub(first.map_or(0, |sample| sample.1))
    }

    fn forget_stalls(&mut self, now: Millis) {
        self.longest = Duration::ZERO;
        self.last = now;
    }
}
