//! The pending set against a slow and obvious model, and case by case.

use super::*;
use crate::ids::IdSource;
use crate::segment::Segment;
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
    let number = |raw| crate::codec::read_field(raw, "n").unwrap().unwrap();
    encoded
        .iter()
        .map(|raw| number(raw).as_int().unwrap() as usize)
        .collect()
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
}

struct ModelSegment {
    root: u64,
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
            Step::Replay(max) => self.replay(pending.replay(*max, acker(1)), *max),
        }
        self.bury(pending);
    }

    fn complete(&mut self, root: u64, pending: &mut Pending<usize>) {
        let number = self.open().get(&root).copied();
        let completed = pending.complete(root, reach(root), self.now);
        assert_eq!(completed, number.is_some());
        let Some(number) = number else { return };
        self.segments[number].state = ModelState::Done;
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
        for segment in self.segments.iter_mut().filter(is_due) {
            expected.push(segment.root);
            match moves(segment.root) {
                true => segment.ask = Ask::At(now + ASK_AGAIN_MS),
                false if segment.attempt > RETRIES_MAX => last.push(segment.root),
                false => segment.state = ModelState::Waiting(Try::Another),
            }
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

    fn expect_burial(&mut self, number: usize) {
        self.segments[number].state = ModelState::Done;
        self.buried += 1;
    }

    fn bury(&self, pending: &mut Pending<usize>) {
        while let Some(condemned) = pending.next_condemned() {
            let number = crate::codec::read_field(&condemned.segment, "n").unwrap();
            let segment = &self.segments[number.unwrap().as_int().unwrap() as usize];
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
            segment.root = root;
            segment.ask = Ask::WhenTicked(self.now.0 / TICK_MS + BUCKETS);
            segment.state = ModelState::Open;
        }
    }

    fn check(&self, pending: &Pending<usize>) {
        let open = self.open();
        assert_eq!(pending.in_flight(), open.len());
        assert_eq!(pending.is_empty(), open.is_empty());
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
    let replay = pending.replay(10, acker(1)).unwrap();
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
    assert!(pending.replay(10, acker(1)).is_none());
    pending.expire(Millis(400));
    let replay = pending.replay(10, acker(2)).unwrap();
    assert_eq!((replay.before, replay.attempts), (vec![first + 1], vec![2]));
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
    let replay = pending.replay(10, acker(2)).unwrap();
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
    assert!(pending.replay(10, acker(1)).is_none());
    assert_eq!(pending.next_tick(), Some(Millis(100)));
    pending.expire(Millis(110));
    assert_eq!(pending.replay(10, acker(1)).unwrap().attempts, [1]);
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
        pending.expire(now);
        for roots in pending.take_inquiries().into_values() {
            pending.answered(Pace::Still, &roots, now);
        }
        if pending.replay(10, acker(1)).is_some() {
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
