//! Starting a task: read what the job is, make the function and the plugin, open the inbox.

use super::context::{BatchWork, Identity, InputSide, Role, RootsTold, Supply, TaskContext};
use super::counters::Counters;
use super::dead_letters::DeadLetters;
use super::exception::{Exception, Fault, MESSAGE_BYTES_MAX, Phase, guarded, handle, shortened};
use super::lifecycles::{Handling, LifecycleCalls};
use super::outbound::Outbound;
use super::registry::Registry;
use super::run::TaskRun;
use super::traces::Traces;
use crate::acking::{Ackers, Pending, PendingRules, RetryRule, Timeouts};
use crate::clock::Clock;
use crate::codec::Decoder;
use crate::codec::{from_payload, to_payload};
use crate::coordination::{
    Coordination, CoordinationError, Node, Put, SessionLease, Written, patiently, read_blob,
    read_job, write_blob,
};
use crate::functions::TaskFunction;
use crate::ids::PeerId;
use crate::job::{Job, Task, TaskKind};
use crate::log::wants::{Assignment, TaskPhase};
use crate::messaging::{InboxKind, Transport};
use crate::plugins::{PluginContext, PluginFactory, Position, Start};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

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
}

/// What is stored of a slot that has run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Checkpoint {
    /// Which part of the input the position is of, and of how many.
    rank: u32,
    slots: u32,
    /// Who wrote it.
    peer: PeerId,
    /// Where an input is; none when nothing has completed, or for an output.
    position: Option<Position>,
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
        let lifecycles = lifecycles(services, &job, &task).map_err(refused)?;
        let fail = |fault: Fault| StartFailed::refused(&assignment, fault, &lifecycles);
        let start = match task.kind {
            TaskKind::Function => Start::Fresh,
            TaskKind::Input | TaskKind::Output => {
                mark_start(&*services.session, &assignment, peer).await?
            }
        };
        let identity = Identity {
            job: assignment.job,
            task: task.clone(),
            peer,
            slot: assignment.slot,
            epoch,
            version: assignment.version,
        };
        let counters = services.counters.of(assignment.job, &task.name);
        let function = function(services, &task).map_err(fail)?;
        let role = role(services, &identity, &assignment, start, seed).map_err(fail)?;
        let inbox = services
            .transport
            .open_inbox(peer, InboxKind::Task, services.inbox_batches)
            .map_err(|error| fail(Fault::in_phase(Phase::StartTask, error)))?;
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
            ack_sequences: BTreeMap::new(),
            decoder: Decoder::default(),
            draws: SmallRng::seed_from_u64(seed),
            counters,
            traces: services.traces.clone(),
            now: services.clock.now(),
            told: RootsTold::default(),
            rejections_told: 0,
            burials_told: 0,
        };
        before_start(&context, &lifecycles).map_err(fail)?;
        context.lifecycles = lifecycles;
        let (batch, clock, phase) = (BatchWork::default(), services.clock, TaskPhase::Ready);
        Ok(TaskRun {
            context,
            batch,
            clock,
            assignment,
            phase,
        })
    }
}

/// Saves how far a slot has completed.
pub async fn save_position(
    session: &dyn Coordination,
    assignment: &Assignment,
    peer: PeerId,
    position: Position,
) -> Result<(), CoordinationError> {
    let data = encoded(assignment, peer, Some(position))?;
    write_blob(session, checkpoint_node(assignment), data, Put::Always)
        .await
        .map(|_| ())
}

fn encoded(
    assignment: &Assignment,
    peer: PeerId,
    position: Option<Position>,
) -> Result<Vec<u8>, CoordinationError> {
    let checkpoint = Checkpoint {
        rank: assignment.rank,
        slots: assignment.slots,
        peer,
        position,
    };
    to_payload(&checkpoint).map_err(|error| unreadable(assignment, error))
}

fn checkpoint_node(assignment: &Assignment) -> Node {
    Node::Checkpoint(assignment.job, assignment.task.clone(), assignment.slot)
}

fn unreadable(assignment: &Assignment, error: impl std::fmt::Display) -> CoordinationError {
    CoordinationError::Refused {
        what: format!(
            "the checkpoint of task {} slot {}",
            assignment.task, assignment.slot
        ),
        reason: error.to_string(),
    }
}

/// Whether somebody has run this slot before, and leaves word that somebody has now: before the
/// first byte is written, so that a replacement never takes another's output for a stale file.
async fn mark_start(
    session: &dyn Coordination,
    assignment: &Assignment,
    peer: PeerId,
) -> Result<Start, CoordinationError> {
    let node = || checkpoint_node(assignment);
    let look = || read_blob(session, node());
    let mut stored = patiently(session, look).await?;
    if stored.is_none() {
        // Of two that find nothing, one is the first.
        let mark = encoded(assignment, peer, None)?;
        let put = || session.put(node(), mark.clone(), Put::IfAbsent);
        if patiently(session, put).await? == Written::Yes {
            return Ok(Start::Fresh);
        }
        stored = patiently(session, look).await?;
        // It may be ours, from a write whose outcome was unknown.
        if stored.as_ref() == Some(&mark) {
            return Ok(Start::Fresh);
        }
    }
    let data = stored.ok_or_else(|| unreadable(assignment, "it was there a moment ago"))?;
    let checkpoint: Checkpoint =
        from_payload(&data).map_err(|error| unreadable(assignment, error))?;
    // A position within another part says nothing about this one.
    let same_part = (checkpoint.rank, checkpoint.slots) == (assignment.rank, assignment.slots);
    Ok(Start::Resumed(checkpoint.position.filter(|_| same_part)))
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
    fn refused(assignment: &Assignment, fault: Fault, lifecycles: &[LifecycleCalls]) -> Self {
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

fn function(services: &TaskServices, task: &Task) -> Result<Option<TaskFunction>, Fault> {
    if task.function.is_none() {
        return Ok(None);
    }
    guarded(Phase::StartTask, || {
        let built = services.registry.functions.build(task);
        built
            .map(Some)
            .map_err(|error| Fault::in_phase(Phase::StartTask, error))
    })
}

fn role(
    services: &TaskServices,
    identity: &Identity,
    assignment: &Assignment,
    start: Start,
    seed: u64,
) -> Result<Role, Fault> {
    let task = &*identity.task;
    let Some(name) = &task.plugin else {
        return Ok(Role::Function);
    };
    let fault = |text: String| Fault::in_phase(Phase::StartTask, text);
    let factory = services.registry.plugins.get(name);
    let factory = factory.ok_or_else(|| fault(format!("this node has no plugin `{name}`")))?;
    let context = PluginContext {
        job: assignment.job,
        task,
        slot: assignment.slot,
        rank: assignment.rank,
        slots: assignment.slots,
        start: start.clone(),
    };
    guarded(Phase::StartTask, || match factory {
        PluginFactory::Output(make) => make(&context)
            .map(Role::Output)
            .map_err(|error| fault(error.to_string())),
        PluginFactory::Input(make) => {
            let plugin = make(&context).map_err(|error| fault(error.to_string()))?;
            let counters = services.counters.of(identity.job, &task.name);
            Ok(Role::Input(Box::new(InputSide {
                plugin,
                pending: Pending::new(pending_rules(task, seed), services.clock.now()),
                ackers: Ackers::of(identity.peer, &assignment.ackers),
                oldest: counters.oldest_of_run(),
                traced: BTreeSet::new(),
                dead_letters: dead_letters(task, &start)?,
                supply: Supply::More,
                drained: false,
            })))
        }
    })
}

fn pending_rules(task: &Task, seed: u64) -> PendingRules {
    let millis = |n: std::num::NonZeroU32| Duration::from_millis(n.get().into());
    let timeouts = Timeouts {
        pending: millis(task.pending_timeout_ms),
        tick: millis(task.input_retry_timeout_ms),
    };
    PendingRules {
        timeouts,
        retries: RetryRule {
            retries_max: task.max_retries.get(),
            first_wait: timeouts.tick,
            longest_wait: timeouts.pending,
            seed,
        },
        pending_max: task.max_pending.get() as usize,
        batch_size: task.batch_size.get() as usize,
    }
}

fn dead_letters(task: &Task, start: &Start) -> Result<Option<DeadLetters>, Fault> {
    let Some(path) = &task.dead_letter else {
        return Ok(None);
    };
    let letters = DeadLetters::new(path, start);
    letters.map(Some).map_err(|error| {
        let text = format!("cannot take away the dead letters of an earlier job, {path}: {error}");
        Fault::in_phase(Phase::StartTask, text)
    })
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
