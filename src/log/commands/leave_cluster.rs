//! `leave-cluster`: peers are gone; whoever watched them takes over whom they watched. A job that
//! cannot do without one of them is killed, and the work is shared anew, once.

use super::finish::end;
use crate::ids::{JobId, LogPosition, PeerId};
use crate::job::FluxPolicy;
use crate::log::{Applied, Effect, LogCommand, PeerContext, Reason, ReplicaDiff, Step};
use crate::replica::{Loss, Outcome, Place, Replica};
use crate::scheduler::reallocate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Peers are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeaveCluster {
    /// The peer.
    pub id: PeerId,
    /// Further peers of its group: a process is watched as a whole. An entry that names peers of
    /// several groups changes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<PeerId>,
}

impl LeaveCluster {
    /// One peer is gone.
    pub fn of(id: PeerId) -> Self {
        LeaveCluster {
            id,
            also: Vec::new(),
        }
    }

    /// All of these are gone; none when there are none.
    pub fn of_all(peers: impl IntoIterator<Item = PeerId>) -> Option<Self> {
        let mut peers = peers.into_iter();
        let id = peers.next()?;
        let also = peers.collect();
        Some(LeaveCluster { id, also })
    }

    fn names(&self, peer: PeerId) -> bool {
        self.id == peer || self.also.contains(&peer)
    }
}

impl LogCommand for LeaveCluster {
    fn apply(&self, position: LogPosition, replica: &Replica) -> Applied {
        let members = &replica.membership.members;
        let named = [self.id].into_iter().chain(self.also.iter().copied());
        // Of those who are gone already somebody else has said so.
        let gone: Vec<PeerId> = named.filter(|peer| members.contains_key(peer)).collect();
        let mut groups = gone.iter().map(|peer| members[peer].group);
        let Some(group) = groups.next() else {
            return Applied::Ignored(Reason::UnknownPeer);
        };
        if groups.any(|other| other != group) {
            return Applied::Ignored(Reason::SeveralGroups);
        }
        let mut new = replica.clone();
        let membership = Arc::make_mut(&mut new.membership);
        for peer in &gone {
            membership.remove(*peer);
        }
        if new.membership.peers == replica.membership.peers {
            // Joiners work for nobody.
            return Applied::Changed(new);
        }
        for (job, loss) in jobs_killed_by_loss(replica, &gone) {
            Arc::make_mut(&mut new.jobs).losses.insert(job, loss);
            end(&mut new, job, Outcome::Killed, position);
        }
        Applied::Changed(reallocate(&new, position))
    }

    fn diff(&self, old: &Replica, new: &Replica) -> ReplicaDiff {
        let named = [self.id].into_iter().chain(self.also.iter().copied());
        let members = [old, new].map(|replica| &replica.membership.members);
        let died =
            named.filter(|peer| members[0].contains_key(peer) && !members[1].contains_key(peer));
        let was = &old.membership.pairs;
        let watches = new.membership.pairs.iter();
        let updated = watches.filter(|(watcher, watched)| was.get(watcher) != Some(watched));
        ReplicaDiff::between(old, new)
            .about("died", died.collect::<BTreeSet<PeerId>>())
            .about(
                "updated-watch",
                updated.collect::<BTreeMap<&PeerId, &PeerId>>(),
            )
    }

    /// An id is never used again, so a peer that reads its own leave has to end, even if the cluster
    /// did not know it. A joiner that goes with its observer tries again.
    fn effects(&self, step: &Step, me: &PeerContext) -> Vec<Effect> {
        let me = me.me;
        if self.names(me) && !step.new.membership.members.contains_key(&me) {
            return vec![Effect::Restart];
        }
        let stranded = step.old.membership.is_joining(me) && !step.new.membership.is_joining(me);
        if stranded {
            return vec![Effect::RejoinAfterBackOff];
        }
        Vec::new()
    }
}

/// The jobs that have lost a peer of a task with the flux policy `kill`, and the first such peer.
fn jobs_killed_by_loss(replica: &Replica, gone: &[PeerId]) -> BTreeMap<JobId, Loss> {
    let mut killed = BTreeMap::new();
    for peer in gone {
        let Some(Place { job, task, .. }) = replica.assignment_of(*peer) else {
            continue;
        };
        let record = replica.record(job).and_then(|record| record.task(&task));
        if record.is_some_and(|task| task.flux_policy == Some(FluxPolicy::Kill)) {
            killed.entry(job).or_insert(Loss { peer: *peer, task });
        }
    }
    killed
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::ids::{GroupId, SlotId};
    use crate::log::commands::sample::{Cluster, me, submit};
    use crate::replica::sample::{job_id, joined, member, peer};
    use serde_json::json;
    use uuid::Uuid;

    fn leave(name: &str) -> Command {
        Command::LeaveCluster(LeaveCluster::of(peer(name)))
    }

    #[test]
    fn the_observer_inherits_the_subject() {
        let step = Cluster::of("a b c").run(leave("b"));
        assert_eq!(step.new.membership.pairs, joined("a c").pairs);
        assert_eq!(step.effects(&me("b")), [Effect::Restart]);
        assert_eq!(step.effects(&me("a")), []);
    }

    #[test]
    fn the_diff_names_the_dead_and_the_new_watch() {
        let step = Cluster::of("a b c").run(leave("b"));
        let diff = serde_json::to_value(step.diff().unwrap()).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| peer(name).to_string());
        assert_eq!(diff["died"], json!([b]));
        assert_eq!(diff["updated-watch"], json!({ a.as_str(): c }));
        assert_eq!(diff["added"], json!({ "pairs": { a.as_str(): c } }));
        assert_eq!(
            diff["removed"]["pairs"],
            json!({ a.as_str(): b, b.as_str(): c })
        );
        assert_eq!(Cluster::of("a").run(leave("z")).diff(), None);
    }

    #[test]
    fn a_joiner_whose_observer_left_tries_again() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        let step = cluster.run(leave("a"));
        assert!(!step.new.membership.members.contains_key(&peer("c")));
        assert_eq!(step.effects(&me("c")), [Effect::RejoinAfterBackOff]);
    }

    #[test]
    fn a_joiner_can_leave_and_the_ring_stays() {
        let mut cluster = Cluster::of("a b");
        cluster.membership().prepare(peer("a"), peer("c"), member());
        let step = cluster.run(leave("c"));
        assert_eq!(step.new.membership.as_ref(), &joined("a b"));
        assert_eq!(step.effects(&me("c")), [Effect::Restart]);
    }

    #[test]
    fn a_group_leaves_at_once_and_only_a_group() {
        let mut cluster = Cluster::of("a b c d");
        let stranger = cluster.membership().members.get_mut(&peer("d")).unwrap();
        stranger.group = GroupId(Uuid::from_u128(2));
        let leave = |also: &[&str]| {
            Command::LeaveCluster(LeaveCluster {
                id: peer("b"),
                also: also.iter().map(|name| peer(name)).collect(),
            })
        };
        let step = cluster.run(leave(&["c", "d"]));
        assert_eq!(step.ignored, Some(Reason::SeveralGroups));
        assert_eq!(step.effects(&me("b")), []);
        let step = cluster.run(leave(&["gone", "c"]));
        assert_eq!(step.new.membership.peers, ["a", "d"].map(peer));
        assert_eq!(step.effects(&me("c")), [Effect::Restart]);
        assert_eq!(step.effects(&me("d")), []);
    }

    #[test]
    fn an_unknown_peer_leaves_nothing_behind_but_ends_itself() {
        let step = Cluster::of("a").run(leave("z"));
        assert_eq!(step.ignored, Some(Reason::UnknownPeer));
        assert_eq!(step.effects(&me("z")), [Effect::Restart]);
    }

    #[test]
    fn a_job_that_cannot_do_without_a_peer_is_killed_and_the_next_gets_the_rest_at_once() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-2!~kill"));
        cluster.run(submit(1, "in:i>out:1-1 out:o:1-1"));
        let lost = cluster.replica.allocations[&job_id(0)].tasks[&"out".into()].clone();
        let lost: Vec<PeerId> = lost.into_values().collect();
        let step = cluster.run(Command::LeaveCluster(LeaveCluster::of(lost[1])));
        assert_eq!(step.new.jobs.killed, [job_id(0)]);
        let (peer, task) = (lost[1], "out".into());
        assert_eq!(step.new.jobs.losses[&job_id(0)], Loss { peer, task });
        assert!(!step.new.allocations.contains_key(&job_id(0)));
        assert_eq!(step.new.peer_count(job_id(1)), 2);
        let version = step.new.allocations[&job_id(1)].version;
        assert_eq!(version, step.position);
    }

    #[test]
    fn a_job_survives_the_loss_of_a_peer_at_another_task_than_the_one_that_kills() {
        let mut cluster = Cluster::of("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1!~kill"));
        let input = cluster.replica.allocations[&job_id(0)].holder(&"in".into(), SlotId(0));
        let step = cluster.run(Command::LeaveCluster(LeaveCluster::of(input.unwrap())));
        assert_eq!(step.new.jobs.live, [job_id(0)]);
        assert_eq!(step.new.peer_count(job_id(0)), 2);
    }
}
