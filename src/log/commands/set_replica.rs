//! `set-replica!`: a reader that comes too late for an entry goes on from the origin. Never written
//! to the log: a process gives it to its own peers, in place of the entries that are gone.

use crate::ids::LogPosition;
use crate::log::wants::{AfterJump, after_jump};
use crate::log::{Applied, Effect, LogCommand, PeerContext, Reason, Step};
use crate::replica::Replica;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

use super::Command;

/// The entries up to here are gone; this is what they made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetReplica {
    /// The replica after them. What a log says under this name is not looked at.
    #[serde(default, deserialize_with = "unread")]
    pub replica: Arc<Replica>,
}

fn unread<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Replica>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Arc::default())
}

impl LogCommand for SetReplica {
    /// Somebody who could write this to the log could make of the cluster whatever he likes.
    fn apply(&self, _position: LogPosition, _replica: &Replica) -> Applied {
        Applied::Ignored(Reason::LocalOnly)
    }

    fn reactions(&self, step: &Step, me: &PeerContext) -> Vec<Command> {
        match jumped(step, me) {
            Some(AfterJump::Write(commands)) => commands,
            Some(AfterJump::Restart) | None => Vec::new(),
        }
    }

    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        match jumped(step, me) {
            Some(AfterJump::Restart) => vec![Effect::Restart],
            Some(AfterJump::Write(_)) | None => Vec::new(),
        }
    }
}

/// What a peer has to make up for; none when the command stood in the log, and nobody jumped.
fn jumped(step: &Step, me: &PeerContext) -> Option<AfterJump> {
    let adopted = step.ignored.is_none();
    adopted.then(|| after_jump(&step.old, &step.new, me))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, me};
    use crate::log::commands::{NotifyJoinCluster, PrepareJoinCluster};
    use crate::replica::sample::{member, peer};

    #[test]
    fn in_the_log_it_is_refused() {
        let mut cluster = Cluster::of("a b");
        let before = cluster.replica.clone();
        let replica = Arc::new(Replica::default());
        let step = cluster.run(Command::SetReplica(SetReplica { replica }));
        assert_eq!(step.ignored, Some(Reason::LocalOnly));
        assert_eq!(step.new.membership, before.membership);
        assert_eq!(step.effects(&me("a")), []);
        assert_eq!(step.reactions(&me("a")), []);
        assert_eq!(step.reactions(&me("z")), []);
    }

    #[test]
    fn a_peer_makes_up_for_what_it_missed() {
        let old = Cluster::of("a b");
        let mut new = Cluster::of("a c");
        new.membership().prepare(peer("a"), peer("d"), member());
        let step = Step::jump(LogPosition(90), old.replica, new.replica.clone());
        assert_eq!((step.position, step.ignored), (LogPosition(90), None));
        assert_eq!(step.new, new.replica);
        // One that was removed meanwhile ends.
        assert_eq!(step.effects(&me("b")), [Effect::Restart]);
        assert_eq!(step.reactions(&me("b")), []);
        // One that has somebody to help in helps.
        let notify = NotifyJoinCluster {
            observer: peer("d"),
        };
        assert_eq!(
            step.reactions(&me("a")),
            [Command::NotifyJoinCluster(notify)]
        );
        // One that has not joined yet tries again.
        let prepare = PrepareJoinCluster {
            joiner: peer("e"),
            member: member(),
        };
        assert_eq!(
            step.reactions(&me("e")),
            [Command::PrepareJoinCluster(prepare)]
        );
    }
}
