//! Starting a task: read what the job is, make the function and the plugin, open the inbox.

use super::acks::GatheredAcks;
use super::beat::Beat;
use super::checkpoint::CheckpointError;
use super::context::{BatchWork, Identity, RootsTold, TaskContext};
use super::counters::Counters;
use super::exception::{Exception, Fault, MESSAGE_BYTES_MAX, Phase, guarded, handle, shortened};
use super::lifecycles::{Handling, LifecycleCalls};
use super::medium::Medium;
use super::outbound::Outbound;
use super::registry::Registry;
use super::run::{Course, TaskRun, senders};
use super::traces::Traces;
use crate::clock::Clock;
use crate::codec::Decoder;
use crate::coordination::{Coordination, CoordinationError, SessionLease, patiently, read_job};
use crate::functions::Application;
use crate::ids::{AllocationVersion, PeerId};
use crate::job::{Job, Task, TaskKind};
use crate::log::wants::{Assignment, TaskPhase};
use crate::messaging::{InboxKind, Transport};
use crate::stop_flag::StopFlag;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a peer lends its tasks.
#[derive(Clone)]
pub struct TaskServices {
    /// The session.
    pub session: Arc<dyn Coordination>,
    /// Until when they may act on it.
    pub lease: SessionLease,
    /// The transport.
    pub transport: Arc<dyn Transport>,
    /// What jobs can name.
    pub registry: Arc<Registry>,
    /// What is counted.
    pub counters: Counters,
    /// What is known of single roots.
    pub traces: Traces,
    /// The time.
    pub clock: Clock,
    /// Batches that wait in an inbox before it pushes back.
    pub inbox_batches: usize,
    /// Whether the task gets on.
    pub beat: Beat,
    /// Stops the task's work in the middle of a segment once its job has ended.
    pub stop: StopFlag,
}

/// Why a task did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartFailed {
    /// User code or a plugin refused, and this is what the job's handlers say to it.
    #[error("{0}")]
    Exception(Exception, Handling),
    /// Coordination did not give what is needed.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
    /// The slot was given to another since, by this version of the allocation.
    #[error("the slot was given to another peer by allocation {}", .0.0)]
    Superseded(AllocationVersion),
    /// A peer that was moved from the slot finishes what it has.
    #[error("the slot is still with peer {0}, which finishes what it has")]
    Held(PeerId),
}

impl From<CheckpointError> for StartFailed {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Superseded(version) => StartFailed::Superseded(version),
            CheckpointError::Held(by) => StartFailed::Held(by),
            CheckpointError::Coordination(error) => StartFailed::Coordination(error),
        }
    }
}

impl TaskRun {
    /// Starts the task of an assignment on a peer. `epoch` is the peer's count of starts, `seed`
    /// seeds the draws of ack values and must be different for every start.
    pub async fn start(
        services: &TaskServices,
        peer: PeerId,
        assignment: Assignment,
        epoch: u64,
        seed: u64,
    ) -> Result<TaskRun, StartFailed> {
        let job = stored_job(services, &assignment).await?;
        let refused = |fault: Fault| StartFailed::refused(&assignment, fault, &[]);
        let Some(task) = job.task(&assignment.task).cloned().map(Arc::new) else {
            let text = "the job's catalog has no such task";
            return Err(refused(Fault::in_phase(Phase::StartTask, text)));
        };
        services.beat.is_of(&task);
        services.beat.enter(Phase::StartTask);
        let lifecycles = lifecycles(services, &job, &task).map_err(refused)?;
        let fail = |fault: Fault| StartFailed::refused(&assignment, fault, &lifecycles);
        let medium = Medium::claim(services, &assignment, &task, peer, epoch)
            .await
            .map_err(|failed| failed.about(&assignment, &lifecycles))?;
        let identity = identity(&assignment, &task, peer, epoch);
        let counters = services.counters.of(assignment.job, &task.name);
        services.beat.beat();
        let function = function(services, &task).map_err(fail)?;
        // A medium may take as long as it takes to open.
        services.beat.rest();
        let role = medium
            .role(services, &identity, &assignment, seed)
            .map_err(fail)?;
        let checkpoint = medium.opened().await?;
        let inbox = services
            .transport
            .open_inbox(peer, InboxKind::Task, services.inbox_batches)
            .map_err(|error| fail(Fault::in_phase(Phase::StartTask, error)))?;
        inbox.serve(assignment.job, assignment.task.clone());
        let mut outbound = Outbound::new(services.transport.clone(), counters.clone());
        outbound.reroute(&assignment.downstream);
        let mut context = TaskContext {
            identity,
            lease: services.lease.clone(),
            role,
            function,
            lifecycles: Vec::new(),
            inbox,
            arrived: VecDeque::new(),
            outbound,
            acks: GatheredAcks::default(),
            decoder: Decoder::default(),
            draws: SmallRng::seed_from_u64(seed),
            counters,
            beat: services.beat.clone(),
            stop: services.stop.clone(),
            traces: services.traces.clone(),
            now: services.clock.now(),
            told: RootsTold::default(),
            burials_told: 0,
        };
        context.beat.beat();
        before_start(&context, &lifecycles).map_err(fail)?;
        context.lifecycles = lifecycles;
        let (batch, clock, phase) = (BatchWork::default(), services.clock, TaskPhase::Ready);
        Ok(TaskRun {
            context,
            batch,
            clock,
            assignment,
            phase,
            course: Course::Staying,
            checkpoint,
        })
    }
}

fn identity(assignment: &Assignment, task: &Arc<Task>, peer: PeerId, epoch: u64) -> Identity {
    Identity {
        job: assignment.job,
        task: task.clone(),
        peer,
        slot: assignment.slot,
        epoch,
        version: assignment.version,
        upstream: senders(assignment).collect(),
    }
}

async fn stored_job(services: &TaskServices, assignment: &Assignment) -> Result<Job, StartFailed> {
    let session = &*services.session;
    let job = patiently(session, || read_job(session, assignment.job)).await?;
    job.ok_or_else(|| {
        let text = "the job's data is not where it was submitted to";
        StartFailed::refused(assignment, Fault::in_phase(Phase::StartTask, text), &[])
    })
}

impl StartFailed {
    pub(super) fn refused(
        assignment: &Assignment,
        fault: Fault,
        lifecycles: &[LifecycleCalls],
    ) -> Self {
        let exception = Exception {
            job: assignment.job,
            task: assignment.task.clone(),
            slot: assignment.slot,
            phase: fault.phase,
            message: shortened(fault.message, MESSAGE_BYTES_MAX),
            segment: fault.segment,
        };
        let handling = handle(lifecycles, &exception);
        StartFailed::Exception(exception, handling)
    }
}

fn function(services: &TaskServices, task: &Task) -> Result<Application, Fault> {
    let function = guarded(Phase::StartTask, || {
        let built = services.registry.functions.build(task, &services.stop);
        built.map_err(|error| Fault::in_phase(Phase::StartTask, error))
    })?;
    let function = match task.kind {
        TaskKind::Output => function.on_decoded(),
        TaskKind::Input | TaskKind::Function => function,
    };
    Ok(function.into_application())
}

fn lifecycles(
    services: &TaskServices,
    job: &Job,
    task: &Task,
) -> Result<Vec<LifecycleCalls>, Fault> {
    let mine = job
        .lifecycles
        .iter()
        .filter(|lifecycle| lifecycle.task.covers(&task.name));
    mine.map(|lifecycle| {
        services
            .registry
            .lifecycles
            .get(&lifecycle.calls)
            .cloned()
            .ok_or_else(|| {
                let text = format!("this node has no lifecycle calls `{}`", lifecycle.calls);
                Fault::in_phase(Phase::StartTask, text)
            })
    })
    .collect()
}

fn before_start(context: &TaskContext, lifecycles: &[LifecycleCalls]) -> Result<(), Fault> {
    let calls = lifecycles
        .iter()
        .filter_map(|calls| calls.before_task_start.as_ref());
    for call in calls {
        let event = context.event(0);
        guarded(Phase::StartTask, || {
            call(&event).map_err(|error| Fault::in_phase(Phase::StartTask, error))
        })?;
    }
    Ok(())
}
