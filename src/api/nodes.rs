//! The nodes of the cluster, as the replica has them.

use super::NodeHandle;
use crate::ids::{GroupId, JobId, NodeName, PeerId};
use crate::replica::{NodeDeparture, Replica};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes of the cluster, and those that have left it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeList {
    /// The nodes with a peer in the cluster, by name.
    pub nodes: Vec<NodeEntry>,
    /// The latest departures of whole nodes, oldest first.
    pub departed: Vec<NodeDeparture>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeEntry {
    /// Its name; empty if its version does not give one.
    pub name: NodeName,
    /// Its process.
    pub group: GroupId,
    /// Whether this is the node that answers.
    pub is_this: bool,
    /// How many of its peers have joined.
    pub peers_joined: usize,
    /// How many of its peers are joining.
    pub peers_joining: usize,
    /// How many of its peers hold a slot of a task.
    pub peers_working: usize,
    /// The jobs that they work on.
    pub jobs: Vec<JobId>,
    /// The tags of its peers.
    pub tags: BTreeSet<String>,
}

impl NodeHandle {
    /// The nodes of the cluster, by the newest replica of this node.
    pub fn nodes(&self) -> NodeList {
        NodeList::of(&self.snapshot().replica, self.window.group)
    }
}

impl NodeList {
    fn of(replica: &Replica, this: GroupId) -> NodeList {
        let membership = &replica.membership;
        let joined: BTreeSet<PeerId> = membership.peers.iter().copied().collect();
        let mut jobs_of: BTreeMap<PeerId, JobId> = BTreeMap::new();
        for (job, allocation) in replica.allocations.iter() {
            jobs_of.extend(allocation.peers().map(|peer| (peer, *job)));
        }
        let mut nodes: BTreeMap<GroupId, NodeEntry> = BTreeMap::new();
        for (peer, member) in membership.members.iter() {
            let node = nodes.entry(member.group).or_insert_with(|| NodeEntry {
                name: member.node.clone(),
                group: member.group,
                is_this: member.group == this,
                peers_joined: 0,
                peers_joining: 0,
                peers_working: 0,
                jobs: Vec::new(),
                tags: BTreeSet::new(),
            });
            match joined.contains(peer) {
                true => node.peers_joined += 1,
                false => node.peers_joining += 1,
            }
            node.tags.extend(member.tags.iter().cloned());
            if let Some(job) = jobs_of.get(peer) {
                node.peers_working += 1;
                node.jobs.push(*job);
            }
        }
        let mut nodes: Vec<NodeEntry> = nodes.into_values().collect();
        for node in &mut nodes {
            node.jobs.sort_unstable();
            node.jobs.dedup();
        }
        nodes.sort_by(|a, b| (&a.name, a.group).cmp(&(&b.name, b.group)));
        NodeList {
            nodes,
            departed: replica.events.departures.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::{job_id, peer};
    use uuid::Uuid;

    #[test]
    fn peers_are_counted_by_node() {
        let mut cluster = Cluster::of("a b c");
        let (here, there) = (GroupId(Uuid::from_u128(1)), GroupId(Uuid::from_u128(2)));
        for (name, node, group) in [("a", "n1", here), ("b", "n1", here), ("c", "n2", there)] {
            let member = cluster.membership().members.get_mut(&peer(name));
            let member = member.unwrap();
            member.node = node.into();
            member.group = group;
        }
        cluster.run(submit(0, "in:i>out:1-1 out:o:1-1"));
        let nodes = NodeList::of(&cluster.replica, there).nodes;
        let shown: Vec<_> = nodes
            .iter()
            .map(|node| (node.name.as_str(), node.peers_joined, node.is_this))
            .collect();
        assert_eq!(shown, [("n1", 2, false), ("n2", 1, true)]);
        let working: usize = nodes.iter().map(|node| node.peers_working).sum();
        assert_eq!(working, 2);
        let busy = nodes.iter().filter(|node| node.peers_working > 0);
        assert!(busy.into_iter().all(|node| node.jobs == [job_id(0)]));
    }
}
