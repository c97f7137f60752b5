//! The task pipeline: runs the task that the replica gives its peer, on the threads of tasks.

use super::supervision::{Obituary, runtime_has_ended};
use super::task_pace::{LastSave, Stretch};
use super::task_threads::{TaskThreads, Watch};
use crate::coordination::CoordinationError;
use crate::ids::{AllocationVersion, PeerId};
use crate::log::wants::{Assignment, TaskPhase};
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messages::task_pipeline::{Abandon, Leave, Reassign};
use crate::messages::virtual_peer::{TaskFailed, TaskProgressed, TaskVerdict};
use crate::task::exception::Exception;
use crate::task::lifecycles::Handling;
use crate::task::{
    CheckpointError, InputTotals, Reached, StartFailed, TaskRun, TaskServices, Turn,
};
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use actix::{Recipient, ResponseFuture};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// One start of one task. It ends when it is stopped or its task fails; a new start is a new actor.
pub struct TaskPipeline {
    /// The drive, here or elsewhere; none once the actor has started.
    running: Option<LocalBoxFuture<'static, ()>>,
    orders: mpsc::UnboundedSender<Order>,
    assignment: Assignment,
}

/// What a pipeline needs to start.
pub struct TaskStart {
    /// What the peer lends it.
    pub services: TaskServices,
    /// The peer.
    pub peer: PeerId,
    /// What it is to run.
    pub assignment: Assignment,
    /// The peer's count of starts.
    pub incarnation: u64,
    /// Seeds the draws of ack values.
    pub seed: u64,
    /// How often an input's position is saved.
    pub checkpoint_interval: Duration,
    /// Hears how far the task is.
    pub progressed: Recipient<TaskProgressed>,
    /// Hears when it cannot go on.
    pub failed: Recipient<TaskFailed>,
}

enum Order {
    Reassign(Assignment),
    Leave(Assignment),
    Stop(oneshot::Sender<()>),
    /// A test wants to see it panic.
    Crash,
}

impl TaskPipeline {
    /// A pipeline that starts its task as soon as it runs, in the same thread.
    pub fn here(start: TaskStart, obituary: Obituary) -> Self {
        let assignment = start.assignment.clone();
        let (drive, orders) = Drive::new(start, obituary);
        TaskPipeline {
            running: Some(drive.run().boxed_local()),
            orders,
            assignment,
        }
    }

    /// A pipeline whose task starts now, on these threads; and a watch of it.
    pub fn on(threads: &TaskThreads, start: TaskStart, obituary: Obituary) -> (Self, Watch) {
        let assignment = start.assignment.clone();
        let (drive, orders) = Drive::new(start, obituary);
        let running = threads.run(drive.run());
        let watch = running.watch();
        let pipeline = TaskPipeline {
            // Of a panic its obituary tells.
            running: Some(running.map(drop).boxed_local()),
            orders,
            assignment,
        };
        (pipeline, watch)
    }
}

/// The loop of a pipeline. A bug in it is the actor's death.
struct Drive {
    start: TaskStart,
    orders: mpsc::UnboundedReceiver<Order>,
    /// What is on its way to coordination.
    saving: Option<Saving>,
    /// What was saved last.
    saved: Option<Reached>,
    last_save: LastSave,
    /// Whether the end of the input is.
    end: End,
    /// How many saves have failed since.
    failed_saves: u64,
    /// Dropped after everything that the task holds: nothing is left of it when that is told.
    _obituary: Obituary,
}

/// A save, and of the last one of an input what all its slots have read and rejected.
type Saving = BoxFuture<'static, (Reached, Saved)>;
type Saved = Result<Option<InputTotals>, CheckpointError>;

/// Whether it is saved that an input is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotSaved,
    OnItsWay,
    Saved,
}

/// How a drive ended.
enum Ended {
    Stopped(Asked),
    Failed(TaskVerdict, String),
}

/// How a drive was asked to end.
enum Asked {
    /// At once; the sender of the order waits for the end.
    ToStop(oneshot::Sender<()>),
    /// When it has finished what it had.
    ToLeave,
}

/// What became of a run.
enum Round {
    Ended(Ended),
    /// The slot was given to another by this version, which this peer has not read yet.
    Superseded(AllocationVersion),
    /// The slot is with a peer that was moved from it and finishes what it has.
    Held,
}

impl From<StartFailed> for Round {
    fn from(failed: StartFailed) -> Self {
        match failed {
            StartFailed::Exception(exception, handling) => {
                Round::Ended(Ended::Failed(verdict(handling), exception.to_string()))
            }
            StartFailed::Coordination(error) => {
                Round::Ended(Ended::Failed(verdict_on(&error), error.to_string()))
            }
            StartFailed::Superseded(version) => Round::Superseded(version),
            StartFailed::Held(_) => Round::Held,
        }
    }
}

impl Drive {
    /// A drive, and where it takes orders.
    fn new(start: TaskStart, obituary: Obituary) -> (Self, mpsc::UnboundedSender<Order>) {
        // Newer views of one assignment, and one stop: few, and never refused.
        let (orders, received) = mpsc::unbounded_channel();
        let drive = Drive {
            start,
            orders: received,
            saving: None,
            saved: None,
            last_save: LastSave::default(),
            end: End::NotSaved,
            failed_saves: 0,
            _obituary: obituary,
        };
        (drive, orders)
    }

    async fn run(mut self) {
        match self.end().await {
            Ended::Stopped(Asked::ToStop(confirm)) => {
                // The asker may have stopped waiting; it is as well.
                let _ = confirm.send(());
            }
            // Its obituary tells.
            Ended::Stopped(Asked::ToLeave) => {}
            Ended::Failed(verdict, exception) => {
                let failed = TaskFailed {
                    incarnation: self.start.incarnation,
                    job: self.start.assignment.job,
                    task: self.start.assignment.task.clone(),
                    verdict,
                    exception,
                };
                // Before its obituary, so that it is known why.
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a failure that is not told stalls the job"
                )]
                self.start.failed.do_send(failed);
            }
        }
    }

    async fn end(&mut self) -> Ended {
        loop {
            let TaskStart {
                services,
                peer,
                assignment,
                incarnation,
                seed,
                ..
            } = &self.start;
            let started =
                TaskRun::start(services, *peer, assignment.clone(), *incarnation, *seed).await;
            let asked = match started {
                Ok(run) => return self.run_started(run).await,
                Err(failed) if self.start.services.stop.is_set() => {
                    tracing::debug!(error = %failed, "a start was interrupted");
                    return Ended::Stopped(self.until_stopped().await);
                }
                Err(failed) => match failed.into() {
                    Round::Ended(ended) => return ended,
                    Round::Superseded(version) => self.stop_or_newer(version).await,
                    Round::Held => self.stop_or_a_while().await,
                },
            };
            if let Some(asked) = asked {
                return Ended::Stopped(asked);
            }
        }
    }

    /// Waits until this peer has read as far as whoever was given its slot. None when it has the slot
    /// then as well.
    async fn stop_or_newer(&mut self, version: AllocationVersion) -> Option<Asked> {
        let Assignment {
            job, task, slot, ..
        } = &self.start.assignment;
        tracing::info!(%job, %task, %slot, position = version.0, "the slot was given to another peer");
        loop {
            match self.orders.recv().await {
                Some(Order::Stop(confirm)) => return Some(Asked::ToStop(confirm)),
                // It has nothing to finish.
                Some(Order::Leave(_)) => return Some(Asked::ToLeave),
                Some(Order::Reassign(assignment)) if assignment.version >= version => {
                    self.start.assignment = assignment;
                    return None;
                }
                Some(Order::Reassign(_)) => {}
                Some(Order::Crash) => crash(),
                // The actor is gone, and with it this future.
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for a moment, so that the peer that has the slot can release it, or for a newer view of who
    /// leaves. None when the slot is to be claimed again.
    async fn stop_or_a_while(&mut self) -> Option<Asked> {
        let order = tokio::time::timeout(RELEASE_ASKED_AFTER, self.orders.recv()).await;
        match order {
            Ok(Some(Order::Stop(confirm))) => Some(Asked::ToStop(confirm)),
            Ok(Some(Order::Leave(_))) => Some(Asked::ToLeave),
            Ok(Some(Order::Reassign(assignment))) => {
                self.start.assignment = assignment;
                None
            }
            Ok(Some(Order::Crash)) => crash(),
            // The actor is gone, and with it this future.
            Ok(None) => std::future::pending().await,
            Err(_) => None,
        }
    }

    async fn run_started(&mut self, mut run: TaskRun) -> Ended {
        let stopped = self.rounds(&mut run).await;
        if stopped.is_ok() {
            run.release().await;
            self.save_last(&mut run).await;
        }
        run.stopped();
        let checkpoint = run.checkpoint().cloned();
        // Who waits below holds nothing that is another's.
        drop(run);
        if stopped.is_ok()
            && let Some(checkpoint) = checkpoint
        {
            let Assignment {
                job, task, slot, ..
            } = &self.start.assignment;
            match tokio::time::timeout(LAST_SAVE_MAX, checkpoint.release()).await {
                Ok(Ok(()) | Err(CheckpointError::Superseded(_))) => {}
                // Its successor claims it once this peer is ready elsewhere, or gone.
                Ok(Err(error)) => {
                    tracing::warn!(%job, %task, %slot, %error, "a slot was not released")
                }
                Err(_) => tracing::warn!(%job, %task, %slot, "a slot was not released in time"),
            }
        }
        match stopped {
            Ok(asked) => Ended::Stopped(asked),
            Err(Round::Ended(ended)) => ended,
            // No run claims a slot.
            Err(Round::Held) => Ended::Failed(TaskVerdict::RestartPeer, "the slot is held".into()),
            Err(Round::Superseded(version)) => match self.stop_or_newer(version).await {
                Some(asked) => Ended::Stopped(asked),
                // Its roots would be taken for those of the run that is over.
                None => {
                    let told = "the slot was another's meanwhile".to_owned();
                    Ended::Failed(TaskVerdict::RestartPeer, told)
                }
            },
        }
    }

    async fn rounds(&mut self, run: &mut TaskRun) -> Result<Asked, Round> {
        let mut told = TaskPhase::Starting;
        let mut checkpoints = tokio::time::interval(self.start.checkpoint_interval);
        let mut stretch = Stretch::default();
        loop {
            // The job has ended, or the node stops and the task was interrupted.
            if self.start.services.stop.is_set() {
                return Ok(self.until_stopped().await);
            }
            if run.should_seal() {
                run.seal(&self.start.services).await?;
            }
            if self.has_news(run, told) {
                told = run.phase();
                self.tell(told);
            }
            let turn = match run.turn() {
                Ok(turn) => turn,
                Err(exception) if self.start.services.stop.is_set() => {
                    tracing::debug!(%exception, "a batch was interrupted");
                    continue;
                }
                Err(exception) => return Err(threw(run, &exception)),
            };
            if run.phase() == TaskPhase::Exhausted && self.failed_saves == 0 {
                self.save_end(run);
            }
            if run.has_finished() {
                return Ok(Asked::ToLeave);
            }
            let order = match turn {
                Turn::Worked => {
                    if stretch.is_over(run.now()) {
                        // The arbiter's other work, and the actor's mailbox, get their turn.
                        tokio::task::yield_now().await;
                        if checkpoints.tick().now_or_never().is_some() || self.is_due_early(run) {
                            self.save(run);
                        }
                    }
                    self.orders.try_recv().ok()
                }
                // What the last turn made true is told before sleeping.
                Turn::Wait(_) if self.has_news(run, told) || run.should_seal() => None,
                Turn::Wait(wait) => tokio::select! {
                    biased;
                    order = self.orders.recv() => order,
                    (reached, result) = saving(&mut self.saving) => {
                        self.saving = None;
                        self.was_saved(run, reached, result)?;
                        None
                    }
                    _ = checkpoints.tick() => { self.save(run); None }
                    () = run.wait(wait) => None,
                },
            };
            match order {
                Some(Order::Reassign(assignment)) => run.reassign(assignment),
                Some(Order::Leave(assignment)) => run.leave(assignment),
                Some(Order::Stop(confirm)) => return Ok(Asked::ToStop(confirm)),
                Some(Order::Crash) => crash(),
                None => {}
            }
            if let Some((reached, result)) = self
                .saving
                .as_mut()
                .and_then(|saving| saving.now_or_never())
            {
                self.saving = None;
                self.was_saved(run, reached, result)?;
            }
        }
    }

    /// Waits for the stop that follows the flag. An abandoned task waits for ever: its future is dropped
    /// here.
    async fn until_stopped(&mut self) -> Asked {
        loop {
            match self.orders.recv().await {
                Some(Order::Stop(confirm)) => return Asked::ToStop(confirm),
                Some(Order::Reassign(_) | Order::Leave(_)) => {}
                Some(Order::Crash) => crash(),
                None => std::future::pending().await,
            }
        }
    }

    /// Whether the task has come further than was told. The end of an input is told when it is saved:
    /// when its job has completed, the account of it is whole.
    fn has_news(&self, run: &TaskRun, told: TaskPhase) -> bool {
        run.phase() > told && (run.phase() != TaskPhase::Exhausted || self.end == End::Saved)
    }

    fn tell(&self, phase: TaskPhase) {
        let progressed = TaskProgressed {
            incarnation: self.start.incarnation,
            phase,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "three of these in the life of a task; a lost one would stall the job"
        )]
        self.start.progressed.do_send(progressed);
    }

    fn save(&mut self, run: &TaskRun) {
        if self.saving.is_none()
            && let Some(reached) = run.reached()
        {
            self.save_that(run, reached);
        }
    }

    fn is_due_early(&self, run: &TaskRun) -> bool {
        let interval = self.start.checkpoint_interval;
        self.last_save
            .is_followed(run.settled(), run.now(), interval)
    }

    fn save_end(&mut self, run: &TaskRun) {
        if self.end != End::NotSaved || self.saving.is_some() {
            return;
        }
        self.save(run);
        self.end = match self.saving {
            Some(_) => End::OnItsWay,
            None => End::Saved,
        };
    }

    fn save_that(&mut self, run: &TaskRun, reached: Reached) {
        if self.saved.as_ref() == Some(&reached) {
            return;
        }
        let Some(checkpoint) = run.checkpoint().cloned() else {
            return;
        };
        self.last_save = LastSave {
            began: run.now(),
            settled: run.settled(),
        };
        let save = async move {
            let result = match checkpoint.save(&reached).await {
                Ok(()) if reached.is_at_end() => checkpoint
                    .whole_input()
                    .await
                    .map_err(CheckpointError::from),
                saved => saved.map(|()| None),
            };
            (reached, result)
        };
        self.saving = Some(save.boxed());
    }

    fn was_saved(
        &mut self,
        run: &mut TaskRun,
        reached: Reached,
        result: Saved,
    ) -> Result<(), Round> {
        match result {
            Ok(whole_input) => {
                if let Some(exception) = whole_input.and_then(|all| run.judge(all)) {
                    return Err(threw(run, &exception));
                }
                let before = self.saved.as_ref().and_then(Reached::position);
                if let Some(position) = reached.position().filter(|now| Some(*now) != before) {
                    let told = run.position_saved(position);
                    told.map_err(|exception| threw(run, &exception))?;
                }
                self.saved = Some(reached);
                if self.end == End::OnItsWay {
                    self.end = End::Saved;
                }
                let failed = std::mem::take(&mut self.failed_saves);
                if failed > 0 {
                    tracing::info!(job = %self.start.assignment.job, task = %self.start.assignment.task, failed, "positions can be saved again");
                }
            }
            Err(CheckpointError::Superseded(version)) => return Err(Round::Superseded(version)),
            Err(CheckpointError::Held(_)) => return Err(Round::Held),
            // It would be refused for ever, and the input would never get any further.
            Err(CheckpointError::Coordination(
                error @ (CoordinationError::TooLarge { .. } | CoordinationError::Refused { .. }),
            )) => return Err(StartFailed::Coordination(error).into()),
            Err(CheckpointError::Coordination(error)) => {
                self.end = End::NotSaved;
                // A replacement would start further back; nothing is lost, and the next save follows.
                // The first failure is told, and all are counted.
                run.position_not_saved();
                self.failed_saves += 1;
                if self.failed_saves == 1 {
                    tracing::warn!(job = %self.start.assignment.job, task = %self.start.assignment.task, %error, "positions cannot be saved for now");
                }
            }
        }
        Ok(())
    }

    /// A planned stop saves what is complete, so that the next owner of the slot repeats little.
    async fn save_last(&mut self, run: &mut TaskRun) {
        self.saving = None;
        if let Some(reached) = run.reached() {
            self.save_that(run, reached.left_behind());
        }
        let Some(saving) = self.saving.take() else {
            return;
        };
        let Ok((reached, result)) = tokio::time::timeout(LAST_SAVE_MAX, saving).await else {
            return;
        };
        if let Err(Round::Ended(Ended::Failed(_, reason))) = self.was_saved(run, reached, result) {
            tracing::warn!(job = %self.start.assignment.job, task = %self.start.assignment.task, reason, "an input failed while it ended");
        }
    }
}

fn crash() -> ! {
    panic!("crashed by a test");
}

fn threw(run: &TaskRun, exception: &Exception) -> Round {
    let verdict = verdict(run.handling(exception));
    Round::Ended(Ended::Failed(verdict, exception.to_string()))
}

fn verdict(handling: Handling) -> TaskVerdict {
    match handling {
        Handling::Restart => TaskVerdict::RestartTask,
        Handling::Kill | Handling::Defer => TaskVerdict::KillJob,
    }
}

/// What coordination refuses now it refuses the next peer as well; everything else may pass.
fn verdict_on(error: &CoordinationError) -> TaskVerdict {
    match error {
        CoordinationError::Refused { .. } | CoordinationError::TooLarge { .. } => {
            TaskVerdict::KillJob
        }
        CoordinationError::Interrupted(_)
        | CoordinationError::Expired
        | CoordinationError::LogLost(_)
        | CoordinationError::OriginUnusable(_)
        | CoordinationError::Misconfigured { .. }
        | CoordinationError::Unreachable { .. } => TaskVerdict::RestartPeer,
    }
}

/// A stop is not held up for longer by coordination that does not answer.
const LAST_SAVE_MAX: Duration = Duration::from_secs(2);

/// How long after it was held a slot is claimed again.
const RELEASE_ASKED_AFTER: Duration = Duration::from_millis(10);

async fn saving<T>(saving: &mut Option<BoxFuture<'static, T>>) -> T {
    match saving {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Actor for TaskPipeline {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if runtime_has_ended() {
            return;
        }
        if let Some(running) = self.running.take() {
            ctx.spawn(wrap_future::<_, Self>(running).map(|(), _, ctx| ctx.stop()));
        }
    }
}

impl Handler<Reassign> for TaskPipeline {
    type Result = ();

    fn handle(&mut self, Reassign(assignment): Reassign, _: &mut Context<Self>) {
        self.assignment = assignment.clone();
        // The drive may have ended a moment ago; then there is nothing to reassign.
        let _ = self.orders.send(Order::Reassign(assignment));
    }
}

impl Handler<Leave> for TaskPipeline {
    type Result = ();

    fn handle(&mut self, Leave(assignment): Leave, _: &mut Context<Self>) {
        let _ = self.orders.send(Order::Leave(assignment));
    }
}

impl Handler<Stop> for TaskPipeline {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        let (confirm, confirmed) = oneshot::channel();
        let _ = self.orders.send(Order::Stop(confirm));
        confirmed.map(|_| ()).boxed_local()
    }
}

impl Handler<Abandon> for TaskPipeline {
    type Result = ();

    /// Nobody waits for the task any more: it ends where it next comes out of user code.
    fn handle(&mut self, _: Abandon, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for TaskPipeline {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let detail = json!({
            "job": self.assignment.job,
            "task": self.assignment.task,
            "slot": self.assignment.slot,
        });
        MessageResult(ActorReport::of(Child::TaskPipeline, "running", detail))
    }
}

impl Handler<Crash> for TaskPipeline {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        let _ = self.orders.send(Order::Crash);
    }
}
