//! The task pipeline: runs the task that the replica gives its peer, on an arbiter of its own.

use super::supervision::{Obituary, runtime_has_ended};
use crate::coordination::CoordinationError;
use crate::ids::PeerId;
use crate::log::wants::{Assignment, TaskPhase};
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messages::task_pipeline::Reassign;
use crate::messages::virtual_peer::{TaskFailed, TaskProgressed, TaskVerdict};
use crate::plugins::Position;
use crate::task::exception::Exception;
use crate::task::lifecycles::Handling;
use crate::task::{StartFailed, TaskRun, TaskServices, Turn, save_position};
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use actix::{Recipient, ResponseFuture};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// One start of one task. It ends when it is stopped or its task fails; a new start is a new actor.
pub struct TaskPipeline {
    drive: Option<Drive>,
    orders: mpsc::UnboundedSender<Order>,
    assignment: Assignment,
    /// Kept for its drop.
    _obituary: Obituary,
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
    Stop(oneshot::Sender<()>),
}

impl TaskPipeline {
    /// A pipeline that starts its task as soon as it runs.
    pub fn new(start: TaskStart, obituary: Obituary) -> Self {
        // Orders are newer views of one assignment and one stop: few, and never refused.
        let (orders, received) = mpsc::unbounded_channel();
        let assignment = start.assignment.clone();
        let drive = Drive {
            start,
            orders: received,
            saving: None,
            saved: None,
        };
        TaskPipeline {
            drive: Some(drive),
            orders,
            assignment,
            _obituary: obituary,
        }
    }
}

/// The loop of a pipeline. It runs inside the actor, so that a bug in it is the actor's death.
struct Drive {
    start: TaskStart,
    orders: mpsc::UnboundedReceiver<Order>,
    /// A position on its way to coordination.
    saving: Option<BoxFuture<'static, (Position, Result<(), CoordinationError>)>>,
    /// The position saved last.
    saved: Option<Position>,
}

/// How a drive ended.
enum Ended {
    Stopped(oneshot::Sender<()>),
    Failed(TaskVerdict, String),
}

impl Drive {
    async fn run(mut self) -> Ended {
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
        let mut run = match started {
            Ok(run) => run,
            Err(StartFailed::Exception(exception, handling)) => {
                return Ended::Failed(verdict(handling), exception.to_string());
            }
            Err(StartFailed::Coordination(error)) => {
                return Ended::Failed(verdict_on(&error), error.to_string());
            }
        };
        let stopped = self.rounds(&mut run).await;
        if stopped.is_ok() {
            run.release().await;
            self.save_last(&mut run).await;
        }
        run.stopped();
        match stopped {
            Ok(confirm) => Ended::Stopped(confirm),
            Err(exception) => {
                Ended::Failed(verdict(run.handling(&exception)), exception.to_string())
            }
        }
    }

    async fn rounds(&mut self, run: &mut TaskRun) -> Result<oneshot::Sender<()>, Exception> {
        let mut told = TaskPhase::Starting;
        let mut checkpoints = tokio::time::interval(self.start.checkpoint_interval);
        loop {
            if run.should_seal() {
                run.seal()?;
            }
            if run.phase() > told {
                told = run.phase();
                self.tell(told);
            }
            let turn = run.turn()?;
            let order = match turn {
                // The arbiter's other work, and the actor's mailbox, get their turn.
                Turn::Worked => {
                    tokio::task::yield_now().await;
                    self.orders.try_recv().ok()
                }
                // What the last turn made true is told before sleeping.
                Turn::Wait(_) if run.phase() > told || run.should_seal() => None,
                Turn::Wait(wait) => tokio::select! {
                    biased;
                    order = self.orders.recv() => order,
                    (position, result) = saving(&mut self.saving) => {
                        self.saving = None;
                        self.position_saved(run, position, result)?;
                        None
                    }
                    _ = checkpoints.tick() => { self.save(run); None }
                    () = run.wait(wait) => None,
                },
            };
            match order {
                Some(Order::Reassign(assignment)) => run.reassign(assignment),
                Some(Order::Stop(confirm)) => return Ok(confirm),
                None => {}
            }
            if turn == Turn::Worked && checkpoints.tick().now_or_never().is_some() {
                self.save(run);
            }
            if let Some((position, result)) = self
                .saving
                .as_mut()
                .and_then(|saving| saving.now_or_never())
            {
                self.saving = None;
                self.position_saved(run, position, result)?;
            }
        }
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
        if self.saving.is_some() {
            return;
        }
        let Some(position) = run.completed_position() else {
            return;
        };
        if self.saved.as_ref() == Some(&position) {
            return;
        }
        let session = self.start.services.session.clone();
        let (assignment, peer) = (self.start.assignment.clone(), self.start.peer);
        let save = async move {
            let result = save_position(&*session, &assignment, peer, position.clone()).await;
            (position, result)
        };
        self.saving = Some(save.boxed());
    }

    fn position_saved(
        &mut self,
        run: &mut TaskRun,
        position: Position,
        result: Result<(), CoordinationError>,
    ) -> Result<(), Exception> {
        if let Err(error) = result {
            // A replacement would start further back; nothing is lost, and the next save follows.
            tracing::warn!(job = %self.start.assignment.job, task = %self.start.assignment.task, %error, "a position could not be saved");
            return Ok(());
        }
        run.position_saved(&position)?;
        self.saved = Some(position);
        Ok(())
    }

    /// A planned stop saves what is complete, so that the next owner of the slot repeats little.
    async fn save_last(&mut self, run: &mut TaskRun) {
        self.saving = None;
        self.save(run);
        let Some(saving) = self.saving.take() else {
            return;
        };
        let Ok((position, result)) = tokio::time::timeout(LAST_SAVE_MAX, saving).await else {
            return;
        };
        if let Err(exception) = self.position_saved(run, position, result) {
            tracing::warn!(job = %exception.job, task = %exception.task, %exception, "an input failed while it ended");
        }
    }
}

fn verdict(handling: Handling) -> TaskVerdict {
    match handling {
        Handling::Restart => TaskVerdict::RestartPeer,
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
        let Some(drive) = self.drive.take() else {
            return;
        };
        let failed = drive.start.failed.clone();
        let (incarnation, job) = (drive.start.incarnation, drive.start.assignment.job);
        ctx.spawn(
            wrap_future::<_, Self>(drive.run()).map(move |ended, _, ctx| {
                match ended {
                    Ended::Stopped(confirm) => {
                        // The asker may have stopped waiting; it is as well.
                        let _ = confirm.send(());
                    }
                    Ended::Failed(verdict, exception) => {
                        #[expect(
                            clippy::disallowed_methods,
                            reason = "a failure that is not told stalls the job"
                        )]
                        failed.do_send(TaskFailed {
                            incarnation,
                            job,
                            verdict,
                            exception,
                        });
                    }
                }
                ctx.stop();
            }),
        );
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

impl Handler<Stop> for TaskPipeline {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        let (confirm, confirmed) = oneshot::channel();
        let _ = self.orders.send(Order::Stop(confirm));
        confirmed.map(|_| ()).boxed_local()
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
        panic!("crashed by a test");
    }
}
