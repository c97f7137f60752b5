//! The checkpoint of a slot: who has the slot, how far it has come, and whether it is sealed.
//!
//! Only the present holder writes it. Whoever holds a slot claims its checkpoint first, in the name of
//! the allocation version by which it was given the slot; a claim of an older version is refused, and
//! so is every write of a holder that has been followed by another. A holder that was moved away
//! releases the slot when it has finished what it had; no successor claims it before.

use super::counters::Account;
use super::reached::Reached;
use super::rejections::InputTotals;
use super::replays::{ReplayCause, SlotReplay, SlotReplays};
use crate::clock::Clock;
use crate::codec::{from_payload, to_payload};
use crate::coordination::{
    Attempts, Coordination, CoordinationError, Folder, Node, Written, patiently,
};
use crate::ids::{AllocationVersion, JobId, PeerId, SlotId, TaskName};
use crate::log::wants::{Assignment, Read};
use crate::plugins::{Position, Start};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The checkpoint of one slot in the hands of its holder. Clones are the same holder's.
#[derive(Clone)]
pub struct Checkpoint {
    session: Arc<dyn Coordination>,
    node: Node,
    holder: Holder,
}

/// Who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Holder {
    /// The allocation by which it has it.
    pub(super) version: AllocationVersion,
    /// The peer.
    pub(super) peer: PeerId,
    /// The peer's count of starts.
    pub(super) epoch: u64,
}

/// How the slot that was claimed goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Claimed {
    /// Nobody has opened its medium. Say so with [`Checkpoint::opened`] before the first write.
    Unopened,
    /// Somebody has, and came so far.
    Opened(Reached),
    /// It is sealed: nothing will be written to it.
    Sealed,
}

impl Claimed {
    /// What the plugin is told.
    pub(super) fn start(&self) -> Start {
        match self {
            Claimed::Unopened => Start::Fresh,
            Claimed::Opened(reached) => Start::Resumed(reached.position.clone()),
            Claimed::Sealed => Start::Resumed(None),
        }
    }
}

/// Why a checkpoint was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The slot was given to another since, by this version of the allocation.
    #[error("the slot was given to another peer by allocation {}", .0.0)]
    Superseded(AllocationVersion),
    /// A peer that was moved from the slot has not released it yet.
    #[error("the slot is still with peer {0}, which finishes what it has")]
    Held(PeerId),
    /// Coordination did not take it.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
}

/// What is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    holder: Holder,
    /// Whether the holder has not released it.
    #[serde(default)]
    is_held: bool,
    stage: Stage,
    /// Which part of the input it is, and of how many.
    rank: u32,
    slots: u32,
    /// How far it has come in that part.
    reached: Reached,
    /// When that was saved, in milliseconds since 1970. None if it was not saved yet.
    #[serde(default)]
    saved_at_ms: Option<u64>,
    /// How many roots were read between the last two saves.
    #[serde(default)]
    read_since_save: u64,
}

/// How far the inputs of a job are, by the checkpoints of their slots.
#[derive(Clone, Debug, Default)]
pub struct InputProgress {
    /// What became of all that they have read.
    pub account: Account,
    /// The replays of each slot that has any.
    pub replays: Vec<(TaskName, SlotId, SlotReplays)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    /// Its first holder may be opening its medium, and has written nothing.
    Opening,
    Open,
    Sealed,
}

/// Claims a slot for a peer: the one of an assignment, or another of its task.
pub(super) async fn claim(
    session: &Arc<dyn Coordination>,
    assignment: &Assignment,
    slot: SlotId,
    holder: Holder,
) -> Result<(Checkpoint, Claimed), CheckpointError> {
    let checkpoint = Checkpoint {
        session: Arc::clone(session),
        node: Node::Checkpoint(assignment.job, assignment.task.clone(), slot),
        holder,
    };
    let (rank, slots) = (assignment.rank, assignment.slots);
    let claimed_at_ms = Clock::unix_ms();
    let stored = checkpoint.write(|found| match found {
        None => Ok(Stored {
            holder,
            is_held: true,
            stage: Stage::Opening,
            rank,
            slots,
            reached: Reached::default(),
            saved_at_ms: None,
            read_since_save: 0,
        }),
        Some(found) if found.holder.version > holder.version => {
            Err(CheckpointError::Superseded(found.holder.version))
        }
        Some(found) if found.is_with_one_of(&assignment.leaving, holder.peer) => {
            Err(CheckpointError::Held(found.holder.peer))
        }
        // What was reached in another part says nothing about this one, unless all is read.
        Some(found)
            if (found.rank, found.slots) != (rank, slots) && assignment.read != Read::No =>
        {
            Ok(Stored {
                holder,
                is_held: true,
                rank,
                slots,
                reached: Reached {
                    replays: found.replays_as_divided(),
                    ..Reached::default()
                },
                ..found
            })
        }
        Some(found) => {
            let replays = match assignment.read {
                Read::No => found.reached.replays.clone(),
                Read::Wait | Read::Go => found.replays_as_claimed(),
            };
            let mut reached = found.reached.resumed();
            reached.replays = replays;
            // The account holds for all that was read; a position for its own part alone.
            reached.position = reached
                .position
                .filter(|_| (found.rank, found.slots) == (rank, slots));
            Ok(Stored {
                holder,
                is_held: true,
                reached,
                ..found
            })
        }
    });
    let stored = stored.await?;
    let replay = stored.reached.replays.recent.back();
    if let Some(replay) = replay.filter(|replay| replay.at_ms >= claimed_at_ms) {
        replay.log(assignment.job, &assignment.task, slot);
    }
    let claimed = match stored.stage {
        Stage::Opening => Claimed::Unopened,
        Stage::Open => Claimed::Opened(stored.reached),
        Stage::Sealed => Claimed::Sealed,
    };
    Ok((checkpoint, claimed))
}

/// Whether one of the peers that leave the job has not released a slot yet.
pub(super) async fn is_held_by_leaving(
    session: &dyn Coordination,
    assignment: &Assignment,
    (slot, me): (SlotId, PeerId),
) -> Result<bool, CoordinationError> {
    if assignment.leaving.is_empty() {
        return Ok(false);
    }
    let node = Node::Checkpoint(assignment.job, assignment.task.clone(), slot);
    let stored = patiently(session, || session.get(node.clone())).await?;
    // One that another version wrote is claimed as it always was.
    let stored = stored.and_then(|data| from_payload::<Stored>(&data).ok());
    Ok(stored.is_some_and(|stored| stored.is_with_one_of(&assignment.leaving, me)))
}

/// The slots of a task that somebody has ever held.
pub(super) async fn slots_ever_held(
    session: &dyn Coordination,
    job: JobId,
    task: &TaskName,
) -> Result<Vec<SlotId>, CoordinationError> {
    let names = patiently(session, || session.list(Folder::Checkpoints)).await?;
    let mut slots: Vec<SlotId> = names
        .iter()
        .filter_map(|name| Node::slot_of_checkpoint(name, job, task))
        .collect();
    slots.sort_unstable();
    Ok(slots)
}

/// How far the inputs of a job are: each slot as of its last checkpoint, and the whole input when the
/// job has completed.
pub async fn progress_of(
    session: &dyn Coordination,
    job: JobId,
    inputs: &[TaskName],
) -> Result<InputProgress, CoordinationError> {
    let names = patiently(session, || session.list(Folder::Checkpoints)).await?;
    let mut progress = InputProgress::default();
    for input in inputs {
        let stored = stored_of(session, &names, job, input).await?;
        for (slot, stored) in &stored {
            let replays = &stored.reached.replays;
            if !replays.recent.is_empty() {
                let of_slot = (input.clone(), *slot, replays.clone());
                progress.replays.push(of_slot);
            }
        }
        let parts = stored.into_iter().map(|(_, stored)| stored).collect();
        progress.account = progress.account.plus(&account_of_parts(parts));
    }
    Ok(progress)
}

/// The checkpoints of the slots of a task, among all names of checkpoints.
async fn stored_of(
    session: &dyn Coordination,
    names: &[String],
    job: JobId,
    task: &TaskName,
) -> Result<Vec<(SlotId, Stored)>, CoordinationError> {
    let slots = names
        .iter()
        .filter_map(|name| Node::slot_of_checkpoint(name, job, task));
    let stored = slots.map(|slot| async move {
        let node = Node::Checkpoint(job, task.clone(), slot);
        let data = patiently(session, || session.get(node.clone())).await?;
        // One that another version wrote has nothing to add.
        let stored = data.and_then(|data| from_payload::<Stored>(&data).ok());
        Ok::<_, CoordinationError>(stored.map(|stored| (slot, stored)))
    });
    Ok(try_join_all(stored).await?.into_iter().flatten().collect())
}

impl Stored {
    /// The replays of the slot, with the one of a claim. A former holder that has stopped with
    /// everything complete leaves nothing to replay.
    fn replays_as_claimed(&self) -> SlotReplays {
        let Reached {
            so_far, is_final, ..
        } = self.reached;
        let former = self.holder.peer;
        let (cause, may_be_twice) = match (self.stage, is_final) {
            (Stage::Opening | Stage::Sealed, _) => return self.reached.replays.clone(),
            (Stage::Open, true) => (ReplayCause::HandedOver { former }, so_far.relinquished),
            (Stage::Open, false) => {
                let read_on = so_far.in_flight + self.read_since_save;
                (ReplayCause::TakenOver { former }, read_on)
            }
        };
        if is_final && may_be_twice == 0 {
            return self.reached.replays.clone();
        }
        self.with_replay(cause, self.reached.position.clone(), may_be_twice)
    }

    /// The replays of the slot, with the one of a changed number of slots.
    fn replays_as_divided(&self) -> SlotReplays {
        let read = self.reached.so_far.r#in;
        if read == 0 {
            return self.reached.replays.clone();
        }
        let cause = ReplayCause::Divided { slots: self.slots };
        self.with_replay(cause, None, read)
    }

    fn with_replay(
        &self,
        cause: ReplayCause,
        from: Option<Position>,
        may_be_twice: u64,
    ) -> SlotReplays {
        let mut replays = self.reached.replays.clone();
        replays.record(SlotReplay {
            at_ms: Clock::unix_ms(),
            cause,
            from,
            saved_at_ms: self.saved_at_ms,
            may_be_twice,
        });
        replays
    }
}

impl Stored {
    /// Whether one of these peers, other than me, has not released the slot.
    fn is_with_one_of(&self, leaving: &BTreeSet<PeerId>, me: PeerId) -> bool {
        let Stored {
            holder, is_held, ..
        } = self;
        *is_held && holder.peer != me && leaving.contains(&holder.peer)
    }
}

/// What became of all that was read.
fn account_of_parts(slots: Vec<Stored>) -> Account {
    let parts = newest_parts(slots);
    let parts = parts.iter().map(|slot| &slot.reached.so_far);
    parts.fold(Account::default(), |sum, part| sum.plus(part))
}

/// Parts of another division have been read again since, and so has a part that another slot had.
fn newest_parts(mut slots: Vec<Stored>) -> Vec<Stored> {
    slots.retain(|slot| slot.reached != Reached::default());
    slots.sort_unstable_by_key(|slot| Reverse(slot.holder.version));
    let division = slots.first().map(|newest| newest.slots);
    let mut ranks = BTreeSet::new();
    slots.retain(|slot| Some(slot.slots) == division && ranks.insert(slot.rank));
    slots
}

impl Checkpoint {
    /// The medium is open: from now on a successor goes on instead of beginning.
    pub(super) async fn opened(&self) -> Result<(), CheckpointError> {
        self.change(|stored| stored.stage = Stage::Open).await
    }

    /// The slot has come so far.
    pub async fn save(&self, reached: &Reached) -> Result<(), CheckpointError> {
        let saved_at_ms = Some(Clock::unix_ms());
        let saved = self.change(|stored| {
            let read = reached.so_far.r#in;
            stored.read_since_save = read.saturating_sub(stored.reached.so_far.r#in);
            stored.saved_at_ms = saved_at_ms;
            stored.reached = reached.clone();
        });
        saved.await
    }

    /// What all slots of the input have read and rejected, once each of them has saved that it is at its
    /// end. The last one to save it sees the others; None before.
    pub async fn whole_input(&self) -> Result<Option<InputTotals>, CoordinationError> {
        let Node::Checkpoint(job, task, _) = &self.node else {
            return Ok(None);
        };
        let session = &*self.session;
        let names = patiently(session, || session.list(Folder::Checkpoints)).await?;
        let stored = stored_of(session, &names, *job, task).await?;
        let parts = newest_parts(stored.into_iter().map(|(_, stored)| stored).collect());
        let slots = parts.first().map_or(0, |part| part.slots) as usize;
        if parts.len() < slots || !parts.iter().all(|part| part.reached.is_at_end) {
            return Ok(None);
        }
        let totals = parts.iter().map(|part| part.reached.totals());
        Ok(Some(totals.fold(InputTotals::default(), |sum, part| {
            InputTotals {
                read: sum.read + part.read,
                rejected: sum.rejected + part.rejected,
            }
        })))
    }

    /// The slot is sealed, whoever holds it later.
    pub(super) async fn sealed(&self) -> Result<(), CheckpointError> {
        self.change(|stored| stored.stage = Stage::Sealed).await
    }

    /// The holder has finished: the next holder may claim the slot.
    pub async fn release(&self) -> Result<(), CheckpointError> {
        self.change(|stored| stored.is_held = false).await
    }

    async fn change(&self, change: impl Fn(&mut Stored)) -> Result<(), CheckpointError> {
        let written = self.write(|found| {
            let mut stored = found.ok_or_else(|| self.unreadable("it is gone"))?;
            if stored.holder != self.holder {
                return Err(CheckpointError::Superseded(stored.holder.version));
            }
            change(&mut stored);
            Ok(stored)
        });
        written.await.map(drop)
    }

    /// Replaces what is stored by what follows from it, unless it has changed meanwhile; then looks
    /// again. A write whose outcome was unknown is found, or made again.
    async fn write(
        &self,
        next: impl Fn(Option<Stored>) -> Result<Stored, CheckpointError>,
    ) -> Result<Stored, CheckpointError> {
        let session = &*self.session;
        let mut attempts = Attempts::of(session);
        loop {
            let found = patiently(session, || session.get_revised(self.node.clone())).await?;
            let (stored, revision) = match found {
                None => (None, None),
                Some((data, revision)) => {
                    let stored = from_payload(&data).map_err(|error| self.unreadable(error))?;
                    (Some(stored), Some(revision))
                }
            };
            let stored = next(stored)?;
            let data = to_payload(&stored).map_err(|error| self.unreadable(error))?;
            let cause = match session.replace(self.node.clone(), data, revision).await {
                Ok(Written::Yes) => return Ok(stored),
                Ok(Written::KeptExisting) => "a checkpoint has changed meanwhile".to_owned(),
                Err(CoordinationError::Interrupted(cause)) => cause,
                Err(error) => return Err(error.into()),
            };
            attempts.again(&cause).await?;
        }
    }

    fn unreadable(&self, reason: impl std::fmt::Display) -> CoordinationError {
        CoordinationError::Refused {
            what: format!("the checkpoint {:?}", self.node),
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
