//! Where things are kept: the paths below `/onyx/<tenancy>`, after the design's layout.

use crate::ids::{JobId, LogPosition, PeerId, SlotId, TaskName};

/// The paths of one tenancy.
#[derive(Clone, Debug)]
pub struct Layout {
    root: String,
}

/// Nodes that are not entries or pulses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// What everybody who uses this log must agree on.
    LogParameters,
    /// Held by the one process that may use a log whose segments do not leave their process.
    SoleProcess,
    /// The replica from which new readers start.
    Origin,
    /// A job's catalog.
    Catalog(JobId),
    /// A job's edges.
    Workflow(JobId),
    /// A job's lifecycles.
    Lifecycles(JobId),
    /// A job's name, task scheduler and the rest that is not in the other nodes.
    JobMetadata(JobId),
    /// What killed a job.
    Exception(JobId),
    /// How far a slot of a task has completed.
    Checkpoint(JobId, TaskName, SlotId),
}

impl Layout {
    /// The layout of a tenancy.
    pub fn of(tenancy: &str) -> Self {
        Layout {
            root: format!("/onyx/{tenancy}"),
        }
    }

    /// The node below which everything is.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Directories that must exist, parents first.
    pub fn directories(&self) -> Vec<String> {
        let names = [
            "pulse",
            "log",
            "origin",
            "catalog",
            "workflow",
            "flow",
            "lifecycles",
            "windows",
            "triggers",
            "task",
            "chunk",
            "exception",
            "log-parameters",
            "job-metadata",
            "checkpoint",
        ];
        let parents = ["/onyx".to_owned(), self.root.clone()];
        parents
            .into_iter()
            .chain(names.iter().map(|name| format!("{}/{name}", self.root)))
            .collect()
    }

    /// The pulse of a peer.
    pub fn pulse(&self, peer: PeerId) -> String {
        format!("{}/pulse/{peer}", self.root)
    }

    /// What sequential entries begin with.
    pub fn entry_prefix(&self) -> String {
        format!("{}/log/entry-", self.root)
    }

    /// The entry at a position: the counter has at least ten digits.
    pub fn entry(&self, position: LogPosition) -> String {
        format!("{}{:010}", self.entry_prefix(), position.0)
    }

    /// A node.
    pub fn node(&self, node: &Node) -> String {
        let root = &self.root;
        match node {
            Node::LogParameters => format!("{root}/log-parameters/log-parameters"),
            Node::SoleProcess => format!("{root}/log-parameters/sole-process"),
            Node::Origin => format!("{root}/origin/origin"),
            Node::Catalog(job) => format!("{root}/catalog/{job}"),
            Node::Workflow(job) => format!("{root}/workflow/{job}"),
            Node::Lifecycles(job) => format!("{root}/lifecycles/{job}"),
            Node::JobMetadata(job) => format!("{root}/job-metadata/{job}"),
            Node::Exception(job) => format!("{root}/exception/{job}"),
            Node::Checkpoint(job, task, slot) => {
                format!("{root}/checkpoint/{job}##{task}##{slot}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_by_a_counter_of_ten_digits() {
        let layout = Layout::of("default");
        assert_eq!(
            layout.entry(LogPosition(42)),
            "/onyx/default/log/entry-0000000042"
        );
    }
}
