//! What an input task has read and not yet seen completed.
//!
//! A read is handed out as consecutive roots. A root that takes too long, or is given back, is
//! replayed as a new root, so that the acks of its old tree no longer mean anything. The position up
//! to which every read is complete, replays included, is where the input can start again.

use super::open_roots::{Attempt, OpenRoots, Reads};
use super::timeout_pool::{TimeoutPool, Timeouts};
use crate::clock::Millis;
use crate::codec::{Encoded, EncodedBuilder};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Nothing is tidied up before so many entries are done with.
const TIDY_MIN: usize = 64;
/// A replay of several segments takes at most so many bytes.
const REPLAY_BYTES_MAX: usize = 8 << 20;

/// The pending roots of one epoch of an input task. `P` is the input's own position.
#[derive(Debug)]
pub struct Pending<P> {
    next_root: u64,
    /// By root.
    sent: VecDeque<OpenRoots>,
    sent_done: usize,
    /// Where in `sent` the last completed root was: the next one is mostly near.
    hint: usize,
    /// By id.
    reads: VecDeque<Read<P>>,
    reads_done: usize,
    next_read: u64,
    completed: Option<P>,
    timeouts: TimeoutPool,
    /// Roots marked for replay; some may have completed since.
    waiting: VecDeque<u64>,
    in_flight: usize,
    counters: PendingCounters,
}

/// What was pending so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingCounters {
    /// Segments read.
    pub read: u64,
    /// Segments completed.
    pub completed: u64,
    /// Segments sent again.
    pub replayed: u64,
    /// Roots that pended for too long.
    pub timed_out: u64,
    /// Completions and retries of roots that are not open: completed before, or replayed since.
    pub unknown: u64,
}

/// Segments to be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The root of the first; the others follow.
    pub first_root: u64,
    /// The segments.
    pub segments: Encoded,
    /// The how-manieth time each of them is sent: 2 for the first replay.
    pub attempts: Vec<u32>,
}

#[derive(Debug)]
struct Read<P> {
    id: u64,
    position: P,
    read_at: Millis,
    /// One for the roots of the read itself while any is open, and one for each open replay.
    open: usize,
}

impl<P> Pending<P> {
    /// Nothing pending; roots begin at 1.
    pub fn new(timeouts: Timeouts, now: Millis) -> Self {
        Pending {
            next_root: 1,
            sent: VecDeque::new(),
            sent_done: 0,
            hint: 0,
            reads: VecDeque::new(),
            reads_done: 0,
            next_read: 0,
            completed: None,
            timeouts: TimeoutPool::new(timeouts, now),
            waiting: VecDeque::new(),
            in_flight: 0,
            counters: PendingCounters::default(),
        }
    }

    /// Segments were read, and `position` is behind them. Returns the root of the first; the others
    /// follow. A read without segments only moves the position.
    pub fn add(&mut self, segments: Encoded, position: P, now: Millis) -> u64 {
        let read = Read {
            id: self.next_read,
            position,
            read_at: now,
            open: usize::from(!segments.is_empty()),
        };
        self.next_read += 1;
        self.reads_done += usize::from(read.open == 0);
        self.in_flight += segments.len();
        self.counters.read += segments.len() as u64;
        let first_root = self.send(segments, Reads::First(read.id));
        self.reads.push_back(read);
        self.tidy();
        first_root
    }

    /// The tree of a root is complete. False when the root is not open, which is counted.
    #[inline]
    pub fn complete(&mut self, root: u64) -> bool {
        let Some(at) = self.find(root) else {
            self.counters.unknown += 1;
            return false;
        };
        let sent = &mut self.sent[at];
        if !sent.close(root) {
            self.counters.unknown += 1;
            return false;
        }
        self.in_flight -= 1;
        self.counters.completed += 1;
        let finished = match &sent.reads {
            Reads::First(read) if sent.is_done() => Some(*read),
            Reads::First(_) => None,
            Reads::Again(attempts) => Some(attempts[(root - sent.roots().start) as usize].read),
        };
        self.sent_done += usize::from(sent.is_done());
        if let Some(read) = finished {
            self.release(read);
            self.tidy();
        }
        true
    }

    /// Marks for replay what has pended for too long. Returns how many roots those are.
    pub fn expire(&mut self, now: Millis) -> usize {
        let due = self.timeouts.due(now);
        let expired = self.mark(due);
        self.counters.timed_out += expired as u64;
        expired
    }

    /// Marks one root for replay, as its tree asked for. False when the root is not open, which is
    /// counted.
    pub fn retry(&mut self, root: u64) -> bool {
        let is_open = self
            .find(root)
            .is_some_and(|at| self.sent[at].is_open(root));
        if is_open {
            self.mark(root..root + 1);
        } else {
            self.counters.unknown += 1;
        }
        is_open
    }

    /// Marks everything for replay: a peer is gone, and nobody knows which trees it took along.
    pub fn retry_all(&mut self) -> usize {
        self.mark(0..self.next_root)
    }

    /// Takes at most `max` of the segments marked for replay, as new roots. What is not taken now
    /// stays marked.
    pub fn replay(&mut self, max: usize) -> Option<Replay> {
        let mut segments = EncodedBuilder::default();
        let mut attempts = Vec::new();
        while attempts.len() < max
            && let Some(&root) = self.waiting.front()
        {
            let at = self.find(root);
            let found = at.and_then(|at| Some((at, self.sent[at].waiting(root)?)));
            let Some((at, (raw, attempt))) = found else {
                self.waiting.pop_front();
                continue;
            };
            let is_full =
                !segments.is_empty() && segments.byte_len() + raw.len() > REPLAY_BYTES_MAX;
            if is_full || segments.push_raw(raw).is_err() {
                break;
            }
            self.waiting.pop_front();
            self.move_to_replay(at, root, attempt.read);
            attempts.push(Attempt {
                read: attempt.read,
                attempt: attempt.attempt.saturating_add(1),
            });
        }
        if attempts.is_empty() {
            return None;
        }
        self.counters.replayed += attempts.len() as u64;
        let segments = segments.finish();
        let numbers = attempts.iter().map(|attempt| attempt.attempt).collect();
        let first_root = self.send(segments.clone(), Reads::Again(attempts));
        self.tidy();
        Some(Replay {
            first_root,
            segments,
            attempts: numbers,
        })
    }

    /// The root that the next segment to be read will have.
    pub fn next_root(&self) -> u64 {
        self.next_root
    }

    /// Whether roots are marked for replay. Some of them may have completed since.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When roots may next have pended for too long; never while nothing is pending.
    pub fn next_tick(&self) -> Option<Millis> {
        (self.in_flight > 0).then(|| self.timeouts.next_tick())
    }

    /// How many segments are read and not completed.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether everything that was read is complete.
    pub fn is_empty(&self) -> bool {
        self.in_flight == 0
    }

    /// For how long the oldest incomplete read has been pending.
    pub fn oldest(&self, now: Millis) -> Option<Duration> {
        self.reads.front().map(|read| now.since(read.read_at))
    }

    /// The position up to which everything that was read is complete, if anything is.
    pub fn completed_position(&self) -> Option<&P> {
        self.completed.as_ref()
    }

    /// What was pending so far.
    pub fn counters(&self) -> PendingCounters {
        self.counters
    }

    /// Hands out roots for segments.
    fn send(&mut self, segments: Encoded, reads: Reads) -> u64 {
        let first_root = self.next_root;
        self.next_root += segments.len() as u64;
        if !segments.is_empty() {
            self.timeouts.add(first_root..self.next_root);
            self.sent
                .push_back(OpenRoots::new(first_root, segments, reads));
        }
        first_root
    }

    /// The root closes here and opens again in the replay that is being made.
    fn move_to_replay(&mut self, at: usize, root: u64, read: u64) {
        let sent = &mut self.sent[at];
        sent.close(root);
        self.sent_done += usize::from(sent.is_done());
        let keeps_its_count = match sent.reads {
            Reads::First(_) => sent.is_done(),
            Reads::Again(_) => true,
        };
        if !keeps_its_count && let Some(read) = self.read_mut(read) {
            read.open += 1;
        }
    }

    fn release(&mut self, read: u64) {
        let Some(read) = self.read_mut(read) else {
            return;
        };
        read.open -= 1;
        if read.open == 0 {
            self.reads_done += 1;
        }
    }

    fn mark(&mut self, roots: Range<u64>) -> usize {
        let first = self
            .sent
            .partition_point(|sent| sent.roots().end <= roots.start);
        let mut marked = 0;
        for sent in self.sent.range_mut(first..) {
            if sent.roots().start >= roots.end {
                break;
            }
            marked += sent.mark(roots.clone(), &mut self.waiting);
        }
        marked
    }

    #[inline]
    fn find(&mut self, root: u64) -> Option<usize> {
        let is_in = |sent: &OpenRoots| sent.roots().contains(&root);
        if self.sent.get(self.hint).is_some_and(is_in) {
            return Some(self.hint);
        }
        let at = self.sent.partition_point(|sent| sent.roots().end <= root);
        self.sent.get(at).is_some_and(is_in).then(|| {
            self.hint = at;
            at
        })
    }

    fn read_mut(&mut self, id: u64) -> Option<&mut Read<P>> {
        let at = self.reads.binary_search_by_key(&id, |read| read.id).ok()?;
        self.reads.get_mut(at)
    }

    /// Lets go of what is complete: at the front at once, behind an old straggler when it is half of
    /// what is kept.
    fn tidy(&mut self) {
        while self.sent.front().is_some_and(OpenRoots::is_done) {
            self.sent.pop_front();
            self.sent_done -= 1;
        }
        while self.reads.front().is_some_and(|read| read.open == 0) {
            self.completed = self.reads.pop_front().map(|read| read.position);
            self.reads_done -= 1;
        }
        if self.sent_done > TIDY_MIN.max(self.sent.len() / 2) {
            self.sent.retain(|sent| !sent.is_done());
            self.sent_done = 0;
        }
        if self.reads_done > TIDY_MIN.max(self.reads.len() / 2) {
            self.join_completed_reads();
        }
    }

    /// Of completed reads in a row only the last one's position matters.
    fn join_completed_reads(&mut self) {
        let mut kept: VecDeque<Read<P>> = VecDeque::new();
        for read in self.reads.drain(..) {
            let is_done = read.open == 0;
            match kept.back_mut() {
                Some(last) if is_done && last.open == 0 => *last = read,
                _ => kept.push_back(read),
            }
        }
        self.reads_done = kept.iter().filter(|read| read.open == 0).count();
        self.reads = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TICK_MS: u64 = 100;
    const BUCKETS: u64 = 3;

    fn pending() -> Pending<usize> {
        let timeouts = Timeouts {
            pending: Duration::from_millis(BUCKETS * TICK_MS),
            tick: Duration::from_millis(TICK_MS),
        };
        Pending::new(timeouts, Millis(0))
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
        Retry(prop::sample::Index),
        RetryAll,
        Expire(u64),
        Replay(usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..150_usize).prop_map(Step::Add),
            10 => (any::<prop::sample::Index>(), 1..60_usize)
                .prop_map(|(first, count)| Step::Complete(first, count)),
            1 => (0..500_u64).prop_map(Step::CompleteAny),
            2 => any::<prop::sample::Index>().prop_map(Step::Retry),
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
        ticks: u64,
        now: Millis,
    }

    struct ModelSegment {
        root: u64,
        sent_at: u64,
        attempt: u32,
        state: ModelState,
    }

    #[derive(PartialEq)]
    enum ModelState {
        Open,
        Waiting,
        Done,
    }

    impl Model {
        fn open(&self) -> BTreeMap<u64, usize> {
            let open = self.segments.iter().enumerate();
            open.filter(|(_, segment)| segment.state != ModelState::Done)
                .map(|(number, segment)| (segment.root, number))
                .collect()
        }

        fn mark(&mut self, which: impl Fn(&ModelSegment) -> bool) -> usize {
            let open = self.segments.iter_mut();
            open.filter(|segment| segment.state == ModelState::Open && which(segment))
                .map(|segment| segment.state = ModelState::Waiting)
                .count()
        }

        fn step(&mut self, step: &Step, pending: &mut Pending<usize>) {
            match step {
                Step::Add(count) => {
                    let first = self.segments.len();
                    let position = self.reads.len();
                    let encoded = segments(first..first + count);
                    let root = pending.add(encoded, position, self.now);
                    self.reads.push((first + count, self.now));
                    self.segments
                        .extend((root..).take(*count).map(|root| ModelSegment {
                            root,
                            sent_at: self.ticks,
                            attempt: 1,
                            state: ModelState::Open,
                        }));
                }
                Step::Complete(first, count) => {
                    let open: Vec<(u64, usize)> = self.open().into_iter().collect();
                    let first = if open.is_empty() {
                        0
                    } else {
                        first.index(open.len())
                    };
                    for &(root, number) in open.iter().skip(first).take(*count) {
                        assert!(pending.complete(root));
                        self.segments[number].state = ModelState::Done;
                    }
                }
                Step::CompleteAny(root) => {
                    let number = self.open().get(root).copied();
                    assert_eq!(pending.complete(*root), number.is_some());
                    if let Some(number) = number {
                        self.segments[number].state = ModelState::Done;
                    }
                }
                Step::Retry(which) => {
                    let open: Vec<u64> = self.open().into_keys().collect();
                    if !open.is_empty() {
                        let root = *which.get(&open);
                        assert!(pending.retry(root));
                        self.mark(|segment| segment.root == root);
                    }
                }
                Step::RetryAll => assert_eq!(pending.retry_all(), self.mark(|_| true)),
                Step::Expire(ms) => {
                    self.now = Millis(self.now.0 + ms);
                    self.ticks = self.now.0 / TICK_MS;
                    let ticks = self.ticks;
                    let expired = self.mark(|segment| ticks - segment.sent_at >= BUCKETS);
                    assert_eq!(pending.expire(self.now), expired);
                }
                Step::Replay(max) => self.replay(pending.replay(*max), *max),
            }
        }

        fn replay(&mut self, replay: Option<Replay>, max: usize) {
            let is_waiting = |segment: &&ModelSegment| segment.state == ModelState::Waiting;
            let waiting = self.segments.iter().filter(is_waiting).count();
            let Some(replay) = replay else {
                assert_eq!(waiting.min(max), 0);
                return;
            };
            assert_eq!(replay.segments.len(), waiting.min(max));
            let numbers = numbers(&replay.segments);
            for ((root, number), attempt) in (replay.first_root..).zip(numbers).zip(replay.attempts)
            {
                let segment = &mut self.segments[number];
                assert!(segment.state == ModelState::Waiting);
                segment.attempt += 1;
                assert_eq!(segment.attempt, attempt);
                segment.root = root;
                segment.sent_at = self.ticks;
                segment.state = ModelState::Open;
            }
        }

        fn check(&self, pending: &Pending<usize>) {
            let open = self.open();
            assert_eq!(pending.in_flight(), open.len());
            assert_eq!(pending.is_empty(), open.is_empty());
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
            let oldest = self
                .reads
                .get(complete)
                .map(|(_, read_at)| self.now.since(*read_at));
            assert_eq!(pending.oldest(self.now), oldest);
        }
    }

    proptest! {
        #[test]
        fn what_is_pending_is_what_the_obvious_model_says(steps in vec(any_step(), 1..120)) {
            let mut model = Model::default();
            let mut pending = pending();
            for step in &steps {
                model.step(step, &mut pending);
                model.check(&pending);
            }
            for root in model.open().into_keys() {
                prop_assert!(pending.complete(root));
            }
            prop_assert!(pending.is_empty() && pending.sent.is_empty() && pending.reads.is_empty());
            prop_assert_eq!(pending.completed_position().copied(), model.reads.len().checked_sub(1));
        }
    }

    #[test]
    fn one_straggler_does_not_keep_all_that_was_read_after_it() {
        let mut pending = pending();
        let straggler = pending.add(segments(0..1), 0, Millis(0));
        for read in 1..10_000 {
            let first = pending.add(segments(0..2), read, Millis(0));
            assert!(pending.complete(first) && pending.complete(first + 1));
        }
        assert!(pending.sent.len() <= 2 * TIDY_MIN && pending.reads.len() <= 2 * TIDY_MIN);
        assert_eq!(pending.completed_position(), None);
        assert!(pending.complete(straggler));
        assert_eq!(pending.completed_position(), Some(&9_999));
        assert!(pending.sent.is_empty() && pending.reads.is_empty());
    }

    #[test]
    fn the_old_root_of_a_replayed_segment_means_nothing() {
        let mut pending = pending();
        let first = pending.add(segments(0..2), 1, Millis(0));
        assert!(pending.retry(first + 1));
        let replay = pending.replay(10).unwrap();
        assert_eq!(
            (numbers(&replay.segments), replay.attempts),
            (vec![1], vec![2])
        );
        assert!(!pending.complete(first + 1));
        assert!(pending.complete(first));
        assert_eq!(pending.completed_position(), None);
        assert!(pending.complete(replay.first_root));
        assert_eq!(pending.completed_position(), Some(&1));
        assert_eq!(pending.counters().unknown, 1);
    }
}
