//! `signal-ready`: a peer can receive for the slot it holds.

use super::slot::SlotWord;
use crate::ids::LogPosition;
use crate::log::{Applied, LogCommand, Reason, ReplicaDiff};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A peer can receive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalReady(pub SlotWord);

impl LogCommand for SignalReady {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        let Self(word) = self;
        let (allocation, holder) = match word.look_up(replica) {
            Ok((_, allocation, holder)) => (allocation, holder),
            Err(reason) => return Applied::Ignored(reason),
        };
        if allocation.ready.contains(&holder) {
            return Applied::Ignored(Reason::NothingToDo);
        }
        let mut new = replica.clone();
        let allocations = Arc::make_mut(&mut new.allocations);
        // It takes a slot only after it has handed over the one that it had.
        let left = allocations.values_mut();
        for allocation in left.filter(|allocation| allocation.leaving.contains(&holder)) {
            Arc::make_mut(allocation).leaving.remove(&holder);
        }
        if let Some(allocation) = allocations.get_mut(&word.job) {
            Arc::make_mut(allocation).ready.insert(holder);
        }
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        let Self(word) = self;
        let place = new.allocations.get(&word.job);
        let holder = place.and_then(|allocation| allocation.holder(&word.task, word.slot));
        ReplicaDiff::between(old, new).about("active", holder)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::ids::SlotId;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::{job_id, peer};

    fn ready(name: &str, task: &str, version: u64) -> Command {
        Command::SignalReady(SignalReady(SlotWord {
            id: Some(peer(name)),
            job: job_id(0),
            task: task.into(),
            slot: SlotId(0),
            version: LogPosition(version),
        }))
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
    fn who_is_ready_in_another_slot_has_handed_over_the_one_it_had() {
        let mut cluster = Cluster::of("a b c d").at(5);
        cluster.run(submit(0, "in:i>out:1-1 out:o"));
        cluster.run(submit(1, "in:i>out:1-1 out:o:1-1"));
        let leaving = |cluster: &Cluster| cluster.replica.allocations[&job_id(0)].leaving.clone();
        let moved = leaving(&cluster);
        assert_eq!(moved.len(), 2);
        let [taker, _] = moved.iter().copied().collect::<Vec<_>>()[..] else {
            panic!("{moved:?}");
        };
        let place = cluster.replica.assignment_of(taker).unwrap();
        let version = cluster.replica.allocations[&place.job].version;
        cluster.run(Command::SignalReady(SignalReady(SlotWord {
            id: Some(taker),
            job: place.job,
            task: place.task,
            slot: place.slot,
            version,
        })));
        assert_eq!(leaving(&cluster).len(), 1);
        assert!(!leaving(&cluster).contains(&taker));
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
