//! What every command answers.

use super::commands::Command;
use super::{ReplicaDiff, Step};
use crate::ids::{GroupId, LogPosition, PeerId};
use crate::replica::{Member, Replica};
use serde::{Deserialize, Serialize};

/// A command of the log. Everything here is pure and total.
pub trait LogCommand {
    /// The new replica, or why there is none.
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied;
    /// What it changed from one replica to the next, as people see it.
    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        ReplicaDiff::between(old, new)
    }
    /// What to write in answer, as the peer `me`.
    fn reactions(&self, step: &Step, me: &PeerContext) -> Vec<Command> {
        let _ = (step, me);
        Vec::new()
    }
    /// What to do besides, as the peer `me`.
    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        let _ = (step, me);
        Vec::new()
    }
}

/// What applying a command gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The replica after it.
    Changed(Replica),
    /// It does not fit; the replica stays.
    Ignored(Reason),
}

/// Why an entry changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The payload is not an entry.
    Unreadable,
    /// The writer's entry was applied before.
    AlreadySeen,
    /// The peer is joined or joining already.
    AlreadyJoining,
    /// No joined peer can take a joiner now.
    NoCandidate,
    /// The join that it continues is not under way.
    NotJoining,
    /// The peer is not known.
    UnknownPeer,
    /// It names peers of several groups.
    SeveralGroups,
    /// The job was submitted before.
    KnownJob,
    /// Another job was submitted under this id.
    OtherContent,
    /// There are as many live jobs as there may be.
    TooManyJobs,
    /// The job is not live.
    NotLive,
    /// The job record makes no sense (no tasks, unknown downstream, minimum above maximum …).
    InvalidJob,
    /// The job has no such task.
    UnknownTask,
    /// A state log that it names belongs elsewhere already.
    LogInUse,
    /// The slot has as many state logs as it may have; compact them.
    TooManyLogs,
    /// It names a slot or version that is not the present one.
    Stale,
    /// It is so already.
    NothingToDo,
    /// A process tells it to its own peers; in the log it means nothing.
    LocalOnly,
    /// Too early: something upstream is not exhausted yet.
    NotYet,
}

impl Reason {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Unreadable => "unreadable",
            Reason::AlreadySeen => "already-seen",
            Reason::AlreadyJoining => "already-joining",
            Reason::NoCandidate => "no-candidate",
            Reason::NotJoining => "not-joining",
            Reason::UnknownPeer => "unknown-peer",
            Reason::SeveralGroups => "several-groups",
            Reason::KnownJob => "known-job",
            Reason::OtherContent => "other-content",
            Reason::TooManyJobs => "too-many-jobs",
            Reason::NotLive => "not-live",
            Reason::InvalidJob => "invalid-job",
            Reason::UnknownTask => "unknown-task",
            Reason::LogInUse => "log-in-use",
            Reason::TooManyLogs => "too-many-logs",
            Reason::Stale => "stale",
            Reason::NothingToDo => "nothing-to-do",
            Reason::LocalOnly => "local-only",
            Reason::NotYet => "not-yet",
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub struct PeerContext {
    /// The peer.
    pub me: PeerId,
    /// What it says of itself when it joins.
    pub member: Member,
}

impl PeerContext {
    /// Its process.
    pub fn group(&self) -> GroupId {
        self.member.group
    }
}

/// What a peer has to do once because of one entry. Whatever can be derived from the replica is a
/// want instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// My attempt to join was refused or undone: back off, then write `prepare-join-cluster` again.
    /// After a jump over entries, see [`after_jump`] instead.
    ///
    /// [`after_jump`]: super::wants::after_jump
    RejoinAfterBackOff,
    /// The join is blocked by a peer that may be dead: if it has no pulse, write its leave.
    EvictIfGhost(PeerId),
    /// I was removed: end this incarnation.
    Restart,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reason_has_the_same_name_everywhere() {
        for reason in [Reason::Unreadable, Reason::SeveralGroups, Reason::NotYet] {
            assert_eq!(json!(reason), reason.name());
        }
    }
}
