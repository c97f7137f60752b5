//! The pending set against a slow and obvious model, and case by case.

use super::overdue::ASK_AGAIN;
use super::*;
use crate::acking::Pace;
use crate::codec::Decoder;
use crate::ids::IdSource;
use crate::segment::{Segment, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const TICK_MS: u64 = 100;
const BUCKETS: u64 = 3;
const ASK_AGAIN_MS: u64 = BUCKETS * TICK_MS / ASK_AGAIN as u64;
const RETRIES_MAX: u32 = 2;

fn rules() -> PendingRules {
    PendingRules {
        timeouts: Timeouts {
            pending: Duration::from_millis(BUCKETS * TICK_MS),
            tick: Duration::from_millis(TICK_MS),
        },
        retries: RetryRule {
            retries_max: RETRIES_MAX,
            first_wait: Duration::ZERO,
            longest_wait: Duration::ZERO,
            seed: 1,
        },
        pending_max: 1_000,
        bytes_max: usize::MAX,
        batch_size: 10,
    }
}

fn pending() -> Pending<usize> {
    Pending::new(rules(), Millis(0))
}

fn acker(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}

/// Segments that say their number.
fn segments(numbers: Range<usize>) -> Encoded {
    let mut builder = EncodedBuilder::default();
    for number in numbers {
        let segment: Segment = [("n", number as i64)].into_iter().collect();
        builder.push(&segment).unwrap();
    }
    builder.finish()
}

fn numbers(encoded: &Encoded) -> Vec<usize> {
    encoded.iter().map(number).collect()
}

fn number(raw: &[u8]) -> usize {
    let segment = Decoder::default().decode(raw).unwrap();
    segment.get("n").and_then(Value::as_int).unwrap() as usize
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Complete(prop::sample::Index, usize),
    CompleteAny(u64),
    GiveBack(prop::sample::Index, Cause),
    RetryAll,
    Expire(u64),
    Replay(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let cause = prop_oneof![
        Just(Cause::Asked),
        Just(Cause::GivenBack),
        Just(Cause::Failed)
    ];
    prop_oneof![
        4 => (0..150_usize).prop_map(Step::Add),
        10 => (any::<prop::sample::Index>(), 1..60_usize)
            .prop_map(|(first, count)| Step::Complete(first, count)),
        1 => (0..500_u64).prop_map(Step::CompleteAny),
        3 => (any::<prop::sample::Index>(), cause)
            .prop_map(|(which, cause)| Step::GiveBack(which, cause)),
        1 => Just(Step::RetryAll),
        3 => (0..400_u64).prop_map(Step::Expire),
        4 => (0..200_usize).prop_map(Step::Replay),
    ]
}

/// The slow and obvious one: every segment on its own, for ever.
#[derive(Default)]
struct Model {
    segments: Vec<ModelSegment>,
    /// After how many segments each read ended, and when it was made.
    reads: Vec<(usize, Millis)>,
    now: Millis,
    written: u64,
    filtered: u64,
    buried: u64,
    /// When the complete root that was sent last was sent.
    newest_complete: Option<Millis>,
    next_probe: u64,
}

struct ModelSegment {
    root: u64,
    sent_at: Millis,
    /// It stood still with the rest, and was not seen to move since.
    stands: bool,
    ask: Ask,
    attempt: u32,
    state: ModelState,
}

/// When its acker is asked.
enum Ask {
    WhenTicked(u64),
    At(u64),
}

#[derive(Clone, Copy, PartialEq)]
enum ModelState {
    Open,
    Waiting(Try),
    Done,
}

/// Acks come for every third root as long as it is open.
fn moves(root: u64) -> bool {
    root.is_multiple_of(3)
}

/// Every fifth tree is filtered.
fn reach(root: u64) -> Reach {
    match root.is_multiple_of(5) {
        true => Reach::Inside,
        false => Reach::Written,
    }
}

impl Model {
    fn open(&self) -> BTreeMap<u64, usize> {
        let open = self.segments.iter().enumerate();
        open.filter(|(_, segment)| segment.state != ModelState::Done)
            .map(|(number, segment)| (segment.root, number))
            .collect()
    }

    fn add(&mut self, count: usize, pending: &mut Pending<usize>) {
        let first = self.segments.len();
        let position = self.reads.len();
        let encoded = segments(first..first + count);
        let root = pending.add(encoded, position, acker(1), self.now);
        self.reads.push((first + count, self.now));
        let ticks = self.now.0 / TICK_MS;
        self.segments
            .extend((root..).take(count).map(|root| ModelSegment {
                root,
                sent_at: self.now,
                stands: false,
                ask: Ask::WhenTicked(ticks + BUCKETS),
                attempt: 1,
                state: ModelState::Open,
            }));
    }

    fn step(&mut self, step: &Step, pending: &mut Pending<usize>) {
        let open: Vec<u64> = self.open().into_keys().collect();
        match step {
            Step::Add(count) => self.add(*count, pending),
            Step::Complete(first, count) => {
                let first = if open.is_empty() {
                    0
                } else {
                    first.index(open.len())
                };
                for &root in open.iter().skip(first).take(*count) {
                    self.complete(root, pending);
                }
            }
            Step::CompleteAny(root) => self.complete(*root, pending),
            Step::GiveBack(which, cause) if !open.is_empty() => {
                self.give_back(*which.get(&open), *cause, pending);
            }
            Step::GiveBack(..) => {}
            Step::RetryAll => {
                let under_way = self.segments.iter_mut();
                let marked = under_way
                    .filter(|segment| segment.state == ModelState::Open)
                    .map(|segment| segment.state = ModelState::Waiting(Try::TheSame));
                assert_eq!(pending.retry_all(), marked.count());
            }
            Step::Expire(ms) => self.expire(*ms, pending),
            Step::Replay(max) => self.replay(pending.replay(*max, acker(1), self.now), *max),
        }
        self.bury(pending);
    }

    fn complete(&mut self, root: u64, pending: &mut Pending<usize>) {
        let number = self.open().get(&root).copied();
        let completed = pending.complete(root, reach(root), self.now);
        assert_eq!(completed, number.is_some());
        let Some(number) = number else { return };
        let segment = &mut self.segments[number];
        segment.state = ModelState::Done;
        self.newest_complete = self.newest_complete.max(Some(segment.sent_at));
        match reach(root) {
            Reach::Written => self.written += 1,
            Reach::Inside => self.filtered += 1,
        }
    }

    fn give_back(&mut self, root: u64, cause: Cause, pending: &mut Pending<usize>) {
        assert!(pending.give_back(root, cause, "given back", self.now));
        let number = self.open()[&root];
        let segment = &mut self.segments[number];
        let is_last = segment.attempt > RETRIES_MAX;
        match (cause, segment.state) {
            (Cause::Failed, _) => self.expect_burial(number),
            (Cause::Asked, _) if is_last => self.expect_burial(number),
            (Cause::Asked, ModelState::Open) => segment.state = ModelState::Waiting(Try::Another),
            (_, ModelState::Open) => segment.state = ModelState::Waiting(Try::TheSame),
            _ => {}
        }
    }

    /// Time passes, acks come for some roots, and the acker answers at once.
    fn expire(&mut self, ms: u64, pending: &mut Pending<usize>) {
        self.now = Millis(self.now.0 + ms);
        pending.expire(self.now);
        let asked = pending.take_inquiries().remove(&acker(1));
        let mut asked = asked.unwrap_or_default();
        asked.sort_unstable();
        let (now, ticks) = (self.now.0, self.now.0 / TICK_MS);
        let is_due = |segment: &&mut ModelSegment| {
            segment.state == ModelState::Open
                && match segment.ask {
                    Ask::WhenTicked(at) => ticks >= at,
                    Ask::At(at) => now >= at,
                }
        };
        let mut expected = Vec::new();
        let mut last = Vec::new();
        let (mut moving, mut still) = (Vec::new(), Vec::new());
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if is_due(&segment) {
                expected.push(segment.root);
                match moves(segment.root) {
                    true => moving.push(number),
                    false => still.push(number),
                }
            }
        }
        for number in moving {
            let segment = &mut self.segments[number];
            (segment.ask, segment.stands) = (Ask::At(now + ASK_AGAIN_MS), false);
        }
        still.sort_unstable_by_key(|number| self.segments[*number].root);
        for number in still {
            last.extend(self.stands_still(number));
        }
        expected.sort_unstable();
        assert_eq!(asked, expected);
        let (moving, still): (Vec<u64>, Vec<u64>) = asked.iter().partition(|root| moves(**root));
        pending.answered(Pace::Moving, &moving, self.now);
        pending.answered(Pace::Still, &still, self.now);
        // An answer that comes twice means nothing.
        pending.answered(Pace::Still, &asked, self.now);
        let open = self.open();
        last.iter().for_each(|root| self.expect_burial(open[root]));
    }

    /// Answers with the root when it is not tried any more.
    fn stands_still(&mut self, number: usize) -> Option<u64> {
        let now = self.now.0;
        let segment = &mut self.segments[number];
        let late = Millis(segment.sent_at.0 + ASK_AGAIN_MS);
        if segment.state != ModelState::Open {
            return None;
        }
        if self.newest_complete >= Some(late) {
            segment.stands = false;
            if segment.attempt > RETRIES_MAX {
                return Some(segment.root);
            }
            segment.state = ModelState::Waiting(Try::Another);
            return None;
        }
        (segment.ask, segment.stands) = (Ask::At(now + ASK_AGAIN_MS), true);
        let standing = self.segments.iter_mut();
        let standing = standing.filter(|it| it.stands && it.state == ModelState::Open);
        if now >= self.next_probe
            && let Some(oldest) = standing.min_by_key(|it| it.root)
        {
            oldest.state = ModelState::Waiting(Try::TheSame);
            self.next_probe = now + BUCKETS * TICK_MS;
        }
        None
    }

    fn expect_burial(&mut self, number: usize) {
        self.segments[number].state = ModelState::Done;
        self.buried += 1;
    }

    fn bury(&self, pending: &mut Pending<usize>) {
        while let Some(condemned) = pending.next_condemned() {
            let segment = &self.segments[number(&condemned.segment)];
            assert!(segment.state == ModelState::Done && !condemned.reason.is_empty());
            assert_eq!(
                (segment.root, segment.attempt),
                (condemned.root, condemned.attempts)
            );
            pending.bury(condemned.root, self.now);
        }
    }

    fn replay(&mut self, replay: Option<Replay>, max: usize) {
        let is_waiting = |segment: &&ModelSegment| matches!(segment.state, ModelState::Waiting(_));
        let waiting = self.segments.iter().filter(is_waiting).count();
        let Some(replay) = replay else {
            assert_eq!(waiting.min(max), 0);
            return;
        };
        assert_eq!(replay.segments.len(), waiting.min(max));
        let numbers = numbers(&replay.segments);
        let tried = replay.attempts.iter().zip(&replay.before);
        for ((root, number), (attempt, before)) in (replay.first_root..).zip(numbers).zip(tried) {
            let segment = &mut self.segments[number];
            let ModelState::Waiting(what) = segment.state else {
                panic!("{number} was not to be replayed")
            };
            segment.attempt += u32::from(what == Try::Another);
            assert_eq!((segment.attempt, segment.root), (*attempt, *before));
            (segment.root, segment.sent_at, segment.stands) = (root, self.now, false);
            segment.ask = Ask::WhenTicked(self.now.0 / TICK_MS + BUCKETS);
            segment.state = ModelState::Open;
        }
    }

    fn check(&self, pending: &Pending<usize>) {
        let open = self.open();
        assert_eq!(pending.in_flight(), open.len());
        assert_eq!(pending.is_empty(), open.is_empty());
        let sent_done = pending.sent.iter().filter(|sent| sent.is_done()).count();
        let reads_done = pending.reads.iter().filter(|read| read.open == 0).count();
        assert_eq!(
            (pending.sent_done, pending.reads_done),
            (sent_done, reads_done)
        );
        let bytes: usize = open
            .values()
            .map(|at| segments(*at..at + 1).byte_len())
            .sum();
        assert!(bytes <= pending.bytes());
        assert!(!open.is_empty() || pending.bytes() == 0);
        let counters = pending.counters();
        let ends = (counters.written, counters.filtered, counters.dead_lettered);
        assert_eq!(ends, (self.written, self.filtered, self.buried));
        let ended = counters.written + counters.filtered + counters.dead_lettered;
        assert_eq!(counters.read, ended + pending.in_flight() as u64);
        let first_open = open.values().min().copied().unwrap_or(usize::MAX);
        let complete = self
            .reads
            .iter()
            .take_while(|(end, _)| *end <= first_open)
            .count();
        assert_eq!(
            pending.completed_position().copied(),
            complete.checked_sub(1)
        );
        let oldest = self.reads.get(complete).map(|(_, read_at)| *read_at);
        assert_eq!(pending.oldest(), oldest);
    }
}

proptest! {
    #[test]
    fn what_is_pending_is_what_the_obvious_model_says(steps in vec(any_step(), 1..60)) {
        let mut model = Model::default();
        let mut pending = pending();
        for step in &steps {
            model.step(step, &mut pending);
            model.check(&pending);
        }
        for root in model.open().into_keys() {
            model.complete(root, &mut pending);
        }
        prop_assert!(pending.is_empty() && pending.sent.is_empty() && pending.reads.is_empty());
        prop_assert_eq!(pending.completed_position().copied(), model.reads.len().checked_sub(1));
    }
}

fn done(pending: &mut Pending<usize>, root: u64) -> bool {
    pending.complete(root, Reach::Written, Millis(0))
}

#[test]
fn one_straggler_does_not_keep_all_that_was_read_after_it() {
    let mut pending = pending();
    let straggler = pending.add(segments(0..1), 0, acker(1), Millis(0));
    for read in 1..10_000 {
        let first = pending.add(segments(0..2), read, acker(1), Millis(0));
        assert!(done(&mut pending, first) && done(&mut pending, first + 1));
    }
    assert!(pending.sent.len() <= 2 * TIDY_MIN && pending.reads.len() <= 2 * TIDY_MIN);
    assert_eq!(pending.completed_position(), None);
    assert!(done(&mut pending, straggler));
    assert_eq!(pending.completed_position(), Some(&9_999));
    assert!(pending.sent.is_empty() && pending.reads.is_empty());
}

#[test]
fn the_old_root_of_a_replayed_segment_means_nothing() {
    let mut pending = pending();
    let first = pending.add(segments(0..2), 1, acker(1), Millis(0));
    assert!(pending.give_back(first + 1, Cause::GivenBack, "", Millis(0)));
    let replay = pending.replay(10, acker(1), Millis(0)).unwrap();
    assert_eq!(
        (numbers(&replay.segments), replay.attempts),
        (vec![1], vec![1])
    );
    assert!(!done(&mut pending, first + 1));
    assert!(done(&mut pending, first));
    assert_eq!(pending.completed_position(), None);
    assert!(done(&mut pending, replay.first_root));
    assert_eq!(pending.completed_position(), Some(&1));
    assert_eq!(pending.counters().unknown, 1);
}

#[test]
fn an_acker_that_does_not_answer_is_taken_for_gone() {
    let mut pending = pending();
    let first = pending.add(segments(0..2), 1, acker(1), Millis(0));
    pending.expire(Millis(300));
    let asked = pending.take_inquiries();
    assert_eq!(asked[&acker(1)], [first, first + 1]);
    assert!(done(&mut pending, first));
    pending.expire(Millis(399));
    assert!(pending.replay(10, acker(1), Millis(399)).is_none());
    pending.expire(Millis(400));
    let replay = pending.replay(10, acker(2), Millis(400)).unwrap();
    assert_eq!((replay.before, replay.attempts), (vec![first + 1], vec![1]));
    // Too late.
    pending.answered(Pace::Moving, &[first + 1], Millis(401));
    assert_eq!(pending.counters().timed_out, 1);
}

#[test]
fn what_an_acker_kept_is_played_again_when_it_is_gone() {
    let mut pending = pending();
    let first = pending.add(segments(0..3), 1, acker(1), Millis(0));
    pending.add(segments(3..5), 2, acker(2), Millis(0));
    pending.add(segments(5..6), 3, acker(1), Millis(0));
    assert!(done(&mut pending, first));
    assert_eq!(
        (pending.retry_of(acker(1)), pending.retry_of(acker(1))),
        (3, 0)
    );
    let replay = pending.replay(10, acker(2), Millis(0)).unwrap();
    assert_eq!(
        (numbers(&replay.segments), replay.attempts),
        (vec![1, 2, 5], vec![1; 3])
    );
    assert_eq!(pending.retry_of(acker(2)), 5);
}

#[test]
fn roots_whose_acks_got_lost_are_played_again_soon_and_not_at_once() {
    let mut pending = pending();
    let first = pending.add(segments(0..1), 1, acker(1), Millis(0));
    assert!(pending.give_back(first, Cause::Unacked, "", Millis(10)));
    assert!(pending.replay(10, acker(1), Millis(10)).is_none());
    assert_eq!(pending.next_tick(), Some(Millis(100)));
    assert!(!pending.has_waiting());
    pending.expire(Millis(110));
    assert!(pending.has_waiting());
    assert_eq!(
        pending.replay(10, acker(1), Millis(110)).unwrap().attempts,
        [1]
    );
    assert!(!pending.has_waiting());
}

#[test]
fn tries_that_stand_still_follow_each_other_ever_more_slowly_and_end() {
    let mut rules = rules();
    rules.retries.retries_max = 6;
    rules.retries.first_wait = Duration::from_secs(1);
    rules.retries.longest_wait = Duration::from_secs(4);
    let mut pending = Pending::new(rules, Millis(0));
    pending.add(segments(0..1), 1, acker(1), Millis(0));
    let mut sent_at = vec![0];
    let condemned = (1..).find_map(|ms| {
        let now = Millis(ms);
        // What is read later goes on.
        let other = pending.add(segments(1..2), 2, acker(1), now);
        pending.complete(other, Reach::Written, now);
        pending.expire(now);
        for roots in pending.take_inquiries().into_values() {
            pending.answered(Pace::Still, &roots, now);
        }
        if pending.replay(10, acker(1), now).is_some() {
            sent_at.push(ms);
        }
        pending.next_condemned()
    });
    assert_eq!(condemned.unwrap().attempts, 7);
    let waits: Vec<u64> = sent_at.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(waits.len(), 6);
    let longest = [0, 1_000, 2_000, 4_000, 4_000, 4_000];
    for (wait, longest) in waits.iter().zip(longest) {
        let timeout = 200..=400;
        let least = timeout.start() + longest / 2;
        assert!(
            (least..=timeout.end() + longest).contains(wait),
            "{waits:?}"
        );
    }
}

#[test]
fn what_functions_give_back_again_and_again_waits_ever_longer_and_ends() {
    let mut rules = rules();
    rules.retries.retries_max = 4;
    rules.retries.first_wait = Duration::from_millis(20);
    rules.retries.longest_wait = Duration::from_millis(50);
    let mut pending = Pending::new(rules, Millis(0));
    let mut root = pending.add(segments(0..1), 1, acker(1), Millis(0));
    let (mut waits, mut given_back) = (Vec::new(), 0);
    assert!(pending.give_back(root, Cause::Asked, "not now", Millis(0)));
    let condemned = (0..).find_map(|ms| {
        let now = Millis(ms);
        pending.expire(now);
        if let Some(replay) = pending.replay(10, acker(1), now) {
            waits.push(ms - given_back);
            (root, given_back) = (replay.first_root, ms);
            assert!(pending.give_back(root, Cause::Asked, "not now", now));
        }
        pending.next_condemned()
    });
    let condemned = condemned.unwrap();
    assert_eq!(
        (condemned.attempts, condemned.reason.as_str()),
        (5, "not now")
    );
    assert_eq!((waits.len(), waits[0]), (4, 0));
    let bounds = [10..=20, 20..=40, 25..=50];
    let kept = waits[1..]
        .iter()
        .zip(bounds)
        .all(|(wait, bounds)| bounds.contains(wait));
    assert!(kept, "{waits:?}");
    assert_eq!(pending.counters().timed_out, 0);
}

/// A pending set whose acker answers that nothing moves, one millisecond after the other. Tells how
/// many segments were sent again in each of some time-outs.
struct Stalled {
    pending: Pending<usize>,
    now: u64,
}

impl Stalled {
    fn for_ms(&mut self, ms: u64) -> Vec<Replay> {
        let until = self.now + ms;
        let mut replays = Vec::new();
        while self.now < until {
            self.now += 1;
            let now = Millis(self.now);
            self.pending.expire(now);
            for roots in self.pending.take_inquiries().into_values() {
                self.pending.answered(Pace::Still, &roots, now);
            }
            assert_eq!(self.pending.next_condemned(), None);
            replays.extend(self.pending.replay(1_000, acker(1), now));
        }
        replays
    }
}

#[test]
fn when_everything_stands_still_one_root_is_sent_again_in_a_time_out_and_that_is_no_try() {
    let mut pending = pending();
    pending.add(segments(0..50), 1, acker(1), Millis(0));
    let mut stalled = Stalled { pending, now: 0 };
    let replays = stalled.for_ms(100 * BUCKETS * TICK_MS);
    assert!((75..=100).contains(&replays.len()), "{}", replays.len());
    assert!(replays.iter().all(|replay| replay.attempts == [1]));
    let mut tried: Vec<usize> = replays
        .iter()
        .flat_map(|it| numbers(&it.segments))
        .collect();
    assert_eq!(
        tried[..51],
        (0..50).chain([0]).collect::<Vec<_>>(),
        "each has its turn"
    );
    tried.truncate(50);
    // The output goes on, in order.
    let Stalled { mut pending, now } = stalled;
    let open = pending.under_way(0..pending.next_root());
    assert_eq!(open.len(), 50);
    open.iter().for_each(|root| {
        pending.expire(Millis(now));
        assert!(pending.complete(*root, Reach::Written, Millis(now)));
    });
    let counters = pending.counters();
    assert_eq!((counters.written, counters.dead_lettered), (50, 0));
}

#[test]
fn what_is_really_lost_is_sent_again_as_soon_as_a_probe_comes_through() {
    let mut pending = pending();
    pending.add(segments(0..50), 1, acker(1), Millis(0));
    let mut lost = Stalled { pending, now: 0 };
    let timeout = BUCKETS * TICK_MS;
    let probes = lost.for_ms(timeout);
    assert_eq!((probes.len(), probes[0].attempts.len()), (1, 1));
    let probe = probes[0].first_root;
    assert!(
        lost.pending
            .complete(probe, Reach::Written, Millis(lost.now))
    );
    let replays = lost.for_ms(timeout / ASK_AGAIN as u64 + 1);
    let again: usize = replays.iter().map(|replay| replay.attempts.len()).sum();
    assert_eq!(again, 49);
    assert!(
        replays
            .iter()
            .flat_map(|it| &it.attempts)
            .all(|attempt| *attempt == 2)
    );
}

#[test]
fn no_more_is_read_than_may_be_kept_in_bytes() {
    let each = segments(0..1).byte_len();
    let rules = PendingRules {
        bytes_max: 10 * each,
        ..rules()
    };
    let mut pending = Pending::new(rules, Millis(0));
    pending.add(segments(0..4), 0, acker(1), Millis(0));
    assert_eq!((pending.bytes(), pending.room()), (4 * each, 6));
    pending.add(segments(4..10), 1, acker(1), Millis(0));
    assert_eq!(pending.room(), 0);
    // Segments are kept together: what was read last is all complete.
    for root in 2..=10 {
        pending.complete(root, Reach::Written, Millis(0));
    }
    assert_eq!((pending.bytes(), pending.room()), (4 * each, 6));
    pending.complete(1, Reach::Written, Millis(0));
    assert_eq!((pending.bytes(), pending.room()), (0, 10));
}
