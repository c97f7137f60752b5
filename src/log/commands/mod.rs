//! The commands, one file each. A new one is a file, a variant and a line in `rules`.

mod abort_join_cluster;
mod accept_join_cluster;
mod assign_bookkeeper_log_id;
mod compact_bookkeeper_log_ids;
mod deleted_bookkeeper_log_ids;
mod exhaust_input;
mod finish;
mod gc;
mod kill_job;
mod leave_cluster;
mod notify_join_cluster;
mod prepare_join_cluster;
mod reading;
#[cfg(test)]
pub(crate) mod sample;
mod seal_task;
mod set_replica;
mod signal_ready;
mod slot;
mod state_slot;
mod submit_job;

pub use abort_join_cluster::AbortJoinCluster;
pub use accept_join_cluster::AcceptJoinCluster;
pub use assign_bookkeeper_log_id::AssignBookkeeperLogId;
pub use compact_bookkeeper_log_ids::CompactBookkeeperLogIds;
pub use deleted_bookkeeper_log_ids::DeletedBookkeeperLogIds;
pub use exhaust_input::ExhaustInput;
pub use gc::Gc;
pub use kill_job::KillJob;
pub use leave_cluster::LeaveCluster;
pub use notify_join_cluster::NotifyJoinCluster;
pub use prepare_join_cluster::PrepareJoinCluster;
pub(super) use reading::check_keys;
pub use seal_task::SealTask;
pub use set_replica::SetReplica;
pub use signal_ready::SignalReady;
pub use slot::SlotWord;
pub use submit_job::{SubmitJob, SubmittedJob};

use super::{Applied, Effect, LogCommand, PeerContext, ReplicaDiff, Step};
use crate::ids::LogPosition;
use crate::replica::Replica;
use serde::{Deserialize, Serialize};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fn", content = "args", rename_all = "kebab-case")]
pub enum Command {
    /// A peer wants to join.
    PrepareJoinCluster(PrepareJoinCluster),
    /// The observer watches the joiner now.
    NotifyJoinCluster(NotifyJoinCluster),
    /// The joiner watches on: it is joined.
    AcceptJoinCluster(AcceptJoinCluster),
    /// A join is given up.
    AbortJoinCluster(AbortJoinCluster),
    /// Peers are gone.
    LeaveCluster(LeaveCluster),
    /// A job is to run.
    SubmitJob(SubmitJob),
    /// A job is to end.
    KillJob(KillJob),
    /// A peer can receive.
    SignalReady(SignalReady),
    /// An input slot has nothing more to read.
    ExhaustInput(ExhaustInput),
    /// An output slot is sealed.
    SealTask(SealTask),
    /// A slot begins a state log.
    AssignBookkeeperLogId(AssignBookkeeperLogId),
    /// State logs of a slot are replaced by shorter ones.
    CompactBookkeeperLogIds(CompactBookkeeperLogIds),
    /// State logs are gone.
    DeletedBookkeeperLogIds(DeletedBookkeeperLogIds),
    /// Finished jobs are to be forgotten but for their tombstones.
    Gc(Gc),
    /// A reader goes on from the origin. Never in the log.
    #[serde(rename = "set-replica!")]
    SetReplica(SetReplica),
}

impl Command {
    /// The names of all, as under `fn`.
    pub const NAMES: [&str; 15] = [
        "prepare-join-cluster",
        "notify-join-cluster",
        "accept-join-cluster",
        "abort-join-cluster",
        "leave-cluster",
        "submit-job",
        "kill-job",
        "signal-ready",
        "exhaust-input",
        "seal-task",
        "assign-bookkeeper-log-id",
        "compact-bookkeeper-log-ids",
        "deleted-bookkeeper-log-ids",
        "gc",
        "set-replica!",
    ];

    /// Its name, as under `fn`.
    pub fn name(&self) -> &'static str {
        match self {
            Command::PrepareJoinCluster(_) => "prepare-join-cluster",
            Command::NotifyJoinCluster(_) => "notify-join-cluster",
            Command::AcceptJoinCluster(_) => "accept-join-cluster",
            Command::AbortJoinCluster(_) => "abort-join-cluster",
            Command::LeaveCluster(_) => "leave-cluster",
            Command::SubmitJob(_) => "submit-job",
            Command::KillJob(_) => "kill-job",
            Command::SignalReady(_) => "signal-ready",
            Command::ExhaustInput(_) => "exhaust-input",
            Command::SealTask(_) => "seal-task",
            Command::AssignBookkeeperLogId(_) => "assign-bookkeeper-log-id",
            Command::CompactBookkeeperLogIds(_) => "compact-bookkeeper-log-ids",
            Command::DeletedBookkeeperLogIds(_) => "deleted-bookkeeper-log-ids",
            Command::Gc(_) => "gc",
            Command::SetReplica(_) => "set-replica!",
        }
    }

    /// Whether the outbox of a peer that is not joined lets it pass: its own join, and leaves.
    pub fn passes_paused_outbox(&self) -> bool {
        matches!(
            self,
            Command::PrepareJoinCluster(_)
                | Command::NotifyJoinCluster(_)
                | Command::AcceptJoinCluster(_)
                | Command::AbortJoinCluster(_)
                | Command::LeaveCluster(_)
        )
    }

    fn rules(&self) -> &dyn LogCommand {
        match self {
            Command::PrepareJoinCluster(command) => command,
            Command::NotifyJoinCluster(command) => command,
            Command::AcceptJoinCluster(command) => command,
            Command::AbortJoinCluster(command) => command,
            Command::LeaveCluster(command) => command,
            Command::SubmitJob(command) => command,
            Command::KillJob(command) => command,
            Command::SignalReady(command) => command,
            Command::ExhaustInput(command) => command,
            Command::SealTask(command) => command,
            Command::AssignBookkeeperLogId(command) => command,
            Command::CompactBookkeeperLogIds(command) => command,
            Command::DeletedBookkeeperLogIds(command) => command,
            Command::Gc(command) => command,
            Command::SetReplica(command) => command,
        }
    }
}

impl LogCommand for Command {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        self.rules().apply(position, replica)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        self.rules().diff(old, new)
    }

    fn reactions(&self, step: &Step, me: &PeerContext) -> Vec<Command> {
        self.rules().reactions(step, me)
    }

    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        self.rules().effects(step, me)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_names_are_those_that_are_read() {
        let unknown = serde_json::from_value::<Command>(json!({ "fn": "", "args": {} }));
        let told = unknown.unwrap_err().to_string();
        let expected: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(Command::NAMES.as_slice(), expected);
    }
}
