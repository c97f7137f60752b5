//! The pending set against a slow and obvious model, and case by case.

use super::overdue::{ASK_AGAIN, SILENCES_MAX};
use super::*;
use crate::codec::Decoder;
use crate::ids::IdSource;
use crate::segment::{Segment, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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

/// Who works on the job besides the acker of all roots.
fn worker() -> PeerId {
    acker(9)
}

/// What is asked now, by number; everybody is asked everything.
fn questions(pending: &mut Pending<usize>, now: Millis) -> Vec<(u64, Vec<u64>)> {
    let questions = pending.take_questions(&BTreeSet::from([worker()]), now);
    let told = questions.into_iter().map(|question| {
        assert_eq!(question.of, BTreeSet::from([acker(1), worker()]));
        (question.number, question.roots)
    });
    told.collect()
}

/// Everybody answers at once what is asked now, and nobody knows anything.
fn nobody_knows(pending: &mut Pending<usize>, now: Millis) {
    for (number, _) in questions(pending, now) {
        pending.answered(number, acker(1), &[], now);
        pending.answered(number, worker(), &[], now);
    }
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
    Expire(u64, Answers),
    Replay(usize),
}

/// Who answers what is asked.
#[derive(Clone, Copy, Debug)]
enum Answers {
    OfAll,
    OfOne,
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
        3 => (0..400_u64).prop_map(|ms| Step::Expire(ms, Answers::OfAll)),
        3 => (0..400_u64).prop_map(|ms| Step::Expire(ms, Answers::OfOne)),
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
    silences: u32,
    misses: u32,
    attempt: u32,
    state: ModelState,
    end: Option<End>,
}

/// When it is asked about.
enum Ask {
    WhenTicked(u64),
    At(u64),
    /// It is, and not everybody answers before then.
    Until(u64),
}

#[derive(Clone, Copy, PartialEq)]
enum ModelState {
    Open,
    Waiting(Try),
    Done,
}

/// Somebody knows every third root as long as it is open.
fn is_alive(root: u64) -> bool {
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
                silences: 0,
                misses: 0,
                attempt: 1,
                state: ModelState::Open,
                end: None,
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
            Step::Expire(ms, answers) => self.expire(*ms, *answers, pending),
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
        match reach(root) {
            Reach::Written => {
                self.written += 1;
                segment.end = Some(End::Written);
            }
            Reach::Inside => {
                self.filtered += 1;
                segment.end = Some(End::Filtered);
            }
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

    /// Time passes. Who answers does so at once.
    fn expire(&mut self, ms: u64, answers: Answers, pending: &mut Pending<usize>) {
        self.now = Millis(self.now.0 + ms);
        pending.expire(self.now);
        let (now, ticks) = (self.now.0, self.now.0 / TICK_MS);
        let mut expected = BTreeSet::new();
        for segment in &mut self.segments {
            if segment.state != ModelState::Open {
                continue;
            }
            match segment.ask {
                Ask::WhenTicked(at) if ticks >= at => _ = expected.insert(segment.root),
                Ask::At(at) if now >= at => _ = expected.insert(segment.root),
                Ask::Until(at) if now >= at => {
                    segment.silences += 1;
                    if segment.silences == SILENCES_MAX {
                        segment.state = ModelState::Waiting(Try::TheSame);
                    } else {
                        expected.insert(segment.root);
                    }
                }
                _ => {}
            }
        }
        let questions = questions(pending, self.now);
        let asked = questions
            .iter()
            .flat_map(|(_, roots)| roots.iter().copied());
        assert_eq!(asked.collect::<BTreeSet<u64>>(), expected);
        for (number, roots) in questions {
            let alive: Vec<u64> = roots.iter().copied().filter(|it| is_alive(*it)).collect();
            pending.answered(number, worker(), &alive, self.now);
            // An answer that comes twice means nothing.
            pending.answered(number, worker(), &roots, self.now);
            if let Answers::OfAll = answers {
                pending.answered(number, acker(1), &[], self.now);
            }
        }
        let mut lost = Vec::new();
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if segment.state != ModelState::Open || !expected.contains(&segment.root) {
                continue;
            }
            match (is_alive(segment.root), answers) {
                (true, _) => {
                    segment.ask = Ask::At(now + ASK_AGAIN_MS);
                    (segment.silences, segment.misses) = (0, 0);
                }
                (false, Answers::OfAll) if segment.misses == 0 => {
                    segment.ask = Ask::At(now + TICK_MS);
                    (segment.silences, segment.misses) = (0, 1);
                }
                (false, Answers::OfAll) => lost.push(number),
                (false, Answers::OfOne) => segment.ask = Ask::Until(now + ASK_AGAIN_MS),
            }
        }
        lost.into_iter().for_each(|number| self.lose(number));
    }

    fn lose(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        if segment.attempt > RETRIES_MAX {
            self.expect_burial(number);
        } else {
            segment.state = ModelState::Waiting(Try::Another);
        }
    }

    fn expect_burial(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        (segment.state, segment.end) = (ModelState::Done, Some(End::DeadLettered));
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
            (segment.root, segment.silences, segment.misses) = (root, 0, 0);
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
        let Ends {
            written,
            filtered,
            dead_lettered,
        } = counters.ends;
        let ends = (written, filtered, dead_lettered);
        assert_eq!(ends, (self.written, self.filtered, self.buried));
        let ended = written + filtered + dead_lettered;
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
        let before = complete.checked_sub(1).map_or(0, |last| self.reads[last].0);
        let mut settled = Settled {
            read: before as u64,
            ends: Ends::default(),
        };
        let ends = self.segments[..before].iter().filter_map(|it| it.end);
        ends.for_each(|end| settled.ends.count(end));
        assert_eq!(pending.settled(), settled);
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
fn a_peer_that_does_not_answer_is_asked_again_and_given_up_after_a_time_out() {
    let mut pending = pending();
    let first = pending.add(segments(0..2), 1, acker(1), Millis(0));
    let (mut now, mut asked) = (BUCKETS * TICK_MS, Vec::new());
    let mut late = 0;
    let replay = loop {
        pending.expire(Millis(now));
        for (number, roots) in questions(&mut pending, Millis(now)) {
            asked.push((now, roots));
            pending.answered(number, worker(), &[], Millis(now));
            late = number;
        }
        done(&mut pending, first);
        if let Some(replay) = pending.replay(10, acker(2), Millis(now)) {
            break replay;
        }
        now += 1;
    };
    let rounds = [375, 450, 525].map(|at| (at, vec![first + 1]));
    assert_eq!((asked[0].0, asked[0].1.len()), (300, 2));
    assert_eq!((&asked[1..], now), (&rounds[..], 600));
    // Nobody has said that it is lost.
    assert_eq!((replay.before, replay.attempts), (vec![first + 1], vec![1]));
    pending.answered(late, acker(1), &[first + 1], Millis(now));
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
    // It is alone: nothing that others do tells that it is lost.
    pending.add(segments(0..1), 1, acker(1), Millis(0));
    let mut sent_at = vec![0];
    let condemned = (1..).find_map(|ms| {
        let now = Millis(ms);
        pending.expire(now);
        nobody_knows(&mut pending, now);
        if pending.replay(10, acker(1), now).is_some() {
            sent_at.push(ms);
        }
        pending.next_condemned()
    });
    let condemned = condemned.unwrap();
    assert_eq!(condemned.attempts, 7);
    assert!(condemned.reason.contains("no peer has it"), "{condemned:?}");
    let waits: Vec<u64> = sent_at.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(waits.len(), 6);
    let longest = [0, 1_000, 2_000, 4_000, 4_000, 4_000];
    for (wait, longest) in waits.iter().zip(longest) {
        let timeout = 300..=500;
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

#[test]
fn what_an_output_keeps_waiting_is_never_sent_again_although_others_go_on() {
    let mut pending = pending();
    let kept = pending.add(segments(0..50), 1, acker(1), Millis(0));
    let kept: Vec<u64> = (kept..kept + 50).collect();
    for ms in 1..100 * BUCKETS * TICK_MS {
        let now = Millis(ms);
        // Another output has no such trouble.
        let other = pending.add(segments(50..51), 2, acker(1), now);
        pending.complete(other, Reach::Written, now);
        pending.expire(now);
        for (number, _) in questions(&mut pending, now) {
            pending.answered(number, acker(1), &[], now);
            pending.answered(number, worker(), &kept, now);
        }
        assert!(!pending.has_waiting());
    }
    for root in kept {
        assert!(done(&mut pending, root));
    }
    assert_eq!(pending.counters().timed_out, 0);
}

#[test]
fn many_roots_are_asked_about_in_parts_of_a_bounded_size() {
    let mut pending = Pending::new(
        PendingRules {
            pending_max: 5_000,
            ..rules()
        },
        Millis(0),
    );
    let first = pending.add(segments(0..2_500), 1, acker(1), Millis(0));
    pending.expire(Millis(300));
    let asked = questions(&mut pending, Millis(300));
    let lengths: Vec<usize> = asked.iter().map(|(_, roots)| roots.len()).collect();
    assert_eq!(lengths, [512, 512, 512, 512, 452]);
    // Each part has its own answers.
    let (number, roots) = &asked[1];
    pending.answered(*number, acker(1), &[], Millis(301));
    pending.answered(*number, worker(), &roots[1..], Millis(301));
    pending.expire(Millis(301 + 75));
    let again = questions(&mut pending, Millis(301 + 75));
    assert!(again.iter().any(|(_, asked)| asked[..] == roots[1..]));
    // What nobody knew may have been on its way.
    assert!(!pending.has_waiting());
    pending.expire(Millis(301 + 100));
    let again = questions(&mut pending, Millis(301 + 100));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].1, [first + 512]);
    pending.answered(again[0].0, acker(1), &[], Millis(402));
    pending.answered(again[0].0, worker(), &[], Millis(402));
    let replay = pending.replay(10, acker(1), Millis(402)).unwrap();
    assert_eq!(
        (replay.before, replay.attempts),
        (vec![first + 512], vec![2])
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
