//! `signal-ready`: a peer can receive for the slot it holds.

use super::slot::Held;
use crate::ids::{AllocationVersion, JobId, LogPosition, PeerId, SlotId, TaskName};
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A peer can receive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SignalReady {
    /// The peer; when it is not said, whoever holds the slot in that version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<PeerId>,
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// The version of the allocation that it speaks of.
    pub version: AllocationVersion,
}

impl SignalReady {
    fn held(&self) -> Held<'_> {
        let Self {
            id,
            job,
            ref task,
            slot,
            version,
        } = *self;
        Held {
            id,
            job,
            task,
            slot,
            version,
        }
    }
}

impl LogCommand for SignalReady {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        let (allocation, holder) = match self.held().look_up(replica) {
            Ok((_, allocation, holder)) => (allocation, holder),
            Err(reason) => return Applied::Ignored(reason),
        };
        if allocation.ready.contains(&holder) {
            return Applied::Ignored(Reason::NothingToDo);
        }
        let mut allocation = allocation.clone();
        allocation.ready.insert(holder);
        let mut new = replica.clone();
        Arc::make_mut(&mut new.allocations).insert(self.job, Arc::new(allocation));
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        let place = new.allocations.get(&self.job);
        let holder = place.and_then(|allocation| allocation.holder(&self.task, self.slot));
        ReplicaDiff::between(old, new).about("active", holder)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::{job_id, peer};

    fn ready(name: &str, task: &str, version: u64) -> Command {
        Command::SignalReady(SignalReady {
            id: Some(peer(name)),
            job: job_id(0),
            task: task.into(),
            slot: SlotId(0),
            version: LogPosition(version),
        })
    }

    #[test]
    fn inputs_may_read_when_every_task_has_a_ready_peer() {
        let mut cluster = Cluster::of("a b").at(5);
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(ready("a", "in", 5));
        assert!(!cluster.replica.allocations[&job_id(0)].is_ready());
        cluster.run(ready("b", "out", 5));
        assert!(cluster.replica.allocations[&job_id(0)].is_ready());
        assert_eq!(
            cluster.run(ready("b", "out", 5)).ignored,
            Some(Reason::NothingToDo)
        );
    }

    #[test]
    fn a_word_about_another_slot_version_or_job_changes_nothing() {
        let mut cluster = Cluster::of("a b").at(5);
        assert_eq!(
            cluster.run(ready("a", "in", 6)).ignored,
            Some(Reason::NotLive)
        );
        cluster.run(submit(0, "in:i>out out:o"));
        for stale in [
            ready("b", "in", 6),
            ready("a", "in", 5),
            ready("a", "out", 6),
        ] {
            assert_eq!(cluster.run(stale).ignored, Some(Reason::Stale));
        }
    }
}
