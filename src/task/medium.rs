//! The medium of a slot as its holder begins with it: claimed first, then opened.

use super::checkpoint::{Checkpoint, CheckpointError, Claimed, Holder, claim};
use super::context::{Identity, InputSide, Role, Supply};
use super::dead_letters::DeadLetters;
use super::exception::{Fault, Phase, guarded};
use super::lifecycles::LifecycleCalls;
use super::reached::Reached;
use super::rejections::Rejections;
use super::start::{StartFailed, TaskServices};
use super::survey::survey;
use crate::acking::{Ackers, Pending, PendingRules, RetryRule, Timeouts};
use crate::coordination::CoordinationError;
use crate::ids::{PeerId, SlotId};
use crate::job::{Task, TaskKind};
use crate::log::wants::Assignment;
use crate::plugins::{Output, PluginContext, PluginError, PluginFactory};
use crate::segment::Segment;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a task reads or writes, claimed for its peer; functions have none.
pub(super) enum Medium {
    /// A function has none.
    None,
    /// Of an input or output.
    OfSlot(Box<SlotMedium>),
}

/// The medium of one slot.
pub(super) struct SlotMedium {
    checkpoint: Checkpoint,
    claimed: Claimed,
    slot: SlotId,
    survey: Option<Segment>,
}

/// Why a medium could not be claimed.
pub(super) enum ClaimFailed {
    /// The plugin refused.
    Plugin(Fault),
    /// The slot is another's, or coordination did not answer.
    Checkpoint(CheckpointError),
}

impl ClaimFailed {
    pub(super) fn about(
        self,
        assignment: &Assignment,
        lifecycles: &[LifecycleCalls],
    ) -> StartFailed {
        match self {
            ClaimFailed::Plugin(fault) => StartFailed::refused(assignment, fault, lifecycles),
            ClaimFailed::Checkpoint(error) => error.into(),
        }
    }
}

impl From<Fault> for ClaimFailed {
    fn from(fault: Fault) -> Self {
        ClaimFailed::Plugin(fault)
    }
}

impl<E: Into<CheckpointError>> From<E> for ClaimFailed {
    fn from(error: E) -> Self {
        ClaimFailed::Checkpoint(error.into())
    }
}

impl Medium {
    /// Claims the medium of an assignment.
    pub(super) async fn claim(
        services: &TaskServices,
        assignment: &Assignment,
        task: &Task,
        peer: PeerId,
        epoch: u64,
    ) -> Result<Medium, ClaimFailed> {
        if task.kind == TaskKind::Function {
            return Ok(Medium::None);
        }
        let version = assignment.version;
        let holder = Holder {
            version,
            peer,
            epoch,
        };
        let medium = SlotMedium::claim(services, assignment, task, assignment.slot, holder);
        Ok(Medium::OfSlot(Box::new(medium.await?)))
    }

    /// What the task does at its ends.
    pub(super) fn role(
        &self,
        services: &TaskServices,
        identity: &Identity,
        assignment: &Assignment,
        seed: u64,
    ) -> Result<Role, Fault> {
        match self {
            Medium::None => Ok(Role::Function),
            Medium::OfSlot(medium) => medium.role(services, identity, assignment, seed),
        }
    }

    /// The task has its plugin. From now on its successor goes on where it is.
    pub(super) async fn opened(self) -> Result<Option<Checkpoint>, CheckpointError> {
        match self {
            Medium::None => Ok(None),
            Medium::OfSlot(medium) => medium.opened().await.map(Some),
        }
    }
}

impl SlotMedium {
    /// Claims a slot of a task.
    pub(super) async fn claim(
        services: &TaskServices,
        assignment: &Assignment,
        task: &Task,
        slot: SlotId,
        holder: Holder,
    ) -> Result<SlotMedium, ClaimFailed> {
        let survey = survey(services, assignment, task).await?;
        let (checkpoint, claimed) = claim(&services.session, assignment, slot, holder).await?;
        // Who was paused since may have been replaced, and would open what another writes to.
        let lease = services.lease.held().await;
        lease.map_err(|_| CoordinationError::Expired)?;
        Ok(SlotMedium {
            checkpoint,
            claimed,
            slot,
            survey,
        })
    }

    /// How the slot goes on.
    pub(super) fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// Opens the plugin. `seed` seeds the jitter of an input's retries.
    pub(super) fn role(
        &self,
        services: &TaskServices,
        identity: &Identity,
        assignment: &Assignment,
        seed: u64,
    ) -> Result<Role, Fault> {
        let task = &*identity.task;
        if self.claimed == Claimed::Sealed {
            return Ok(Role::Output(Box::new(SealedOutput)));
        }
        let fault = |text: String| Fault::in_phase(Phase::StartTask, text);
        let name = task.plugin.as_deref().unwrap_or_default();
        let factory = services.registry.plugins.get(name);
        let factory = factory.ok_or_else(|| fault(format!("this node has no plugin `{name}`")))?;
        let context = PluginContext {
            job: assignment.job,
            task,
            slot: self.slot,
            rank: assignment.rank,
            slots: assignment.slots,
            survey: self.survey.as_ref(),
            start: self.claimed.start(),
            stop: services.stop.clone(),
            files: services.registry.files.clone(),
        };
        guarded(Phase::StartTask, || match factory {
            PluginFactory::Output(make) => make(&context)
                .map(Role::Output)
                .map_err(|error| fault(error.to_string())),
            PluginFactory::Input(make) => {
                let plugin = make(&context).map_err(|error| fault(error.to_string()))?;
                let counters = services.counters.of(identity.job, &task.name);
                let letters = task.dead_letter.as_deref();
                let began = match &self.claimed {
                    Claimed::Opened(reached) => reached.clone(),
                    Claimed::Unopened | Claimed::Sealed => Reached::default(),
                };
                Ok(Role::Input(Box::new(InputSide {
                    plugin,
                    replays: began.replays.clone(),
                    rejections: Rejections::after(began.rejected),
                    began,
                    pending: Pending::new(pending_rules(task, seed), services.clock.now()),
                    ackers: Ackers::of(identity.peer, &assignment.ackers),
                    oldest: counters.oldest_of_run(),
                    traced: BTreeSet::new(),
                    dead_letters: letters.map(|path| DeadLetters::new(path, &context)),
                    supply: Supply::More,
                    drained: false,
                })))
            }
        })
    }

    /// The plugin is open.
    pub(super) async fn opened(self) -> Result<Checkpoint, CheckpointError> {
        if self.claimed == Claimed::Unopened {
            self.checkpoint.opened().await?;
        }
        Ok(self.checkpoint)
    }
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
        bytes_max: task.max_pending_bytes.get() as usize,
        batch_size: task.batch_size.get() as usize,
    }
}

/// An output that is sealed already. Everything that was read is complete, so that what comes is a
/// repetition.
struct SealedOutput;

impl Output for SealedOutput {
    fn write(&mut self, _: &[Segment]) -> Result<(), PluginError> {
        Ok(())
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        Ok(())
    }
}
