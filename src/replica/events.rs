//! What happened to the peers of jobs and to nodes, for people: which were lost, which were moved,
//! by which entry, and when. No rule of the cluster reads it.

use crate::ids::{GroupId, JobId, LogPosition, NodeName, TaskName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// The events that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Events {
    /// The events of each job that has a record. A job without events is absent.
    #[serde(default)]
    pub jobs: BTreeMap<JobId, JobEvents>,
    /// The latest departures of whole nodes, at most [`Events::DEPARTURES_MAX`], oldest first.
    #[serde(default)]
    pub departures: VecDeque<NodeDeparture>,
}

/// The events of one job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobEvents {
    /// The latest ones, at most [`JobEvents::RECENT_MAX`], oldest first.
    pub recent: VecDeque<JobEvent>,
    /// How many older ones were dropped.
    #[serde(default)]
    pub dropped: u64,
}

/// One event of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobEvent {
    /// The entry that caused it; the last one, if it stands for several moves in a row.
    pub entry: LogPosition,
    /// When that entry was written, in milliseconds since 1970 by its writer's clock. None if the entry
    /// does not say.
    pub at_ms: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub change: PeerChange,
}

/// What happened to the peers of a job. `tasks` counts the peers concerned by the task they had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum PeerChange {
    /// Peers died, or their node took them out of the cluster.
    PeersLost {
        /// Their node.
        node: NodeName,
        /// Whether the node has no peer left in the cluster.
        is_whole_node: bool,
        /// What they did.
        tasks: BTreeMap<TaskName, u32>,
    },
    /// Living peers were given other work, by one or several entries in a row.
    PeersMoved {
        /// By how many entries.
        times: u64,
        /// What they did before.
        tasks: BTreeMap<TaskName, u32>,
    },
    /// The job stopped running: the peers that are left do not cover it.
    Suspended,
    /// The job was suspended and has peers again.
    Resumed,
}

/// A node that has left the cluster with all its peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeDeparture {
    /// Its name.
    pub node: NodeName,
    /// Its process.
    pub group: GroupId,
    /// How many joined peers it had.
    pub peers: u32,
    /// The entry that removed them.
    pub entry: LogPosition,
    /// When that entry was written, in milliseconds since 1970. None if the entry does not say.
    pub at_ms: Option<u64>,
}

impl Events {
    /// How many departures of nodes are remembered.
    pub const DEPARTURES_MAX: usize = 32;

    /// The events of a job; empty if it has none.
    pub fn of(&self, job: JobId) -> impl Iterator<Item = &JobEvent> {
        let events = self.jobs.get(&job);
        events.into_iter().flat_map(|events| &events.recent)
    }

    pub(crate) fn record_departure(&mut self, departure: NodeDeparture) {
        self.departures.push_back(departure);
        while self.departures.len() > Self::DEPARTURES_MAX {
            self.departures.pop_front();
        }
    }
}

impl JobEvents {
    /// How many events of a job are remembered.
    pub const RECENT_MAX: usize = 32;

    /// Adds an event. Moves that follow a move are counted there: each small job moves peers of a
    /// large one, and must not push the loss of a node out of the list.
    pub(crate) fn record(&mut self, event: JobEvent) {
        if let Some(last) = self.recent.back_mut()
            && last.absorb(&event)
        {
            return;
        }
        self.recent.push_back(event);
        while self.recent.len() > Self::RECENT_MAX {
            self.recent.pop_front();
            self.dropped += 1;
        }
    }
}

impl JobEvent {
    /// Adds a later move to this one. Changes nothing and returns false unless both are moves.
    fn absorb(&mut self, later: &JobEvent) -> bool {
        let (
            PeerChange::PeersMoved { times, tasks },
            PeerChange::PeersMoved {
                times: more,
                tasks: moved,
            },
        ) = (&mut self.change, &later.change)
        else {
            return false;
        };
        *times += more;
        for (task, peers) in moved {
            *tasks.entry(task.clone()).or_default() += peers;
        }
        self.entry = later.entry;
        self.at_ms = later.at_ms;
        true
    }
}

impl fmt::Display for PeerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerChange::PeersLost {
                node,
                is_whole_node,
                tasks,
            } => {
                let node = match node.is_empty() {
                    true => "a node without a name",
                    false => node.as_str(),
                };
                match is_whole_node {
                    true => write!(f, "node {node} lost: ")?,
                    false => write!(f, "peers of node {node} lost: ")?,
                }
                write_tasks(f, tasks)
            }
            PeerChange::PeersMoved { times, tasks } => {
                write!(f, "peers moved to other work: ")?;
                write_tasks(f, tasks)?;
                match times {
                    1 => Ok(()),
                    times => write!(f, ", in {times} steps"),
                }
            }
            PeerChange::Suspended => f.write_str("suspended: too few peers are left"),
            PeerChange::Resumed => f.write_str("resumed"),
        }
    }
}

/// As `1 peer of read, 2 peers of write`.
fn write_tasks(f: &mut fmt::Formatter<'_>, tasks: &BTreeMap<TaskName, u32>) -> fmt::Result {
    for (index, (task, peers)) in tasks.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let noun = if *peers == 1 { "peer" } else { "peers" };
        write!(f, "{separator}{peers} {noun} of {task}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(entry: u64, change: PeerChange) -> JobEvent {
        JobEvent {
            entry: LogPosition(entry),
            at_ms: Some(entry * 1_000),
            change,
        }
    }

    fn moved(task: &str) -> PeerChange {
        PeerChange::PeersMoved {
            times: 1,
            tasks: [(task.into(), 1)].into(),
        }
    }

    #[test]
    fn moves_in_a_row_are_one_event() {
        let mut events = JobEvents::default();
        events.record(event(1, PeerChange::Suspended));
        events.record(event(2, moved("read")));
        events.record(event(3, moved("read")));
        events.record(event(5, moved("write")));
        events.record(event(6, PeerChange::Resumed));
        let shown: Vec<String> = events
            .recent
            .iter()
            .map(|it| it.change.to_string())
            .collect();
        let moves = "peers moved to other work: 2 peers of read, 1 peer of write, in 3 steps";
        assert_eq!(
            shown,
            ["suspended: too few peers are left", moves, "resumed"]
        );
        assert_eq!(events.recent[1].entry, LogPosition(5));
    }

    #[test]
    fn old_events_are_dropped_and_counted() {
        let mut events = JobEvents::default();
        let count = JobEvents::RECENT_MAX as u64 + 3;
        for entry in 0..count {
            events.record(event(entry, PeerChange::Resumed));
        }
        assert_eq!(events.recent.len(), JobEvents::RECENT_MAX);
        assert_eq!(
            (events.dropped, events.recent[0].entry),
            (3, LogPosition(3))
        );
    }

    #[test]
    fn a_lost_node_is_named() {
        let lost = |node: &str, is_whole_node| {
            let tasks = [("read".into(), 1), ("write".into(), 2)].into();
            let node = node.into();
            PeerChange::PeersLost {
                node,
                is_whole_node,
                tasks,
            }
            .to_string()
        };
        assert_eq!(
            lost("a:8080", true),
            "node a:8080 lost: 1 peer of read, 2 peers of write"
        );
        assert_eq!(
            lost("", false),
            "peers of node a node without a name lost: 1 peer of read, 2 peers of write"
        );
    }
}
