//! The task of a peer: the one that is wanted, the one that runs, and the way from one to the other.
//!
//! A planned stop and start is not a death and costs no membership.

use super::held_tasks::{HeldTasks, TaskOfPeer};
use super::interruption;
use super::supervision::Obituary;
use super::task_pipeline::{TaskPipeline, TaskStart};
use super::task_threads::{TaskThreads, Watch};
use super::virtual_peer::VirtualPeer;
use crate::ids::JobId;
use crate::log::wants::{self, Assignment, TaskPhase, parting};
use crate::messages::supervision::{ActorReport, Child, Crash, EndReason, Observe, Stop};
use crate::messages::task_pipeline::{Abandon, Leave, Reassign};
use crate::stop_flag::StopFlag;
use crate::task::{Beat, TaskServices};
use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, MailboxError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use std::pin::pin;
use std::time::Duration;

/// What runs and what should.
#[derive(Default)]
pub struct RunningTask {
    wanted: Option<Assignment>,
    running: Option<Pipeline>,
    /// The job whose task failed here. It is being killed, and not started again meanwhile.
    failed: Option<JobId>,
    starts: u64,
}

/// A pipeline that was started.
pub struct Pipeline {
    addr: Addr<TaskPipeline>,
    beat: Beat,
    stop: StopFlag,
    /// Of a task on threads that it may hold up.
    watch: Option<Watch>,
    incarnation: u64,
    /// Its name among the tasks of the node.
    start: TaskOfPeer,
    held_tasks: HeldTasks,
    assignment: Assignment,
    phase: TaskPhase,
    course: Course,
    stuck_after: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Running,
    /// It has lost its slot, and finishes what it has.
    Leaving,
    /// It was asked to stop, or told that it failed: nothing it says counts any more.
    Ending,
}

/// What became of the wish to abandon a pipeline.
pub(super) enum Abandonment {
    Done,
    /// As many as may be have not returned: the peer keeps this one.
    NoRoom,
    HasEnded,
}

/// What became of a pipeline that was watched.
enum Seen {
    Stuck,
    Ended,
}

/// Where pipelines run.
#[derive(Clone)]
pub enum Placement {
    /// On threads that run nothing else: user code takes as long as it takes.
    On(TaskThreads),
    /// With everything else, so that a test has one clock.
    Here,
}

impl RunningTask {
    /// What should run from now on.
    pub(super) fn want(&mut self, wanted: Option<Assignment>) {
        self.wanted = wanted.filter(|wanted| self.failed != Some(wanted.job));
    }

    /// What the running task has reached.
    pub(super) fn facts(&self) -> Option<wants::RunningTask> {
        let pipeline = self
            .running
            .as_ref()
            .filter(|pipeline| pipeline.is_running())?;
        let Assignment {
            job, task, slot, ..
        } = &pipeline.assignment;
        Some(wants::RunningTask {
            job: *job,
            task: task.clone(),
            slot: *slot,
            phase: pipeline.phase,
        })
    }

    /// Takes one step towards what is wanted: tells the running task what changed, or ends it, or
    /// starts another. Called again when that is done.
    pub(super) fn reconcile(peer: &mut VirtualPeer, ctx: &mut Context<VirtualPeer>) {
        interruption::interrupt_if_job_ended(peer, ctx);
        let this = &mut peer.task;
        match (&mut this.running, &this.wanted) {
            (Some(running), Some(wanted)) if running.is_running() && running.serves(wanted) => {
                running.reassign(wanted.clone());
            }
            (Some(running), _) if running.course != Course::Ending => {
                let replica = &peer.snapshot.replica;
                match parting(replica, peer.me.me, &running.assignment) {
                    Some(seen) if running.course == Course::Leaving => running.reassign(seen),
                    Some(seen) => running.leave(seen, ctx),
                    None => running.end(ctx),
                }
            }
            (None, Some(wanted)) => {
                let wanted = wanted.clone();
                let pipeline = start(peer, wanted, ctx);
                if let Some(watch) = pipeline.watch() {
                    let incarnation = pipeline.incarnation;
                    let watch = wrap_future::<_, VirtualPeer>(watch);
                    ctx.spawn(watch.map(move |seen, peer, ctx| match seen {
                        Seen::Stuck => give_up_on(peer, incarnation, ctx),
                        Seen::Ended => {}
                    }));
                }
                peer.task.running = Some(pipeline);
            }
            (Some(_) | None, _) => {}
        }
    }

    /// The task that leaves its slot has had long enough.
    fn has_left_for_long(&mut self, incarnation: u64, ctx: &mut Context<VirtualPeer>) {
        if let Some(running) = &mut self.running
            && running.incarnation == incarnation
            && running.course == Course::Leaving
        {
            let Assignment { job, task, .. } = &running.assignment;
            tracing::warn!(%job, %task, after = ?HAND_OVER_MAX, "a task could not finish what it had; the rest is given back");
            running.end(ctx);
        }
    }

    /// A pipeline has come further. Whether that is news.
    pub(super) fn progressed(&mut self, incarnation: u64, phase: TaskPhase) -> bool {
        match &mut self.running {
            Some(running) if running.incarnation == incarnation && running.is_running() => {
                running.phase = phase;
                true
            }
            _ => false,
        }
    }

    /// Whether word from a pipeline counts.
    pub(super) fn is_current(&self, incarnation: u64) -> bool {
        let running = self.running.as_ref();
        let counts = |running: &Pipeline| running.course != Course::Ending;
        running.is_some_and(|running| running.incarnation == incarnation && counts(running))
    }

    /// The running task failed and waits for its job's end.
    pub(super) fn failed(&mut self) {
        if let Some(running) = &mut self.running {
            running.course = Course::Ending;
            self.failed = Some(running.assignment.job);
            self.wanted = None;
        }
    }

    /// A pipeline is gone. Whether it should not be.
    pub(super) fn died(&mut self, incarnation: u64) -> bool {
        if self
            .running
            .as_ref()
            .is_none_or(|running| running.incarnation != incarnation)
        {
            return false;
        }
        let gone = self.running.take();
        gone.is_some_and(|gone| gone.course != Course::Ending)
    }

    /// The pipeline, for an end of the peer. Whoever drops it abandons it.
    pub(super) fn take(&mut self) -> Option<Pipeline> {
        self.wanted = None;
        self.running.take()
    }

    /// The pipeline that has not ended.
    pub(super) fn current(&self) -> Option<&Pipeline> {
        self.running.as_ref()
    }

    /// The pipeline of a start, if it has not ended.
    pub(super) fn pipeline(&self, incarnation: u64) -> Option<&Pipeline> {
        let running = self.running.as_ref();
        running.filter(|running| running.incarnation == incarnation)
    }

    /// Abandons a pipeline with its thread.
    pub(super) fn abandon(&mut self, incarnation: u64, held: &HeldTasks) -> Abandonment {
        let Some(running) = self.pipeline(incarnation) else {
            return Abandonment::HasEnded;
        };
        if !running.held_for().is_zero() && !held.have_room() {
            return Abandonment::NoRoom;
        }
        let Assignment {
            job, task, slot, ..
        } = &running.assignment;
        let (call, held_ms) = (running.beat.call(), running.held_for().as_millis());
        tracing::warn!(%job, %task, %slot, call, held_ms, "a task does not return from user code; it is abandoned with its thread");
        self.running = None;
        Abandonment::Done
    }

    /// Asks the pipeline how it is.
    pub(super) fn observe(
        &self,
    ) -> Option<LocalBoxFuture<'static, Result<ActorReport, MailboxError>>> {
        let running = self.running.as_ref()?;
        let is_held = |watch: &Watch| watch.held_for() >= HELD_MAX;
        let state = match running.watch.as_ref().is_some_and(is_held) {
            true => "busy".to_owned(),
            false if running.course == Course::Leaving => "leaving".to_owned(),
            false => format!("{:?}", running.phase).to_lowercase(),
        };
        let asked = running.addr.send(Observe);
        let answer = asked.map(|answer| answer.map(|report| ActorReport { state, ..report }));
        Some(answer.boxed_local())
    }

    pub(super) fn crash(&self) {
        if let Some(running) = &self.running {
            let _ = running.addr.try_send(Crash(Child::TaskPipeline));
        }
    }
}

/// Abandons the task of a live job that is stuck. Its peer ends with it, so that the inputs of the job
/// play again what it had.
fn give_up_on(peer: &mut VirtualPeer, incarnation: u64, ctx: &mut Context<VirtualPeer>) {
    match peer.task.abandon(incarnation, &peer.services.held_tasks) {
        Abandonment::Done => {
            let cause = "a task was stuck in user code; it is abandoned";
            peer.end(ctx, EndReason::Stuck, cause);
        }
        Abandonment::NoRoom => {
            ctx.run_later(ROOM_AWAITED, move |peer, ctx| {
                give_up_on(peer, incarnation, ctx);
            });
        }
        Abandonment::HasEnded => {}
    }
}

/// A task that leaves its slot gives back what it has not finished by then: its peer has other work to
/// do, and the next holder of the slot waits for it.
const HAND_OVER_MAX: Duration = Duration::from_secs(10);

/// After this time it is seen again whether one more task can be abandoned.
const ROOM_AWAITED: Duration = Duration::from_secs(1);

/// A task that has been in user code for so long is called busy.
const HELD_MAX: Duration = Duration::from_millis(500);

fn start(
    peer: &mut VirtualPeer,
    assignment: Assignment,
    ctx: &mut Context<VirtualPeer>,
) -> Pipeline {
    peer.task.starts += 1;
    let incarnation = peer.task.starts;
    let services = &peer.services;
    let (beat, stop) = (Beat::default(), StopFlag::default());
    let start = TaskStart {
        services: TaskServices {
            beat: beat.clone(),
            stop: stop.clone(),
            ..services.task.clone()
        },
        peer: peer.me.me,
        assignment: assignment.clone(),
        incarnation,
        seed: services.draw(),
        checkpoint_interval: services.checkpoint_interval,
        progressed: ctx.address().recipient(),
        failed: ctx.address().recipient(),
    };
    let supervisor = ctx.address().recipient();
    let obituary = Obituary::of(
        Child::TaskPipeline,
        incarnation,
        supervisor,
        &services.census,
    );
    let (pipeline, watch) = match &services.placement {
        Placement::Here => (TaskPipeline::here(start, obituary), None),
        Placement::On(threads) => {
            let (pipeline, watch) = TaskPipeline::on(threads, start, obituary);
            (pipeline, Some(watch))
        }
    };
    let task_of_peer = TaskOfPeer::of(peer.me.me, incarnation, &assignment);
    if let Some(watch) = &watch {
        services
            .held_tasks
            .add(task_of_peer.clone(), beat.clone(), watch.clone());
    }
    let addr = pipeline.start();
    tracing::info!(peer = %peer.me.me, job = %assignment.job, task = %assignment.task, slot = %assignment.slot, position = %assignment.version, "task starts");
    let stuck_after = services.stuck_after;
    let (phase, course) = (TaskPhase::Starting, Course::Running);
    let held_tasks = services.held_tasks.clone();
    Pipeline {
        addr,
        beat,
        stop,
        watch,
        incarnation,
        start: task_of_peer,
        held_tasks,
        assignment,
        phase,
        course,
        stuck_after,
    }
}

impl Pipeline {
    /// Whether an assignment is the one it runs, seen from a newer replica. A change of the part
    /// that an input reads is another assignment; and so is one of the slots beside an output that is
    /// sealed: what is left of those that went is its to seal.
    fn serves(&self, wanted: &Assignment) -> bool {
        let mine = &self.assignment;
        let part = |assignment: &Assignment| (assignment.rank, assignment.slots);
        let same = match (wanted.read, self.phase) {
            (wants::Read::Wait | wants::Read::Go, _) => part(mine) == part(wanted),
            (wants::Read::No, TaskPhase::Sealed) => mine.held == wanted.held,
            (wants::Read::No, _) => true,
        };
        same && (mine.job, &mine.task, mine.slot) == (wanted.job, &wanted.task, wanted.slot)
    }

    fn is_running(&self) -> bool {
        self.course == Course::Running
    }

    /// Tells the task what changed, if anything did.
    fn reassign(&mut self, assignment: Assignment) {
        if self.assignment != assignment {
            self.assignment = assignment.clone();
            #[expect(
                clippy::disallowed_methods,
                reason = "a pipeline that does not hear of its routes stalls the job"
            )]
            self.addr.do_send(Reassign(assignment));
        }
    }

    /// Lets the task finish what it has, within a bound.
    fn leave(&mut self, seen: Assignment, ctx: &mut Context<VirtualPeer>) {
        self.course = Course::Leaving;
        self.assignment = seen.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "a pipeline that does not hear of it goes on for ever"
        )]
        self.addr.do_send(Leave(seen));
        let incarnation = self.incarnation;
        let patience = wrap_future::<_, VirtualPeer>(tokio::time::sleep(HAND_OVER_MAX));
        ctx.spawn(patience.map(move |(), peer, ctx| {
            peer.task.has_left_for_long(incarnation, ctx);
        }));
    }

    /// Ends the task now.
    fn end(&mut self, ctx: &mut Context<VirtualPeer>) {
        self.course = Course::Ending;
        let stop = self.addr.send(Stop);
        let incarnation = self.incarnation;
        let patience = tokio::time::timeout(self.stuck_after, stop);
        ctx.spawn(
            wrap_future::<_, VirtualPeer>(patience).map(move |stopped, peer, ctx| {
                if stopped.is_err() {
                    give_up_on(peer, incarnation, ctx);
                }
            }),
        );
    }

    /// How long it has been in one call of user code.
    pub(super) fn held_for(&self) -> Duration {
        let watch = self.watch.as_ref();
        watch.map_or(Duration::ZERO, Watch::held_for)
    }

    /// The number of its start.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The job of its task.
    pub(super) fn job(&self) -> JobId {
        self.assignment.job
    }

    /// Sets the stop flag of the task.
    pub(super) fn interrupt(&self) {
        self.stop.set();
    }

    /// Whether the stop flag is set.
    pub(super) fn is_interrupted(&self) -> bool {
        self.stop.is_set()
    }

    /// Stops the task: its batch is finished, its output flushed, its position saved. One that is in one
    /// call of user code for `blocked_after` meanwhile is interrupted, and abandoned if that is of no use.
    pub(super) async fn stop(self, blocked_after: Duration) {
        let mut stopped = pin!(self.addr.send(Stop));
        let is_stopped = tokio::select! {
            stopped = tokio::time::timeout(self.stuck_after, &mut stopped) => stopped.is_ok(),
            () = self.blocks_for(blocked_after) => {
                self.interrupt();
                tokio::time::timeout(StopFlag::GRACE, &mut stopped).await.is_ok()
            }
        };
        if is_stopped {
            return;
        }
        tracing::warn!(job = %self.assignment.job, task = %self.assignment.task, call = self.beat.call(), "a task did not stop; it is abandoned with its thread");
    }

    /// Returns once the task has been in one call of user code for `time`, counted from now.
    async fn blocks_for(&self, time: Duration) {
        let Some(watch) = &self.watch else {
            return std::future::pending().await;
        };
        loop {
            let before = self.beat.count();
            tokio::time::sleep(time).await;
            if watch.held_for() >= time && self.beat.count() == before {
                return;
            }
        }
    }

    /// Comes back when the task ends, or when it has neither come out of user code nor come through a
    /// segment for `stuck_after`. Opening a medium may take as long as it takes.
    fn watch(&self) -> Option<impl Future<Output = Seen> + use<>> {
        let watch = self.watch.clone()?;
        let (beat, stuck_after) = (self.beat.clone(), self.stuck_after);
        Some(async move {
            loop {
                tokio::time::sleep(stuck_after / 2).await;
                let before = beat.count();
                tokio::time::sleep(stuck_after).await;
                if watch.has_ended() {
                    return Seen::Ended;
                }
                let stands = before > 0 && beat.count() == before;
                // Otherwise it is slow, and gets on.
                if stands && watch.held_for() >= stuck_after {
                    return Seen::Stuck;
                }
            }
        })
    }
}

impl Drop for Pipeline {
    /// Nobody waits for it any more. One that has ended does not hear of it.
    fn drop(&mut self) {
        self.stop.set();
        self.held_tasks.abandoned_by_peer(&self.start);
        #[expect(
            clippy::disallowed_methods,
            reason = "a pipeline that does not hear of it would go on"
        )]
        self.addr.do_send(Abandon);
    }
}
