//! `notify-join-cluster`: the observer watches the joiner now, which is to watch on.

use super::{AcceptJoinCluster, Command};
use crate::ids::{LogPosition, PeerId};
use crate::log::{Applied, LogCommand, PeerContext, Reason, ReplicaDiff, Step};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The observer watches the joiner now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NotifyJoinCluster {
    /// The joiner: the peer whose turn it is, an observer from now on.
    pub observer: PeerId,
}

impl LogCommand for NotifyJoinCluster {
    fn apply(&self, _position: LogPosition, replica: &Replica) -> Applied {
        let joiner = self.observer;
        let mut prepared = replica.membership.prepared.iter();
        let Some((observer, _)) = prepared.find(|(_, behind)| **behind == joiner) else {
            return Applied::Ignored(Reason::NotJoining);
        };
        let mut new = replica.clone();
        Arc::make_mut(&mut new.membership).promote(*observer, joiner);
        Applied::Changed(new)
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        let diff = ReplicaDiff::between(old, new);
        match AcceptJoinCluster::of(&new.membership, self.observer) {
            Some(accept) => diff
                .about("observer", accept.observer)
                .about("subject", accept.subject)
                .about("accepted-observer", accept.accepted_observer)
                .about("accepted-joiner", accept.accepted_joiner),
            None => diff,
        }
    }

    fn reactions(&self, step: &Step, me: &PeerContext) -> Vec<Command> {
        if step.ignored.is_some() || self.observer != me.me {
            return Vec::new();
        }
        let accept = AcceptJoinCluster::of(&step.new.membership, me.me);
        accept.map(Command::AcceptJoinCluster).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, me};
    use crate::replica::sample::{member, peer};

    fn notify(name: &str) -> Command {
        Command::NotifyJoinCluster(NotifyJoinCluster {
            observer: peer(name),
        })
    }

    #[test]
    fn the_joiner_accepts_and_watches_what_its_observer_watched() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        let step = cluster.run(notify("c"));
        assert!(step.new.membership.prepared.is_empty());
        assert_eq!(
            step.new.membership.accepted,
            [(peer("a"), peer("c"))].into()
        );
        let accept = AcceptJoinCluster {
            observer: peer("c"),
            subject: peer("b"),
            accepted_observer: peer("a"),
            accepted_joiner: peer("c"),
        };
        assert_eq!(
            step.reactions(&me("c")),
            [Command::AcceptJoinCluster(accept)]
        );
        assert_eq!(step.reactions(&me("a")), []);
    }

    #[test]
    fn whoever_was_accepted_before_answers_only_what_it_said_itself_and_once() {
        let mut cluster = Cluster::of("a b c d");
        cluster.membership().prepare(peer("a"), peer("e"), member());
        cluster.membership().prepare(peer("c"), peer("f"), member());
        cluster.run(notify("e"));
        let step = cluster.run(notify("f"));
        assert_eq!(step.reactions(&me("f")).len(), 1);
        assert_eq!(step.reactions(&me("e")), []);
        let again = cluster.run(notify("e"));
        assert!(again.ignored.is_some());
        assert_eq!(again.reactions(&me("e")), []);
    }

    #[test]
    fn a_notify_that_comes_too_late_changes_nothing_and_needs_no_answer() {
        let step = Cluster::of("a b").run(notify("c"));
        assert_eq!(step.ignored, Some(Reason::NotJoining));
        assert_eq!(step.reactions(&me("c")), []);
        assert_eq!(step.effects(&me("c")), []);
    }
}
