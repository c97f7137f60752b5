//! The events of one step: what an entry did to the peers of jobs and to nodes. Derived from the
//! replica before and after, so that no command has to report it.

use crate::ids::{GroupId, JobId, LogPosition, NodeName, PeerId, TaskName};
use crate::replica::{Allocation, Events, JobEvent, NodeDeparture, PeerChange, Replica};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Adds the events of an entry to the replica that it made.
///
/// `at_ms` is when the entry was written, in milliseconds since 1970, if it says so.
pub(super) fn record(old: &Replica, new: &mut Replica, entry: LogPosition, at_ms: Option<u64>) {
    let is_same_membership = Arc::ptr_eq(&old.membership, &new.membership);
    let departure = match is_same_membership {
        true => None,
        false => Departure::between(old, new),
    };
    let changes = match Arc::ptr_eq(&old.allocations, &new.allocations) {
        true => Vec::new(),
        false => changes(old, new, departure.as_ref()),
    };
    let gone = departure.as_ref().filter(|gone| gone.is_whole_node);
    let forgotten = forgotten_jobs(old, new);
    if changes.is_empty() && gone.is_none() && forgotten.is_empty() {
        return;
    }
    let events: &mut Events = Arc::make_mut(&mut new.events);
    for job in forgotten {
        events.jobs.remove(&job);
    }
    for (job, change) in changes {
        let event = JobEvent {
            entry,
            at_ms,
            change,
        };
        events.jobs.entry(job).or_default().record(event);
    }
    if let Some(gone) = gone {
        events.record_departure(NodeDeparture {
            node: gone.node.clone(),
            group: gone.group,
            peers: gone.peers,
            entry,
            at_ms,
        });
    }
}

/// Joined peers that are gone. One entry removes peers of one node only.
struct Departure {
    node: NodeName,
    group: GroupId,
    peers: u32,
    is_whole_node: bool,
}

impl Departure {
    /// None if no joined peer is gone.
    fn between(old: &Replica, new: &Replica) -> Option<Self> {
        let (was, is) = (&old.membership, &new.membership);
        if is.peers.len() >= was.peers.len() {
            return None;
        }
        let mut gone = was
            .peers
            .iter()
            .filter(|peer| !is.members.contains_key(peer));
        let first = was.members.get(gone.next()?)?;
        let remains = is.members.values().any(|it| it.group == first.group);
        Some(Departure {
            node: first.node.clone(),
            group: first.group,
            peers: 1 + u32::try_from(gone.count()).unwrap_or(u32::MAX - 1),
            is_whole_node: !remains,
        })
    }
}

/// What happened to the peers of each job.
fn changes(
    old: &Replica,
    new: &Replica,
    departure: Option<&Departure>,
) -> Vec<(JobId, PeerChange)> {
    let mut changes = Vec::new();
    for (job, was) in old.allocations.iter() {
        let is = new.allocations.get(job);
        if is.is_some_and(|is| Arc::ptr_eq(was, is)) {
            continue;
        }
        let (lost, moved) = displaced(was, is.map(|is| &**is), new);
        if let Some(departure) = departure
            && !lost.is_empty()
        {
            let change = PeerChange::PeersLost {
                node: departure.node.clone(),
                is_whole_node: departure.is_whole_node,
                tasks: lost,
            };
            changes.push((*job, change));
        }
        match is {
            None if new.jobs.is_live(*job) => changes.push((*job, PeerChange::Suspended)),
            Some(_) if !moved.is_empty() => {
                let change = PeerChange::PeersMoved {
                    times: 1,
                    tasks: moved,
                };
                changes.push((*job, change));
            }
            // The end of a job frees its peers.
            None | Some(_) => {}
        }
    }
    let is_suspended = |job: &JobId| {
        let mut events = old.events.of(*job).collect::<Vec<_>>().into_iter().rev();
        events.any(|event| event.change == PeerChange::Suspended)
    };
    let begun = new.allocations.keys();
    let begun = begun.filter(|job| !old.allocations.contains_key(job));
    let resumed = begun.filter(|job| is_suspended(job));
    changes.extend(resumed.map(|job| (*job, PeerChange::Resumed)));
    changes
}

type PeersOfTasks = BTreeMap<TaskName, u32>;

/// The peers that no longer hold their slot: those that are gone, and those that live.
fn displaced(
    was: &Allocation,
    is: Option<&Allocation>,
    new: &Replica,
) -> (PeersOfTasks, PeersOfTasks) {
    let (mut lost, mut moved) = (PeersOfTasks::new(), PeersOfTasks::new());
    for (task, slots) in &was.tasks {
        let now = is.and_then(|is| is.tasks.get(task));
        let holds = |slot, peer: &PeerId| now.and_then(|now| now.get(slot)) == Some(peer);
        for (_, peer) in slots.iter().filter(|(slot, peer)| !holds(slot, peer)) {
            let displaced = match new.membership.members.contains_key(peer) {
                true => &mut moved,
                false => &mut lost,
            };
            *displaced.entry(task.clone()).or_default() += 1;
        }
    }
    (lost, moved)
}

/// Jobs with events whose records are gone.
fn forgotten_jobs(old: &Replica, new: &Replica) -> Vec<JobId> {
    if Arc::ptr_eq(&old.jobs, &new.jobs) {
        return Vec::new();
    }
    let jobs = new.events.jobs.keys();
    let forgotten = jobs.filter(|job| !new.jobs.records.contains_key(job));
    forgotten.copied().collect()
}

#[cfg(test)]
mod tests {
    use crate::log::commands::sample::{Cluster, submit};
    use crate::log::commands::{Command, Gc, KillJob, LeaveCluster};
    use crate::replica::sample::{job_id, peer};
    use uuid::Uuid;

    fn leave(names: &str) -> Command {
        let peers = names.split_whitespace().map(peer);
        Command::LeaveCluster(LeaveCluster::of_all(peers).unwrap())
    }

    fn shown(cluster: &Cluster, job: u32) -> Vec<String> {
        let events = cluster.replica.events.of(job_id(job));
        events.map(|event| event.change.to_string()).collect()
    }

    fn named(names: &str) -> Cluster {
        let mut cluster = Cluster::of(names);
        for name in names.split_whitespace() {
            let member = cluster.membership().members.get_mut(&peer(name));
            member.unwrap().node = "a:8080".into();
        }
        cluster
    }

    #[test]
    fn a_lost_peer_is_an_event_of_its_job() {
        let mut cluster = named("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        let lost = cluster.replica.allocations[&job_id(0)].tasks[&"out".into()].clone();
        let lost = *lost.values().next().unwrap();
        cluster.run(Command::LeaveCluster(LeaveCluster::of(lost)));
        let expected = "peers of node a:8080 lost: 1 peer of out";
        assert_eq!(shown(&cluster, 0), [expected]);
        assert_eq!(cluster.replica.events.departures.len(), 0);
    }

    #[test]
    fn a_job_without_enough_peers_is_suspended_and_resumed() {
        let mut cluster = named("a b");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        cluster.run(leave("b"));
        let events = shown(&cluster, 0);
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events[0].starts_with("peers of node a:8080 lost: 1 peer of "));
        assert_eq!(events[1], "suspended: too few peers are left");
    }

    #[test]
    fn a_node_that_is_gone_is_remembered() {
        let mut cluster = named("a b");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        cluster.run(leave("a b"));
        let departures = &cluster.replica.events.departures;
        let gone: Vec<_> = departures
            .iter()
            .map(|it| (it.node.as_str(), it.peers))
            .collect();
        assert_eq!(gone, [("a:8080", 2)]);
        let expected = "node a:8080 lost: 1 peer of in, 1 peer of out";
        assert_eq!(shown(&cluster, 0)[0], expected);
    }

    #[test]
    fn the_end_of_a_job_is_no_move_and_collection_forgets_its_events() {
        let mut cluster = named("a b c");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        cluster.run(Command::KillJob(KillJob::new(job_id(0), None)));
        assert_eq!(shown(&cluster, 0), Vec::<String>::new());
        cluster.run(submit(1, "in:i>out:1-1 out:o:1-1"));
        cluster.run(leave("a"));
        assert_eq!(shown(&cluster, 1).len(), 1);
        cluster.run(Command::KillJob(KillJob::new(job_id(1), None)));
        assert_eq!(shown(&cluster, 1).len(), 1);
        cluster.run(Command::Gc(Gc {
            id: Uuid::from_u128(7),
        }));
        assert!(cluster.replica.events.jobs.is_empty());
    }

    #[test]
    fn peers_that_are_moved_for_another_job_are_an_event() {
        let mut cluster = named("a b c d");
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-3"));
        cluster.run(submit(1, "in:i>out:1-1 out:o:1-1"));
        let events = shown(&cluster, 0);
        assert_eq!(events, ["peers moved to other work: 2 peers of out"]);
    }
}
