//! What a running task has, and what a batch carries from phase to phase.

use super::acks::GatheredAcks;
use super::beat::Beat;
use super::counters::{Count, Oldest, TaskCounters};
use super::dead_letters::DeadLetters;
use super::lifecycles::{LifecycleCalls, LifecycleEvent};
use super::outbound::{Outbound, To};
use super::reached::Reached;
use super::rejections::Rejections;
use super::replays::SlotReplays;
use super::retries::RetriesBySource;
use super::traces::{Here, Traced, Traces, Why, is_traced, traced_rows};
use crate::acking::{Ackers, Cause, Latencies, Pending, PendingCounters, RootId};
use crate::clock::Millis;
use crate::codec::{BatchMeta, Decoder, Encoded};
use crate::coordination::SessionLease;
use crate::functions::Application;
use crate::ids::{AllocationVersion, JobId, PeerId, SlotId};
use crate::job::Task;
use crate::messaging::{Inbox, Message, SegmentsMessage};
use crate::plugins::{Input, Output, Position};
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use rand::rngs::SmallRng;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A running task: everything its phases may use.
pub struct TaskContext {
    /// Which task this is.
    pub(super) identity: Identity,
    /// Until when it may act.
    pub(super) lease: SessionLease,
    /// What it does at its ends.
    pub(super) role: Role,
    /// Its function.
    pub(super) function: Application,
    /// Its lifecycle calls, in the order of the job.
    pub(super) lifecycles: Vec<LifecycleCalls>,
    /// What arrives.
    pub(super) inbox: Inbox,
    /// What arrived while the task waited for something else.
    pub(super) arrived: VecDeque<Message>,
    /// What is to be sent.
    pub(super) outbound: Outbound,
    /// What ackers are to be told.
    pub(super) acks: GatheredAcks,
    /// Decodes what arrived.
    pub(super) decoder: Decoder,
    /// Draws ack values.
    pub(super) draws: SmallRng,
    /// What is counted.
    pub(super) counters: Arc<TaskCounters>,
    /// Whether the task gets on.
    pub(super) beat: Beat,
    /// Set once what the task makes is of no use any more.
    pub(super) stop: StopFlag,
    /// What is known of single roots.
    pub(super) traces: Traces,
    /// The present time, read once a batch.
    pub(super) now: Millis,
    /// What this run has told of its roots.
    pub(super) told: RootsTold,
    /// Segments that were logged when they were given up.
    pub(super) burials_told: usize,
}

/// What has been added to the counters for the roots of one run.
#[derive(Debug, Default)]
pub(super) struct RootsTold {
    counters: PendingCounters,
    in_flight: u64,
}

/// Nothing of a run that has ended is in flight. Whoever has the slot next reads it again.
impl Drop for TaskContext {
    fn drop(&mut self) {
        self.tell_roots();
        self.counters.relinquish(self.told.in_flight);
    }
}

/// Which task a context belongs to.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The job.
    pub job: JobId,
    /// The catalog entry.
    pub task: Arc<Task>,
    /// The peer that runs it.
    pub peer: PeerId,
    /// The slot.
    pub slot: SlotId,
    /// Which of this peer's starts of a task this is: roots of different epochs are different.
    pub epoch: u64,
    /// The allocation version that its messages carry.
    pub version: AllocationVersion,
    /// The peers that may send to it: each that had a slot upstream since the last loss of a peer.
    pub upstream: BTreeSet<PeerId>,
}

/// What a task does at its ends.
pub(super) enum Role {
    /// Reads from a medium.
    Input(Box<InputSide>),
    /// Only turns segments into segments.
    Function,
    /// Writes to a medium.
    Output(Box<dyn Output>),
}

/// What an input task has besides.
pub(super) struct InputSide {
    /// The plugin.
    pub(super) plugin: Box<dyn Input>,
    /// How far the slot was when this run began.
    pub(super) began: Reached,
    /// The replays of the slot, those of this run included.
    pub(super) replays: SlotReplays,
    /// What was read and is not complete.
    pub(super) pending: Pending<Position>,
    /// Who keeps the ledgers of what is read.
    pub(super) ackers: Ackers,
    /// Where others see how old the oldest of it is.
    pub(super) oldest: Arc<Oldest>,
    /// Those of the open roots that are traced.
    pub(super) traced: BTreeSet<u64>,
    /// What it has rejected.
    pub(super) rejections: Rejections,
    /// Where rejected pieces go.
    pub(super) dead_letters: Option<DeadLetters>,
    /// What the plugin said last.
    pub(super) supply: Supply,
    /// Whether it has read everything and nothing is pending.
    pub(super) drained: bool,
}

/// What an input can be expected to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// More, now.
    More,
    /// More, after this moment.
    NotBefore(Millis),
    /// Nothing, ever.
    Exhausted,
    /// Nothing, to this peer: the slot is another's now.
    Withheld,
}

/// A batch on its way through the phases.
#[derive(Default)]
pub struct BatchWork {
    /// What was received, encoded; from the function on, what it made, unless that is written here.
    pub(super) encoded: Encoded,
    /// What was received, decoded, where somebody looks at whole batches: what an input read, and
    /// what an output writes.
    pub(super) segments: Vec<Segment>,
    /// Segments of earlier batches, for their memory.
    pub(super) spare: Vec<Segment>,
    /// How many bytes the last batch that an input read took, encoded: the next will take as many.
    pub(super) bytes_before: usize,
    /// What is known of each received segment.
    pub(super) meta: Option<BatchMeta>,
    /// Who keeps the ledgers of the roots that an input makes of it.
    pub(super) keeper: Option<PeerId>,
    /// Whether inputs read it for the first time.
    pub(super) freshness: Freshness,
    /// The position behind what an input read.
    pub(super) position: Option<Position>,
    /// The end of the input travels in this batch.
    pub(super) sentinel: Sentinel,
    /// What the function made.
    pub(super) made: Made,
    /// Received segments that are not brought to an end here, and so are not acked.
    pub(super) given_back: Vec<GivenBack>,
    /// The rows sent along each route, whose ack values stand for the new segments.
    pub(super) children: Vec<BatchMeta>,
}

/// A received segment that goes back to its source.
pub(super) struct GivenBack {
    /// Which of the batch.
    pub(super) index: usize,
    /// Why.
    pub(super) cause: Cause,
    /// In words.
    pub(super) reason: String,
}

/// The segments a task passes on.
#[derive(Default)]
pub(super) enum Made {
    /// The received ones, untouched and still encoded.
    #[default]
    Untouched,
    /// New ones.
    New {
        /// For each, the index of the received segment it was made from.
        parents: Vec<u32>,
    },
}

impl Made {
    /// Of the segment with this index, the index of the received one that it was made from.
    pub(super) fn parent_of(&self, index: usize) -> usize {
        match self {
            Made::Untouched => index,
            Made::New { parents } => parents[index] as usize,
        }
    }

    /// Whether anything was made of the received segment with this index.
    pub(super) fn stems_from(&self, index: usize) -> bool {
        match self {
            Made::Untouched => true,
            Made::New { parents } => parents.contains(&(index as u32)),
        }
    }
}

/// Whether roots are new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Read just now.
    #[default]
    New,
    /// Played again; they have roots and stand in the pool already.
    Replayed {
        /// The first of their new roots.
        first_root: u64,
        /// What roots they had before, and the how-manieth try of each it is.
        before: Vec<(u64, u32)>,
    },
}

/// Whether the end of the input is in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sentinel {
    /// It is not.
    #[default]
    Absent,
    /// It is: the job may be complete.
    Present,
}

impl TaskContext {
    /// Puts the acks that were gathered behind what else is to be sent.
    pub(super) fn send_acks(&mut self) {
        let bytes_max = self.outbound.segment_bytes_max();
        let me = (self.identity.peer, self.identity.epoch);
        let messages = self.acks.take(me, bytes_max, self.now);
        for (acker, message) in messages {
            self.outbound.push(To::Acker(acker), Message::Acks(message));
        }
    }

    /// Counts what has become of roots since it was counted last: all of it at once, so that what
    /// was read is always what has ended and what is in flight.
    pub(super) fn tell_roots(&mut self) {
        let Role::Input(input) = &mut self.role else {
            return;
        };
        let told = RootsTold {
            counters: input.pending.counters(),
            in_flight: input.pending.in_flight() as u64,
        };
        input.oldest.is(input.pending.oldest());
        let latencies = input.pending.take_latencies();
        if latencies != Latencies::default() {
            self.counters.add_latencies(&latencies);
        }
        let before = std::mem::replace(&mut self.told, told);
        self.counters
            .move_roots(&before.counters, &self.told.counters);
        self.counters
            .move_in_flight(before.in_flight, self.told.in_flight);
    }

    /// Writes down what happened to a traced root of this input.
    pub(super) fn note(&self, root: RootId, what: Traced) {
        let why = match is_traced(self.traces.rate(), root.root) {
            true => Why::Sampled,
            false => Why::Troubled,
        };
        self.note_of(root, why, what);
    }

    fn note_of(&self, root: RootId, why: Why, what: Traced) {
        let here = Here {
            job: self.identity.job,
            task: &self.identity.task.name,
            peer: self.identity.peer,
        };
        self.traces.note(root, why, &here, what);
    }

    /// Writes the same down of every traced root of a batch.
    pub(super) fn note_rows(&self, meta: &BatchMeta, what: impl Fn(usize) -> Option<Traced>) {
        for (index, root, rate) in traced_rows(meta) {
            if let Some(what) = what(index) {
                self.note_of(root, self.traces.why(rate), what);
            }
        }
    }

    /// A root of this input, by its name in the cluster.
    pub(super) fn root_id(&self, root: u64) -> RootId {
        RootId {
            source: self.identity.peer,
            epoch: self.identity.epoch,
            root,
        }
    }

    /// What lifecycle calls are told.
    pub(super) fn event(&self, segments: usize) -> LifecycleEvent<'_> {
        let Identity {
            job, peer, slot, ..
        } = self.identity;
        LifecycleEvent {
            job,
            task: &self.identity.task.name,
            peer,
            slot,
            segments,
        }
    }

    /// The next batch that arrived for this task; anything else that comes first is counted.
    pub(super) fn next_arrived(&mut self) -> Option<SegmentsMessage> {
        loop {
            let message = self.arrived.pop_front().or_else(|| self.inbox.try_next())?;
            match message {
                Message::Segments(segments) if !self.is_for_me(&segments) => {
                    self.turn_away(Message::Segments(segments));
                }
                Message::Segments(segments) if self.is_displaced(&segments) => {
                    self.counters.add(Count::Displaced, 1);
                    self.give_back(&segments);
                }
                Message::Segments(segments) => return Some(segments),
                other => self.turn_away(other),
            }
        }
    }

    /// A message that is not for this task: its sender has not read yet that the peer does something
    /// else. Sources need not wait for what it carried.
    pub(super) fn turn_away(&mut self, message: Message) {
        self.counters.add(Count::Misdirected, 1);
        if let Message::Segments(segments) = message {
            self.give_back(&segments);
        }
    }

    /// Tells the sources of a batch that it was not worked on.
    fn give_back(&mut self, segments: &SegmentsMessage) {
        let mut back = RetriesBySource::default();
        back.add_all(segments.batch.meta());
        back.into_messages()
            .for_each(|retry| self.outbound.tell(retry));
    }

    fn is_for_me(&self, message: &SegmentsMessage) -> bool {
        message.job == self.identity.job && message.task == self.identity.task.name
    }

    /// Whether the sender was lost upstream: it had no place there since, and it has not read of a newer
    /// one. Who has kept its place may be behind, and who was moved finishes what it has: what they send
    /// is as good as ever.
    fn is_displaced(&self, message: &SegmentsMessage) -> bool {
        let Identity {
            version, upstream, ..
        } = &self.identity;
        message.version <= *version && !upstream.contains(&message.sender)
    }
}

/// Segments are kept for their memory while a batch of them takes no more bytes, encoded.
const SPARE_BYTES_MAX: usize = 1 << 20;

impl BatchWork {
    /// Empties it for the next batch, keeping its memory.
    pub(super) fn clear(&mut self) {
        let mut spare = std::mem::take(&mut self.spare);
        let mut segments = std::mem::take(&mut self.segments);
        if spare.len() < segments.len() {
            std::mem::swap(&mut spare, &mut segments);
        }
        segments.clear();
        if self.encoded.byte_len() > SPARE_BYTES_MAX {
            // What large values own is worth more than the time that it takes to get it again.
            spare = Vec::new();
        }
        *self = BatchWork {
            segments,
            spare,
            bytes_before: self.bytes_before,
            ..BatchWork::default()
        };
    }

    /// How many segments were received.
    pub(super) fn received(&self) -> usize {
        self.meta.as_ref().map_or(0, BatchMeta::len)
    }
}
