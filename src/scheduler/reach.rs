//! Who can work together: one crew of all peers when segments travel between processes, one crew
//! for each process when they do not. A job has all its peers in one crew.

use crate::config::Transport;
use crate::ids::{GroupId, JobId, PeerId};
use crate::replica::{Allocation, JobRecord, Member, Membership, Replica};
use std::collections::BTreeMap;

/// Joined peers that can send segments to each other, sorted.
#[derive(Debug)]
pub(super) struct Crew<'a> {
    /// Their process, when they cannot send beyond it.
    pub(super) group: Option<GroupId>,
    pub(super) peers: Vec<(PeerId, &'a Member)>,
}

/// A live job that a crew may be given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    /// Which of the live jobs it is.
    pub(super) index: usize,
    pub(super) id: JobId,
    pub(super) record: &'a JobRecord,
    /// Who runs it, those that are gone included.
    pub(super) allocation: Option<&'a Allocation>,
    pub(super) state: JobState,
}

/// Whether a job has peers now, in the crew that is asked. One that has lost all has nothing to keep,
/// and waits like a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Running,
    Waiting,
}

/// All crews, in the order in which the first peer of each joined.
pub(super) fn crews(replica: &Replica) -> Vec<Crew<'_>> {
    match replica.agreed.messaging {
        Transport::Aeron => vec![everybody(replica)],
        Transport::Local => one_for_each_group(replica),
    }
}

/// All joined peers, as if segments could reach each of them.
pub(super) fn everybody(replica: &Replica) -> Crew<'_> {
    Crew {
        group: None,
        peers: joined(&replica.membership),
    }
}

fn one_for_each_group(replica: &Replica) -> Vec<Crew<'_>> {
    let membership = &replica.membership;
    let mut groups: BTreeMap<GroupId, Vec<(PeerId, &Member)>> = BTreeMap::new();
    let joined = joined(membership);
    // A cluster of one process is one run of peers.
    for peers in joined.chunk_by(|(_, one), (_, next)| one.group == next.group) {
        let group = peers[0].1.group;
        groups.entry(group).or_default().extend_from_slice(peers);
    }
    let mut crews = Vec::with_capacity(groups.len());
    for peer in &membership.peers {
        if groups.is_empty() {
            break;
        }
        let group = membership.members.get(peer).map(|member| member.group);
        let first_seen = group.and_then(|group| groups.remove_entry(&group));
        crews.extend(first_seen.map(|(group, peers)| Crew {
            group: Some(group),
            peers,
        }));
    }
    crews
}

/// All joined peers, sorted.
fn joined(membership: &Membership) -> Vec<(PeerId, &Member)> {
    let on_their_way = membership
        .prepared
        .values()
        .chain(membership.accepted.values());
    let mut on_their_way: Vec<PeerId> = on_their_way.copied().collect();
    on_their_way.sort_unstable();
    let members = membership.members.iter();
    let joined = members.filter(|(peer, _)| on_their_way.binary_search(peer).is_err());
    let mut peers = Vec::with_capacity(membership.members.len());
    peers.extend(joined.map(|(peer, member)| (*peer, member)));
    peers
}

/// The process in which a job runs: that of its peers.
pub(super) fn home(replica: &Replica, job: JobId) -> Option<GroupId> {
    home_of(&replica.membership, replica.allocations.get(&job)?)
}

fn home_of(membership: &Membership, allocation: &Allocation) -> Option<GroupId> {
    let mut peers = allocation.peers();
    peers.find_map(|peer| Some(membership.members.get(&peer)?.group))
}

/// The live jobs in the order of their submission, each with the process in which it runs.
pub(super) fn live_jobs(
    replica: &Replica,
) -> impl Iterator<Item = (Option<GroupId>, Candidate<'_>)> {
    let live = replica.jobs.live.iter().enumerate();
    live.filter_map(|(index, job)| {
        let allocation = replica.allocations.get(job).map(|it| &**it);
        let home = allocation.and_then(|it| home_of(&replica.membership, it));
        let state = match home {
            Some(_) => JobState::Running,
            None => JobState::Waiting,
        };
        let candidate = Candidate {
            index,
            id: *job,
            record: replica.record(*job)?,
            allocation,
            state,
        };
        Some((home, candidate))
    })
}
