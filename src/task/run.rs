//! A running task: turns of the batch loop, and waiting when there is nothing to do.

use super::checkpoint::Checkpoint;
use super::context::{BatchWork, InputSide, Role, Supply, TaskContext};
use super::counters::{Count, TaskCounters};
use super::exception::{Exception, Fault, MESSAGE_BYTES_MAX, Phase, guarded, handle, shortened};
use super::lifecycles::Handling;
use super::outbound::Flushed;
use super::phases;
use super::reached::Reached;
use super::rejections::InputTotals;
use super::replays::ReplayCause;
use super::retries::RetriesBySource;
use crate::clock::{Clock, Millis};
use crate::ids::{LogPosition, PeerId};
use crate::log::wants::{Assignment, Read, Seal, TaskPhase};
use crate::messaging::Message;
use crate::plugins::Position;
use std::time::Duration;

/// A task that has started.
pub struct TaskRun {
    pub(super) context: TaskContext,
    pub(super) batch: BatchWork,
    pub(super) clock: Clock,
    pub(super) assignment: Assignment,
    pub(super) phase: TaskPhase,
    pub(super) course: Course,
    /// Where its slot's progress is kept; functions have none.
    pub(super) checkpoint: Option<Checkpoint>,
}

/// Whether a task keeps its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    Staying,
    /// The peer has lost the slot: the task finishes the received batches, and then ends.
    Leaving,
}

/// Who may send to a task by an assignment: who has a place upstream, and who is leaving one.
pub(super) fn senders(assignment: &Assignment) -> impl Iterator<Item = PeerId> {
    let Assignment {
        upstream, leaving, ..
    } = assignment;
    upstream.union(leaving).copied()
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A batch went through; take another turn.
    Worked,
    /// There is nothing to do before something happens.
    Wait(WaitFor),
}

/// What to wait for, besides a newer assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// Something to arrive.
    arrival: Arrival,
    /// Room in the link that the first message needs.
    room: Room,
    /// This moment.
    moment: Option<Millis>,
    lease: Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// It ran out: nothing else counts before it holds again.
    Awaited,
    Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    Wanted,
    /// What arrives stays in the inbox, so that it fills and pushes back.
    LeftInPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Needed,
    Enough,
}

impl WaitFor {
    /// Until one may act again.
    const LEASE: WaitFor = WaitFor {
        arrival: Arrival::LeftInPlace,
        room: Room::Enough,
        moment: None,
        lease: Lease::Awaited,
    };
}

impl TaskRun {
    /// How far the task is.
    pub fn phase(&self) -> TaskPhase {
        self.phase
    }

    /// Takes over a newer view of the same assignment. A peer of the job that was lost may have
    /// taken segments with it: an input plays again all that it had emitted before. What peers had that
    /// were merely moved, they finish.
    pub fn reassign(&mut self, assignment: Assignment) {
        let lost = |assignment: &Assignment| assignment.last_loss.unwrap_or(LogPosition(0));
        let is_loss = lost(&assignment) > lost(&self.assignment);
        self.context.outbound.reroute(&assignment.downstream);
        let identity = &mut self.context.identity;
        identity.version = assignment.version;
        if is_loss {
            identity.upstream.clear();
        }
        identity.upstream.extend(senders(&assignment));
        if let Role::Input(input) = &mut self.context.role {
            // Ackers that are replaced or moved keep the ledgers that they have; those that are lost
            // are a loss.
            input.ackers.rename(&assignment.ackers);
        }
        if is_loss && let Role::Input(input) = &mut self.context.role {
            let cause = ReplayCause::PeerLost {
                entry: lost(&assignment),
            };
            let roots = input.pending.retry_all();
            input.record_replay(&self.context.identity, cause, roots);
        }
        self.assignment = assignment;
    }

    /// The peer has lost the slot: an input reads nothing more and waits until its roots are complete;
    /// other tasks finish the batches that they have and those on the way to them.
    pub fn leave(&mut self, assignment: Assignment) {
        self.reassign(assignment);
        self.course = Course::Leaving;
        match &mut self.context.role {
            Role::Input(input) => input.supply = Supply::Withheld,
            Role::Function | Role::Output(_) => self.context.inbox.finish(),
        }
    }

    /// Whether a task that leaves its slot has nothing left to do.
    pub fn has_finished(&mut self) -> bool {
        if self.course == Course::Staying || !self.context.lease.holds() {
            return false;
        }
        let is_done = match &self.context.role {
            Role::Input(input) => input.pending.is_empty(),
            Role::Function | Role::Output(_) => {
                self.context.inbox.is_finished() && self.context.arrived.is_empty()
            }
        };
        if !is_done {
            return false;
        }
        self.context.send_acks();
        self.flush() == Flushed::All
    }

    /// The time at which the last turn began.
    pub fn now(&self) -> Millis {
        self.context.now
    }

    /// One turn of the loop: at most one batch.
    pub fn turn(&mut self) -> Result<Turn, Exception> {
        self.context.now = self.clock.now();
        self.context.beat.beat();
        if !self.context.lease.holds_at(self.context.now) {
            // The peer may have been replaced, and would do somebody else's work.
            return Ok(Turn::Wait(WaitFor::LEASE));
        }
        self.take_control_messages();
        if self.flush() == Flushed::Blocked {
            return Ok(Turn::Wait(self.wait_for(Room::Needed)));
        }
        // Not while the output is blocked: what has not left stands still for no fault of its own,
        // and could not be sent again either.
        self.expire_pending();
        self.bury().map_err(|fault| self.exception(fault))?;
        if self.flush() == Flushed::Blocked {
            return Ok(Turn::Wait(self.wait_for(Room::Needed)));
        }
        if !self.has_work() {
            return Ok(Turn::Wait(self.wait_for(Room::Enough)));
        }
        phases::run_all(&mut self.context, &mut self.batch)
            .map_err(|fault| self.exception(fault))?;
        self.advance();
        match self.flush() {
            Flushed::All => Ok(Turn::Worked),
            Flushed::Blocked => Ok(Turn::Wait(self.wait_for(Room::Needed))),
        }
    }

    /// Sends what links take. Acks that cannot be delivered any more make their roots be played
    /// again; an input gives no more roots to an acker that it cannot reach.
    fn flush(&mut self) -> Flushed {
        let context = &mut self.context;
        if context.acks.due().is_some_and(|due| due <= context.now) {
            context.send_acks();
        }
        let flushed = context.outbound.flush();
        let undelivered = context.outbound.take_undelivered();
        if undelivered.is_empty() {
            return flushed;
        }
        let Role::Input(input) = &mut context.role else {
            context.outbound.give_back(undelivered);
            return context.outbound.flush();
        };
        for (acker, _) in undelivered {
            if input.ackers.avoid(acker) {
                let roots = input.pending.retry_of(acker);
                let cause = ReplayCause::AckerUnreachable { acker };
                input.record_replay(&context.identity, cause, roots);
            }
        }
        flushed
    }

    /// Whether a batch could be read now.
    fn has_work(&mut self) -> bool {
        let Role::Input(input) = &self.context.role else {
            return self.has_arrived();
        };
        if self.assignment.read != Read::Go || self.phase >= TaskPhase::Exhausted {
            return false;
        }
        match input.supply {
            _ if input.pending.has_waiting() => true,
            Supply::More => self.has_room(input),
            Supply::NotBefore(moment) => self.has_room(input) && self.context.now >= moment,
            Supply::Exhausted => input.pending.is_empty(),
            Supply::Withheld => false,
        }
    }

    /// Whether a batch of upstream is there.
    fn has_arrived(&mut self) -> bool {
        if self.phase == TaskPhase::Sealed {
            self.turn_away();
        }
        let context = &mut self.context;
        if context.arrived.is_empty() {
            // All that came of what was here before has left, but for acks that wait for others.
            if context.acks.due().is_none() {
                context.inbox.settle();
            }
            context.arrived.extend(context.inbox.try_next());
        }
        !context.arrived.is_empty()
    }

    /// What comes to a slot that is sealed is a repetition: everything that was read is complete.
    fn turn_away(&mut self) {
        let context = &mut self.context;
        let waiting = context.arrived.drain(..).count();
        let more = std::iter::from_fn(|| context.inbox.try_next()).count();
        context
            .counters
            .add(Count::Misdirected, (waiting + more) as u64);
    }

    /// Whether one more root may be pending.
    fn has_room(&self, input: &InputSide) -> bool {
        input.pending.room() > 0
    }

    fn wait_for(&self, room: Room) -> WaitFor {
        // What is blocked comes first in any case.
        let acks = match room {
            Room::Needed => None,
            Room::Enough => self.context.acks.due(),
        };
        let Role::Input(input) = &self.context.role else {
            let arrival = match room {
                Room::Needed => Arrival::LeftInPlace,
                Room::Enough => Arrival::Wanted,
            };
            return WaitFor {
                arrival,
                room,
                moment: acks,
                lease: Lease::Held,
            };
        };
        // A moment at which nothing could be read is not worth waking up for.
        let could_read =
            room == Room::Enough && self.assignment.read == Read::Go && self.has_room(input);
        let supply = match input.supply {
            Supply::NotBefore(moment) if could_read => Some(moment),
            _ => None,
        };
        // Nothing expires while the output is blocked.
        let expiry = match room {
            Room::Needed => None,
            Room::Enough => input.pending.next_tick(),
        };
        let moment = [supply, expiry, acks].into_iter().flatten().min();
        WaitFor {
            arrival: Arrival::Wanted,
            room,
            moment,
            lease: Lease::Held,
        }
    }

    /// Waits for what a turn said. Dropping the future loses nothing.
    pub async fn wait(&mut self, wait: WaitFor) {
        let now = self.clock.now();
        let timer = async {
            match wait.moment {
                Some(moment) => tokio::time::sleep(moment.since(now).max(SHORTEST_WAIT)).await,
                None => std::future::pending().await,
            }
        };
        let TaskContext {
            inbox,
            outbound,
            arrived,
            lease,
            counters,
            ..
        } = &mut self.context;
        let clock = self.clock;
        let _blocked = (wait.room == Room::Needed).then(|| Blocked {
            since: now,
            clock,
            counters,
        });
        let leased = async {
            if lease.held().await.is_err() {
                // The end of the peer is on its way.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = leased, if wait.lease == Lease::Awaited => {}
            message = inbox.next(), if wait.arrival == Arrival::Wanted => arrived.extend(message),
            () = outbound.writable() => {}
            () = timer => {}
        }
    }

    /// Notices what the last batch made true.
    fn advance(&mut self) {
        if let Role::Input(input) = &self.context.role
            && input.drained
            && self.phase < TaskPhase::Exhausted
        {
            self.phase = TaskPhase::Exhausted;
        }
    }

    /// Whether the slot is to be sealed and nothing of its own is left to do.
    pub fn should_seal(&self) -> bool {
        self.assignment.seal == Seal::Now
            && self.phase < TaskPhase::Sealed
            && self.context.outbound.is_empty()
            && self.context.acks.due().is_none()
            && self.context.lease.holds()
    }

    /// How far an input is.
    pub fn reached(&self) -> Option<Reached> {
        match &self.context.role {
            Role::Input(input) => Some(Reached::of(input)),
            Role::Function | Role::Output(_) => None,
        }
    }

    /// How many roots an input has read and will not read again, since this run began.
    pub fn settled(&self) -> u64 {
        match &self.context.role {
            Role::Input(input) => input.pending.settled().read,
            Role::Function | Role::Output(_) => 0,
        }
    }

    /// Where the progress of the slot is kept; functions have none.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Tells an input that a position has been saved.
    pub fn position_saved(&mut self, position: &Position) -> Result<(), Exception> {
        let Role::Input(input) = &mut self.context.role else {
            return Ok(());
        };
        let plugin = &mut input.plugin;
        self.context.beat.enter(Phase::Checkpoint);
        guarded(Phase::Checkpoint, || {
            plugin
                .completed(position)
                .map_err(|error| Fault::in_phase(Phase::Checkpoint, error))
        })
        .map_err(|fault| self.exception(fault))
    }

    /// A position could not be saved.
    pub fn position_not_saved(&self) {
        self.context.counters.add(Count::FailedSaves, 1);
    }

    /// What the task's handlers say about an exception.
    pub fn handling(&self, exception: &Exception) -> Handling {
        handle(&self.context.lifecycles, exception)
    }

    /// Gives back what a planned stop leaves undone: what arrived and was not worked on, and what
    /// nobody took. Its sources play it again at once, and need not wait for its time-out. A source
    /// that stops begins again at its saved position.
    pub async fn release(&mut self) {
        let context = &mut self.context;
        context.send_acks();
        let unsent = context.outbound.take_unsent();
        if matches!(context.role, Role::Input(_)) {
            return;
        }
        context.inbox.close();
        let arrived = std::mem::take(&mut context.arrived).into_iter();
        let waiting = std::iter::from_fn(|| context.inbox.try_next());
        let undone = arrived.chain(waiting).filter_map(|message| match message {
            Message::Segments(batch) => Some(batch),
            _ => None,
        });
        let mut asked = RetriesBySource::default();
        for batch in undone.chain(unsent) {
            asked.add_all(batch.batch.meta());
        }
        asked
            .into_messages()
            .for_each(|retry| context.outbound.tell(retry));
        let send = async {
            while context.outbound.flush() == Flushed::Blocked || context.outbound.has_to_tell() {
                context.outbound.writable().await;
            }
            let undelivered = context.outbound.take_undelivered();
            context.outbound.give_back(undelivered);
            context.outbound.flush();
        };
        // What is not said by then is found out by its time-out.
        let _ = tokio::time::timeout(RELEASE_MAX, send).await;
    }

    /// Why the job must not complete, if its whole input has rejected too much.
    pub fn judge(&self, all: InputTotals) -> Option<Exception> {
        let Role::Input(input) = &self.context.role else {
            return None;
        };
        let limit = self.context.identity.task.max_rejected;
        let reason = input.rejections.too_many(limit, all)?;
        Some(self.exception(Fault::in_phase(Phase::ReadBatch, reason)))
    }

    /// Logs how much was rejected beyond what was logged one by one, and runs the `after-task-stop`
    /// calls. Their exceptions are logged and change nothing any more.
    pub fn stopped(&mut self) {
        self.context.beat.enter(Phase::CloseResources);
        if let Role::Input(input) = &self.context.role {
            let (more, identity) = (input.rejections.not_logged(), &self.context.identity);
            if more > 0 {
                tracing::warn!(peer = %identity.peer, job = %identity.job, task = %identity.task.name, more, "and {more} more pieces of the input are no segments");
            }
        }
        let calls = self
            .context
            .lifecycles
            .iter()
            .filter_map(|calls| calls.after_task_stop.as_ref());
        for call in calls {
            let event = self.context.event(0);
            let result = guarded(Phase::CloseResources, || {
                call(&event).map_err(|error| Fault::in_phase(Phase::CloseResources, error))
            });
            if let Err(fault) = result {
                tracing::warn!(job = %event.job, task = %event.task, error = fault.message, "an after-task-stop call failed");
            }
        }
    }

    pub(super) fn exception(&self, fault: Fault) -> Exception {
        // Code that was interrupted has not failed.
        if !self.context.stop.is_set() {
            self.context.counters.add(Count::Exceptions, 1);
        }
        let identity = &self.context.identity;
        Exception {
            job: identity.job,
            task: identity.task.name.clone(),
            slot: identity.slot,
            phase: fault.phase,
            message: shortened(fault.message, MESSAGE_BYTES_MAX),
            segment: fault.segment,
        }
    }
}

/// Counts the time for which the output is blocked, also when the wait is dropped.
struct Blocked<'a> {
    since: Millis,
    clock: Clock,
    counters: &'a TaskCounters,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let blocked = self.clock.now().since(self.since);
        self.counters
            .add(Count::BlockedMs, blocked.as_millis() as u64);
    }
}

/// How long a stop waits for sources to take what it gives back.
const RELEASE_MAX: Duration = Duration::from_secs(1);

/// Clocks count milliseconds: a wait that is not over is at least one.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
