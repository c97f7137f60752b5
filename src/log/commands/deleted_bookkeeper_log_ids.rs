//! `deleted-bookkeeper-log-ids`: state logs that nobody needed are gone.

use crate::ids::{LogPosition, StateLogId};
use crate::log::{Applied, LogCommand, Reason};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// State logs are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DeletedBookkeeperLogIds {
    /// The logs. One that is in use stays, whatever is said of it here.
    pub logs: BTreeSet<StateLogId>,
}

impl LogCommand for DeletedBookkeeperLogIds {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        if replica.state_logs.marked.is_disjoint(&self.logs) {
            return Applied::Ignored(Reason::NothingToDo);
        }
        let mut new = replica.clone();
        let marked = &mut Arc::make_mut(&mut new.state_logs).marked;
        marked.retain(|log| !self.logs.contains(log));
        Applied::Changed(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SlotId;
    use crate::log::commands::Command;
    use crate::log::commands::sample::{Cluster, assign, compact, submit};
    use crate::replica::sample::job_id;

    #[test]
    fn what_is_deleted_is_forgotten_and_what_is_in_use_stays() {
        let mut cluster = Cluster::of("a b");
        cluster.run(submit(0, "in:i>out out:o"));
        cluster.run(assign(0, "in", 0, 1));
        cluster.run(compact(0, "in", 0, &[1], &[2]));
        let logs: BTreeSet<StateLogId> = [1, 2, 3].map(StateLogId::Ledger).into();
        let deleted = Command::DeletedBookkeeperLogIds(DeletedBookkeeperLogIds { logs });
        assert_eq!(cluster.run(deleted.clone()).ignored, None);
        let state = &cluster.replica.state_logs;
        assert!(state.marked.is_empty());
        let left = state.of_slot(job_id(0), &"in".into(), SlotId(0));
        assert_eq!(left, [StateLogId::Ledger(2)]);
        assert_eq!(cluster.run(deleted).ignored, Some(Reason::NothingToDo));
    }
}
