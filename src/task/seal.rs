//! Sealing: each slot of an output once, those that nobody holds any more as well.

use super::checkpoint::{CheckpointError, Claimed, Holder, is_held_by_leaving, slots_ever_held};
use super::context::Role;
use super::exception::{Fault, Phase, guarded};
use super::medium::{ClaimFailed, SlotMedium};
use super::run::TaskRun;
use super::start::{StartFailed, TaskServices};
use crate::coordination::Coordination;
use crate::ids::SlotId;
use crate::log::wants::{Assignment, TaskPhase};
use rand::RngExt;
use std::time::Duration;

/// How long after it was held a slot is looked at again.
const RELEASE_ASKED_AFTER: Duration = Duration::from_millis(10);

impl TaskRun {
    /// Seals the slot of an output; the first of its slots seals as well what is left of those that
    /// others held before the task had fewer.
    ///
    /// While one of those has not released its slot, nothing is sealed yet.
    pub async fn seal(&mut self, services: &TaskServices) -> Result<(), StartFailed> {
        let session = &*services.session;
        let abandoned = match self.context.role {
            Role::Output(_) => abandoned_slots(session, self.assignment.clone()).await?,
            Role::Input(_) | Role::Function => Vec::new(),
        };
        let me = self.context.identity.peer;
        for slot in &abandoned {
            let is_held = is_held_by_leaving(session, &self.assignment, (*slot, me)).await?;
            if is_held {
                tokio::time::sleep(RELEASE_ASKED_AFTER).await;
                return Ok(());
            }
        }
        self.context.beat.enter(Phase::SealTask);
        let sealed = seal_output(&mut self.context.role);
        sealed.map_err(|fault| self.failed_to_seal(fault))?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.sealed().await?;
        }
        for slot in abandoned {
            match self.seal_abandoned(services, slot).await {
                // Who was moved before it had claimed its slot has done so now.
                Err(StartFailed::Held(_)) => {
                    tokio::time::sleep(RELEASE_ASKED_AFTER).await;
                    return Ok(());
                }
                sealed => sealed?,
            }
        }
        self.phase = TaskPhase::Sealed;
        Ok(())
    }

    async fn seal_abandoned(
        &mut self,
        services: &TaskServices,
        slot: SlotId,
    ) -> Result<(), StartFailed> {
        let identity = &self.context.identity;
        let holder = Holder {
            version: self.assignment.version,
            peer: identity.peer,
            epoch: identity.epoch,
        };
        let task = identity.task.clone();
        let claimed = SlotMedium::claim(services, &self.assignment, &task, slot, holder).await;
        let medium = match claimed {
            // It is somebody's again, by an allocation that this peer has not read yet.
            Err(ClaimFailed::Checkpoint(CheckpointError::Superseded(_))) => return Ok(()),
            Err(failed) => return Err(failed.about(&self.assignment, &self.context.lifecycles)),
            Ok(medium) => medium,
        };
        if *medium.claimed() == Claimed::Sealed {
            return Ok(());
        }
        let seed = self.context.draws.random();
        let role = medium.role(services, &self.context.identity, &self.assignment, seed);
        let mut role = role.map_err(|fault| self.failed_to_seal(fault))?;
        seal_output(&mut role).map_err(|fault| self.failed_to_seal(fault))?;
        medium.opened().await?.sealed().await?;
        tracing::info!(job = %self.assignment.job, task = %task.name, %slot, "a slot that nobody holds any more is sealed");
        Ok(())
    }

    fn failed_to_seal(&self, fault: Fault) -> StartFailed {
        let exception = self.exception(fault);
        let handling = self.handling(&exception);
        StartFailed::Exception(exception, handling)
    }
}

/// The slots of the task without a holder that had one before. The first held slot seals them.
async fn abandoned_slots(
    session: &dyn Coordination,
    assignment: Assignment,
) -> Result<Vec<SlotId>, StartFailed> {
    if assignment.rank > 0 {
        return Ok(Vec::new());
    }
    let mut slots = slots_ever_held(session, assignment.job, &assignment.task).await?;
    slots.retain(|slot| !assignment.held.contains(slot));
    Ok(slots)
}

fn seal_output(role: &mut Role) -> Result<(), Fault> {
    let Role::Output(output) = role else {
        return Ok(());
    };
    guarded(Phase::SealTask, || {
        let sealed = output.seal();
        sealed.map_err(|error| Fault::in_phase(Phase::SealTask, error))
    })
}
