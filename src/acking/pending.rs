//! What an input task has read and not yet seen completed.
//!
//! A read is handed out as consecutive roots. A root of which nobody knows any more, or that is given
//! back, is replayed as a new root, so that the acks of its old tree no longer mean anything; after
//! too many tries it goes to the dead letters. The position up to which every read is complete,
//! replays and dead letters included, is where the input can start again.
//!
//! After its time-out a root is not replayed at once: everybody who works on the job is asked
//! whether it is alive, and is asked again as long as it is. See `overdue`.

use super::acks::{Cause, Reach};
use super::byte_limit::ByteLimit;
use super::latency::Latencies;
use super::limit::Limit;
use super::open_roots::{End, Ends, OpenRoots, Reads};
use super::retry_rule::RetryRule;
use super::timeout_pool::{TimeoutPool, Timeouts};
use super::troubles::{Due, Troubles};
use crate::clock::Millis;
use crate::codec::{Encoded, EncodedBuilder};
use crate::ids::PeerId;
use overdue::Doubted;
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
    rules: PendingRules,
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
    /// Of all reads up to there.
    settled: Settled,
    timeouts: TimeoutPool,
    troubles: Troubles,
    doubted: Doubted,
    /// Roots marked for replay; some may have completed since.
    waiting: VecDeque<(u64, Try)>,
    /// Roots for the dead letters, with the reason; some may have completed since.
    condemned: VecDeque<(u64, String)>,
    limit: Limit,
    bytes: ByteLimit,
    latencies: Latencies,
    in_flight: usize,
    counters: PendingCounters,
}

/// What holds for every root of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingRules {
    /// When roots are looked at.
    pub timeouts: Timeouts,
    /// How often they are tried.
    pub retries: RetryRule,
    /// How many there may be.
    pub pending_max: usize,
    /// How many bytes they may have.
    pub bytes_max: usize,
    /// How many are read at once.
    pub batch_size: usize,
}

/// What was pending so far. At any moment `read` is the sum of `ends` and of what is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingCounters {
    /// Segments read.
    pub read: u64,
    /// How they ended.
    pub ends: Ends,
    /// Segments sent again.
    pub replayed: u64,
    /// Roots of which nobody knew any more after their time-out.
    pub timed_out: u64,
    /// Completions and retries of roots that are not open: completed before, or replayed since.
    pub unknown: u64,
}

/// What became of all that was read up to a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Segments read.
    pub read: u64,
    /// How they ended, all of them.
    pub ends: Ends,
}

/// Segments to be sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The root of the first; the others follow.
    pub first_root: u64,
    /// The segments.
    pub segments: Encoded,
    /// What roots they had before.
    pub before: Vec<u64>,
    /// The how-manieth try of each of them it is: 2 for the first that follows a failure.
    pub attempts: Vec<u32>,
}

/// A segment for the dead letters. It is in flight until it is buried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condemned {
    /// Its root.
    pub root: u64,
    /// The segment, encoded.
    pub segment: Vec<u8>,
    /// How often it was tried.
    pub attempts: u32,
    /// What became of the last try.
    pub reason: String,
}

/// Clocks count milliseconds: what is later is so by one at least.
const ONE_MS: Duration = Duration::from_millis(1);

#[derive(Debug)]
struct Read<P> {
    id: u64,
    position: P,
    read_at: Millis,
    segments: u64,
    course: Course,
    ends: Ends,
    /// One for the roots of the read itself while any is open, and one for each open replay.
    open: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Straight,
    /// Some of it was replayed: how long it takes says nothing about the pipeline.
    Replayed,
}

/// Whether a replay counts as a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Another,
    TheSame,
}

impl<P> Pending<P> {
    /// Nothing pending; roots begin at 1.
    pub fn new(rules: PendingRules, now: Millis) -> Self {
        let timeout = rules.timeouts.pending;
        Pending {
            rules,
            next_root: 1,
            sent: VecDeque::new(),
            sent_done: 0,
            hint: 0,
            reads: VecDeque::new(),
            reads_done: 0,
            next_read: 0,
            completed: None,
            settled: Settled::default(),
            timeouts: TimeoutPool::new(rules.timeouts, now),
            troubles: Troubles::default(),
            doubted: Doubted::new(),
            waiting: VecDeque::new(),
            condemned: VecDeque::new(),
            limit: Limit::new(rules.pending_max, rules.batch_size, timeout, now),
            bytes: ByteLimit::new(rules.bytes_max),
            latencies: Latencies::default(),
            in_flight: 0,
            counters: PendingCounters::default(),
        }
    }

    /// Segments were read, and `position` is behind them. Returns the root of the first; the others
    /// follow. A read without segments only moves the position.
    pub fn add(&mut self, segments: Encoded, position: P, acker: PeerId, now: Millis) -> u64 {
        let read = Read {
            id: self.next_read,
            position,
            read_at: now,
            segments: segments.len() as u64,
            course: Course::Straight,
            ends: Ends::default(),
            open: usize::from(!segments.is_empty()),
        };
        self.next_read += 1;
        self.reads_done += usize::from(read.open == 0);
        self.bytes.read(segments.len(), segments.byte_len());
        self.in_flight += segments.len();
        self.counters.read += segments.len() as u64;
        let first_root = self.send(segments, Reads::First(read.id), acker, now);
        self.reads.push_back(read);
        self.tidy();
        first_root
    }

    /// The tree of a root is complete. False when the root is not open, which is counted.
    #[inline]
    pub fn complete(&mut self, root: u64, reach: Reach, now: Millis) -> bool {
        let end = match reach {
            Reach::Written => End::Written,
            Reach::Inside => End::Filtered,
        };
        let is_closed = self.close(root, end, now);
        self.counters.unknown += u64::from(!is_closed);
        is_closed
    }

    /// Somebody gives a root back. False when it is not open, which is counted.
    pub fn give_back(&mut self, root: u64, cause: Cause, reason: &str, now: Millis) -> bool {
        let found = self.find(root).filter(|at| self.sent[*at].is_open(root));
        let Some(at) = found else {
            self.counters.unknown += 1;
            return false;
        };
        match cause {
            Cause::Failed => self.condemned.push_back((root, reason.into())),
            Cause::Asked => self.try_again(at, root, reason, now),
            Cause::GivenBack => self.mark(root, Try::TheSame),
            Cause::Unacked => {
                let soon = now.plus(self.rules.timeouts.tick.max(ONE_MS));
                self.troubles.at(soon, Due::Repeat(root));
            }
        }
        true
    }

    /// Marks everything for replay: a peer is gone, and nobody knows which trees it took along.
    /// Returns how many roots that are.
    pub fn retry_all(&mut self) -> usize {
        let roots = self.under_way(0..self.next_root);
        roots.iter().for_each(|root| self.mark(*root, Try::TheSame));
        roots.len()
    }

    /// Marks for replay what an acker keeps: it is gone. Returns how many roots that are.
    pub fn retry_of(&mut self, acker: PeerId) -> usize {
        let its = self.sent.iter().filter(|sent| sent.acker == acker);
        let roots: Vec<u64> = its.flat_map(|sent| self.under_way(sent.roots())).collect();
        roots.iter().for_each(|root| self.mark(*root, Try::TheSame));
        roots.len()
    }

    /// Takes at most `max` of the segments marked for replay, as new roots that this acker keeps.
    /// What is not taken now stays marked.
    pub fn replay(&mut self, max: usize, acker: PeerId, now: Millis) -> Option<Replay> {
        let mut segments = EncodedBuilder::default();
        let (mut attempts, mut before) = (Vec::new(), Vec::new());
        while attempts.len() < max
            && let Some(&(root, what)) = self.waiting.front()
        {
            let Some(at) = self.find(root).filter(|at| self.sent[*at].is_waiting(root)) else {
                self.waiting.pop_front();
                continue;
            };
            let (raw, mut attempt) = self.sent[at].segment(root);
            let is_full =
                !segments.is_empty() && segments.byte_len() + raw.len() > REPLAY_BYTES_MAX;
            if is_full || segments.push_raw(raw).is_err() {
                break;
            }
            self.waiting.pop_front();
            self.move_to_replay(at, root, attempt.read);
            if what == Try::Another {
                attempt.attempt = attempt.attempt.saturating_add(1);
            }
            attempts.push(attempt);
            before.push(root);
        }
        if attempts.is_empty() {
            return None;
        }
        self.counters.replayed += attempts.len() as u64;
        let segments = segments.finish();
        let numbers = attempts.iter().map(|attempt| attempt.attempt).collect();
        let first_root = self.send(segments.clone(), Reads::Again(attempts), acker, now);
        self.tidy();
        Some(Replay {
            first_root,
            segments,
            before,
            attempts: numbers,
        })
    }

    /// The next segment for the dead letters. Bury it when they have it.
    pub fn next_condemned(&mut self) -> Option<Condemned> {
        while let Some((root, reason)) = self.condemned.pop_front() {
            let Some(at) = self.find(root).filter(|at| self.sent[*at].is_open(root)) else {
                continue;
            };
            let (raw, attempt) = self.sent[at].segment(root);
            return Some(Condemned {
                root,
                segment: raw.to_vec(),
                attempts: attempt.attempt,
                reason,
            });
        }
        None
    }

    /// The dead letters have a segment: nothing waits for it any more.
    pub fn bury(&mut self, root: u64, now: Millis) {
        self.close(root, End::DeadLettered, now);
    }

    /// The root that the next segment to be sent will have.
    pub fn next_root(&self) -> u64 {
        self.next_root
    }

    /// Whether roots are marked for replay. Some of them may have completed since.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When there may next be something to look at; never while nothing is pending.
    pub fn next_tick(&self) -> Option<Millis> {
        let tick = (self.in_flight > 0).then(|| self.timeouts.next_tick())?;
        Some(self.troubles.next().map_or(tick, |next| next.min(tick)))
    }

    /// How many segments are read and not completed.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many more may be read now.
    pub fn room(&self) -> usize {
        let room = self.limit.get().saturating_sub(self.in_flight);
        room.min(self.bytes.room())
    }

    /// How many bytes the segments have that are kept to be played again.
    pub fn bytes(&self) -> usize {
        self.bytes.kept()
    }

    /// How many may be pending at present: what was declared, or less while the pipeline is slow.
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Whether everything that was read is complete.
    pub fn is_empty(&self) -> bool {
        self.in_flight == 0
    }

    /// When the oldest incomplete read was made.
    pub fn oldest(&self) -> Option<Millis> {
        self.reads.front().map(|read| read.read_at)
    }

    /// The position up to which everything that was read is complete, if anything is.
    pub fn completed_position(&self) -> Option<&P> {
        self.completed.as_ref()
    }

    /// What became of everything up to [`completed_position`](Self::completed_position).
    pub fn settled(&self) -> Settled {
        self.settled
    }

    /// What was pending so far.
    pub fn counters(&self) -> PendingCounters {
        self.counters
    }

    /// How long reads took until all of them was complete, since this was asked last.
    pub fn take_latencies(&mut self) -> Latencies {
        std::mem::take(&mut self.latencies)
    }

    /// Hands out roots for segments.
    fn send(&mut self, segments: Encoded, reads: Reads, acker: PeerId, now: Millis) -> u64 {
        let first_root = self.next_root;
        self.next_root += segments.len() as u64;
        if !segments.is_empty() {
            self.timeouts.add(first_root..self.next_root);
            self.bytes.keep(segments.byte_len());
            self.sent
                .push_back(OpenRoots::new(first_root, segments, reads, acker, now));
        }
        first_root
    }

    /// Answers whether the root was open.
    #[inline]
    fn close(&mut self, root: u64, end: End, now: Millis) -> bool {
        let Some(at) = self.find(root) else {
            return false;
        };
        let sent = &mut self.sent[at];
        if !sent.close(root) {
            return false;
        }
        self.in_flight -= 1;
        self.counters.ends.count(end);
        sent.ends.count(end);
        let finished = match &sent.reads {
            Reads::First(read) if sent.is_done() => Some((*read, sent.ends)),
            Reads::First(_) => None,
            Reads::Again(attempts) => {
                let mut ends = Ends::default();
                ends.count(end);
                Some((attempts[(root - sent.roots().start) as usize].read, ends))
            }
        };
        if sent.is_done() {
            self.sent_done += 1;
            self.bytes.release(sent.bytes);
        }
        if let Some((read, ends)) = finished {
            self.release(read, ends, now);
            self.tidy();
        }
        true
    }

    /// The root closes here and opens again in the replay that is being made.
    fn move_to_replay(&mut self, at: usize, root: u64, read: u64) {
        let sent = &mut self.sent[at];
        sent.close(root);
        if sent.is_done() {
            self.sent_done += 1;
            self.bytes.release(sent.bytes);
        }
        // Where the replay takes the place of the last of its roots, how the others ended is told now.
        let (keeps_its_count, ends) = match sent.reads {
            Reads::First(_) if sent.is_done() => (true, sent.ends),
            Reads::First(_) => (false, Ends::default()),
            Reads::Again(_) => (true, Ends::default()),
        };
        if let Some(read) = self.read_mut(read) {
            read.course = Course::Replayed;
            read.ends.add(ends);
            read.open += usize::from(!keeps_its_count);
        }
    }

    fn release(&mut self, read: u64, ends: Ends, now: Millis) {
        let pending = self.in_flight;
        let Some(read) = self.read_mut(read) else {
            return;
        };
        read.open -= 1;
        read.ends.add(ends);
        if read.open > 0 {
            return;
        }
        let (read_at, roots, course) = (read.read_at, read.segments as usize, read.course);
        self.reads_done += 1;
        self.latencies.add(roots as u64, now.since(read_at));
        if course == Course::Straight {
            self.limit.completed(read_at, roots, pending + roots, now);
        }
    }

    fn mark(&mut self, root: u64, what: Try) {
        let Some(at) = self.find(root) else { return };
        if self.sent[at].mark(root) {
            self.waiting.push_back((root, what));
        }
    }

    /// The roots of a range that are open and not to be replayed yet.
    fn under_way(&self, roots: Range<u64>) -> Vec<u64> {
        let first = self
            .sent
            .partition_point(|sent| sent.roots().end <= roots.start);
        let mut found = Vec::new();
        for sent in self.sent.range(first..) {
            let own = sent.roots();
            if own.start >= roots.end {
                break;
            }
            let both = roots.start.max(own.start)..roots.end.min(own.end);
            found.extend(both.filter(|root| sent.is_under_way(*root)));
        }
        found
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

    /// Lets go of what is complete: at the front at once, behind an old straggler when it is half
    /// of what is kept.
    fn tidy(&mut self) {
        while self.sent.front().is_some_and(OpenRoots::is_done) {
            self.sent.pop_front();
            self.sent_done -= 1;
        }
        while self.reads.front().is_some_and(|read| read.open == 0) {
            self.completed = self.reads.pop_front().map(|read| {
                self.settled.read += read.segments;
                self.settled.ends.add(read.ends);
                read.position
            });
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

    /// Of completed reads in a row only the last one's position matters, and their sums.
    fn join_completed_reads(&mut self) {
        let mut kept: VecDeque<Read<P>> = VecDeque::new();
        for mut read in self.reads.drain(..) {
            let is_done = read.open == 0;
            match kept.back_mut() {
                Some(last) if is_done && last.open == 0 => {
                    read.segments += last.segments;
                    read.ends.add(last.ends);
                    *last = read;
                }
                _ => kept.push_back(read),
            }
        }
        self.reads_done = kept.iter().filter(|read| read.open == 0).count();
        self.reads = kept;
    }
}

pub(super) mod overdue;
#[cfg(test)]
mod tests;
