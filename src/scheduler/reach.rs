//! Who can work together: one crew of all peers when segments travel between processes, one crew
//! for each process when they do not. A job has all its peers in one crew.

use crate::config::Transport;
use crate::ids::{GroupId, JobId, PeerId};
use crate::replica::{JobRecord, Member, Replica};
use std::collections::{BTreeMap, BTreeSet};

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
    let membership = &replica.membership;
    let on_their_way = membership
        .prepared
        .values()
        .chain(membership.accepted.values());
    let on_their_way: BTreeSet<PeerId> = on_their_way.copied().collect();
    let joined = membership
        .members
        .iter()
        .filter(|(peer, _)| !on_their_way.contains(peer));
    Crew {
        group: None,
        peers: joined.map(|(peer, member)| (*peer, member)).collect(),
    }
}

fn one_for_each_group(replica: &Replica) -> Vec<Crew<'_>> {
    let members = &replica.membership.members;
    let mut crews: Vec<Crew<'_>> = Vec::new();
    let mut of_group: BTreeMap<GroupId, usize> = BTreeMap::new();
    for peer in &replica.membership.peers {
        let Some(member) = members.get(peer) else {
            continue;
        };
        let index = *of_group.entry(member.group).or_insert_with(|| {
            crews.push(Crew {
                group: Some(member.group),
                peers: Vec::new(),
            });
            crews.len() - 1
        });
        crews[index].peers.push((*peer, member));
    }
    for crew in &mut crews {
        crew.peers.sort_unstable_by_key(|(peer, _)| *peer);
    }
    crews
}

/// The process in which a job runs: that of its peers.
pub(super) fn home(replica: &Replica, job: JobId) -> Option<GroupId> {
    let mut peers = replica.allocations.get(&job)?.peers();
    peers.find_map(|peer| Some(replica.membership.members.get(&peer)?.group))
}

/// The live jobs in the order of their submission.
pub(super) fn live_jobs(replica: &Replica) -> impl Iterator<Item = Candidate<'_>> {
    let live = replica.jobs.live.iter().enumerate();
    live.filter_map(|(index, job)| {
        let state = match home(replica, *job) {
            Some(_) => JobState::Running,
            None => JobState::Waiting,
        };
        Some(Candidate {
            index,
            id: *job,
            record: replica.record(*job)?,
            state,
        })
    })
}
