//! The checkpoint of a slot: who has the slot, how far it has come, and whether it is sealed.
//!
//! Only the present holder writes it. Whoever holds a slot claims its checkpoint first, in the name of
//! the allocation version by which it was given the slot; a claim of an older version is refused, and
//! so is every write of a holder that has been followed by another.

use super::counters::Account;
use super::reached::Reached;
use crate::codec::{from_payload, to_payload};
use crate::coordination::{
    Attempts, Coordination, CoordinationError, Folder, Node, Written, patiently,
};
use crate::ids::{AllocationVersion, JobId, PeerId, SlotId, TaskName};
use crate::log::wants::{Assignment, Read};
use crate::plugins::Start;
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
    /// Coordination did not take it.
    #[error(transparent)]
    Coordination(#[from] CoordinationError),
}

/// What is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    holder: Holder,
    stage: Stage,
    /// Which part of the input it is, and of how many.
    rank: u32,
    slots: u32,
    /// How far it has come in that part.
    reached: Reached,
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
    let stored = checkpoint.write(|found| match found {
        None => Ok(Stored {
            holder,
            stage: Stage::Opening,
            rank,
            slots,
            reached: Reached::default(),
        }),
        Some(found) if found.holder.version > holder.version => {
            Err(CheckpointError::Superseded(found.holder.version))
        }
        // What was reached in another part says nothing about this one, unless all is read.
        Some(found)
            if (found.rank, found.slots) != (rank, slots) && assignment.read != Read::No =>
        {
            Ok(Stored {
                holder,
                stage: found.stage,
                rank,
                slots,
                reached: Reached::default(),
            })
        }
        Some(found) => {
            let mut reached = found.reached.resumed();
            // The account holds for all that was read; a position for its own part alone.
            reached.position = reached
                .position
                .filter(|_| (found.rank, found.slots) == (rank, slots));
            Ok(Stored {
                holder,
                reached,
                ..found
            })
        }
    });
    let stored = stored.await?;
    let claimed = match stored.stage {
        Stage::Opening => Claimed::Unopened,
        Stage::Open => Claimed::Opened(stored.reached),
        Stage::Sealed => Claimed::Sealed,
    };
    Ok((checkpoint, claimed))
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

/// What became of all that inputs of a job have read, by the checkpoints of their slots: each as of its
/// last one, and whole when the job has completed.
pub async fn account_of(
    session: &dyn Coordination,
    job: JobId,
    inputs: &[TaskName],
) -> Result<Account, CoordinationError> {
    let names = patiently(session, || session.list(Folder::Checkpoints)).await?;
    let mut account = Account::default();
    for input in inputs {
        let slots = names
            .iter()
            .filter_map(|name| Node::slot_of_checkpoint(name, job, input));
        let stored = slots.map(|slot| async move {
            let node = Node::Checkpoint(job, input.clone(), slot);
            patiently(session, || session.get(node.clone())).await
        });
        let stored = try_join_all(stored).await?.into_iter().flatten();
        // One that another version wrote has nothing to add.
        let stored = stored.filter_map(|data| from_payload::<Stored>(&data).ok());
        account = account.plus(&account_of_parts(stored.collect()));
    }
    Ok(account)
}

/// Parts of another division have been read again since, and so has a part that another slot had.
fn account_of_parts(mut slots: Vec<Stored>) -> Account {
    slots.retain(|slot| slot.reached != Reached::default());
    slots.sort_unstable_by_key(|slot| Reverse(slot.holder.version));
    let division = slots.first().map(|newest| newest.slots);
    let mut ranks = BTreeSet::new();
    slots.retain(|slot| Some(slot.slots) == division && ranks.insert(slot.rank));
    let parts = slots.iter().map(|slot| &slot.reached.so_far);
    parts.fold(Account::default(), |sum, part| sum.plus(part))
}

impl Checkpoint {
    /// The medium is open: from now on a successor goes on instead of beginning.
    pub(super) async fn opened(&self) -> Result<(), CheckpointError> {
        self.change(|stored| stored.stage = Stage::Open).await
    }

    /// The slot has come so far.
    pub async fn save(&self, reached: &Reached) -> Result<(), CheckpointError> {
        self.change(|stored| stored.reached = reached.clone()).await
    }

    /// The slot is sealed, whoever holds it later.
    pub(super) async fn sealed(&self) -> Result<(), CheckpointError> {
        self.change(|stored| stored.stage = Stage::Sealed).await
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
mod tests {
    use super::*;
    use crate::acking::Ends;
    use crate::coordination::memory::MemoryServer;
    use crate::ids::{IdSource, LogPosition};
    use crate::log::wants::Seal;

    fn assignment(version: u64, slots: u32) -> Assignment {
        Assignment {
            ackers: Vec::new(),
            workers: [].into(),
            job: IdSource::from_seed(1).job(),
            task: "read".into(),
            slot: SlotId(1),
            version: LogPosition(version),
            last_loss: None,
            slots,
            rank: 1,
            held: (0..slots).map(SlotId).collect(),
            read: Read::Go,
            downstream: Vec::new(),
            upstream: Default::default(),
            seal: Seal::No,
        }
    }

    struct Peers {
        session: Arc<dyn Coordination>,
        _server: MemoryServer,
    }

    impl Peers {
        fn new() -> Self {
            let server = MemoryServer::default();
            let session = Arc::new(server.connect());
            Peers {
                session,
                _server: server,
            }
        }

        /// A peer, named by its version, claims slot 1 of so many.
        async fn claim_of(
            &self,
            version: u64,
            slots: u32,
        ) -> Result<(Checkpoint, Claimed), CheckpointError> {
            let holder = Holder {
                version: LogPosition(version),
                peer: IdSource::from_seed(version).peer(),
                epoch: 1,
            };
            let assignment = assignment(version, slots);
            claim(&self.session, &assignment, SlotId(1), holder).await
        }

        async fn claim(&self, version: u64) -> (Checkpoint, Claimed) {
            self.claim_of(version, 2).await.unwrap()
        }
    }

    /// So many rows are written, and so many in flight behind them.
    fn reached(written: u64, in_flight: u64) -> Reached {
        let ends = Ends {
            written,
            ..Ends::default()
        };
        Reached {
            position: Some([("next", written as i64)].into_iter().collect()),
            before: Account::of(written, ends, 0),
            so_far: Account::of(written + in_flight, ends, in_flight),
        }
    }

    fn is_superseded<T>(result: Result<T, CheckpointError>, by: u64) -> bool {
        matches!(result, Err(CheckpointError::Superseded(version)) if version.0 == by)
    }

    #[tokio::test]
    async fn a_slot_begins_until_somebody_has_opened_it_and_then_goes_on() {
        let peers = Peers::new();
        assert_eq!(peers.claim(3).await.1, Claimed::Unopened);
        let (second, claimed) = peers.claim(5).await;
        assert_eq!(claimed, Claimed::Unopened);
        second.opened().await.unwrap();
        let (third, claimed) = peers.claim(7).await;
        assert_eq!(claimed, Claimed::Opened(Reached::default()));
        third.save(&reached(20, 5)).await.unwrap();
        let claimed = peers.claim(9).await.1;
        assert_eq!(claimed, Claimed::Opened(reached(20, 0)));
    }

    #[tokio::test]
    async fn who_was_followed_by_another_writes_nothing_and_cannot_come_back() {
        let peers = Peers::new();
        let (old, _) = peers.claim(3).await;
        old.opened().await.unwrap();
        let (new, _) = peers.claim(8).await;
        new.save(&reached(20, 0)).await.unwrap();
        assert!(is_superseded(old.save(&reached(5, 0)).await, 8));
        assert!(is_superseded(old.sealed().await, 8));
        assert!(is_superseded(peers.claim_of(4, 2).await, 8));
        let claimed = peers.claim(9).await.1;
        assert_eq!(claimed, Claimed::Opened(reached(20, 0)));
    }

    #[tokio::test]
    async fn what_is_sealed_stays_sealed() {
        let peers = Peers::new();
        let (first, _) = peers.claim(3).await;
        first.opened().await.unwrap();
        first.sealed().await.unwrap();
        assert_eq!(peers.claim(4).await.1, Claimed::Sealed);
    }

    #[tokio::test]
    async fn a_position_in_another_division_is_forgotten() {
        let peers = Peers::new();
        let (first, _) = peers.claim(3).await;
        first.opened().await.unwrap();
        first.save(&reached(20, 0)).await.unwrap();
        let claimed = peers.claim_of(4, 3).await.unwrap().1;
        assert_eq!(claimed, Claimed::Opened(Reached::default()));
    }

    #[tokio::test]
    async fn the_account_of_a_job_counts_on_where_a_slot_goes_on() {
        let peers = Peers::new();
        let job = IdSource::from_seed(1).job();
        let inputs = ["read".into()];
        let account = async || account_of(&*peers.session, job, &inputs).await.unwrap();
        let (first, _) = peers.claim(3).await;
        assert_eq!(account().await, Account::default());
        first.opened().await.unwrap();
        first.save(&reached(20, 5)).await.unwrap();
        assert_eq!((account().await.r#in, account().await.in_flight), (25, 5));
        // Nobody writes what its holder did since, and whoever follows does it again.
        let (second, _) = peers.claim(4).await;
        assert_eq!((account().await.r#in, account().await.in_flight), (20, 0));
        second.save(&reached(40, 0)).await.unwrap();
        assert_eq!((account().await.r#in, account().await.out), (40, 40));
        // In another division everything is read again.
        peers.claim_of(5, 3).await.unwrap();
        assert_eq!(account().await, Account::default());
        let other = IdSource::from_seed(2).job();
        let other = account_of(&*peers.session, other, &inputs).await;
        assert_eq!(other.unwrap(), Account::default());
    }

    #[tokio::test]
    async fn an_input_that_is_exhausted_keeps_its_account_whatever_becomes_of_its_slots() {
        let peers = Peers::new();
        let (first, _) = peers.claim(3).await;
        first.opened().await.unwrap();
        first.save(&reached(20, 0)).await.unwrap();
        let holder = Holder {
            version: LogPosition(4),
            ..first.holder
        };
        let exhausted = Assignment {
            read: Read::No,
            rank: 0,
            slots: 1,
            ..assignment(4, 1)
        };
        let claimed = claim(&peers.session, &exhausted, SlotId(1), holder).await;
        // The position is one in another part.
        let kept = Reached {
            position: None,
            ..reached(20, 0)
        };
        assert_eq!(claimed.unwrap().1, Claimed::Opened(kept));
        let job = exhausted.job;
        let account = account_of(&*peers.session, job, &["read".into()]).await;
        assert_eq!(account.unwrap().r#in, 20);
    }

    #[test]
    fn each_part_counts_once_as_whoever_had_it_last_has_read_it() {
        let part = |version, rank, slots, rows| Stored {
            holder: Holder {
                version: LogPosition(version),
                peer: IdSource::from_seed(version).peer(),
                epoch: 1,
            },
            stage: Stage::Open,
            rank,
            slots,
            reached: match rows {
                0 => Reached::default(),
                rows => reached(rows, 0),
            },
        };
        let read = |parts: &[Stored]| account_of_parts(parts.to_vec()).r#in;
        assert_eq!(read(&[]), 0);
        assert_eq!(read(&[part(3, 0, 2, 10), part(4, 1, 2, 20)]), 30);
        // Another slot had the second part before.
        let parts = [part(3, 0, 2, 10), part(4, 1, 2, 20), part(5, 1, 2, 7)];
        assert_eq!(read(&parts), 17);
        // It was divided by three before that; and who has read nothing says nothing.
        let parts = [
            parts[0].clone(),
            parts[2].clone(),
            part(2, 2, 3, 99),
            part(9, 0, 4, 0),
        ];
        assert_eq!(read(&parts), 17);
    }

    #[tokio::test]
    async fn slots_are_remembered_by_those_who_held_them() {
        let peers = Peers::new();
        peers.claim(3).await;
        let ever = |task: &'static str| async move {
            let job = IdSource::from_seed(1).job();
            let slots = slots_ever_held(&*peers.session, job, &task.into()).await;
            slots.unwrap()
        };
        assert_eq!(ever("read").await, [SlotId(1)]);
    }
}
