//! Where things are kept: the paths below `/onyx/<tenancy>`, after the design's layout.

use crate::ids::{EntrySource, GroupId, JobId, LogPosition, PeerId, SlotId, TaskName, WriterId};
use uuid::Uuid;

/// The paths of one tenancy.
#[derive(Clone, Debug)]
pub struct Layout {
    root: String,
}

/// Nodes that are not entries or pulses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// What everybody who uses this log must agree on.
    LogParameters,
    /// Which replica new readers start from, and where its pieces are.
    Origin,
    /// A piece of an origin: of the replica at a position, as a collector stored it.
    OriginPiece(LogPosition, Uuid, u32),
    /// A piece of an entry that is too large for a node.
    EntryPiece(EntrySource, u32),
    /// A piece of the data of a job's node, one of those that belong together by a mark.
    JobPiece(Box<Node>, u64, u32),
    /// A node by the name under which it was listed.
    Listed(Folder, String),
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
    /// A page of what a process knows of traced roots.
    Trace {
        /// Of which job.
        job: JobId,
        /// Which process.
        group: GroupId,
        /// Who read the roots.
        source: PeerId,
        /// Of the pages about this source.
        page: u32,
    },
    /// What the medium of an input consists of, as it was found when the job began.
    Survey(JobId, TaskName),
}

impl Node {
    /// The slot, if a listed checkpoint is one of this task.
    pub fn slot_of_checkpoint(name: &str, job: JobId, task: &TaskName) -> Option<SlotId> {
        let of_job = name.strip_prefix(&format!("{job}##"))?;
        let (of_task, slot) = of_job.rsplit_once("##")?;
        (of_task == task.as_str())
            .then(|| slot.parse().ok().map(SlotId))
            .flatten()
    }

    /// The process, if a listed page of traces is about the roots of this source.
    pub fn group_of_trace(name: &str, source: PeerId) -> Option<GroupId> {
        let mut parts = name.split("##").skip(1);
        let group = parts.next()?.parse().ok()?;
        (parts.next()?.parse().ok() == Some(source)).then_some(group)
    }
}

/// Where nodes can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The origin and the pieces of origins.
    Origin,
    /// Checkpoints.
    Checkpoints,
    /// Pages of traces.
    Traces,
    /// Pieces of entries and of the data of jobs.
    Pieces,
    /// What every job that was stored has, whether the log took it or not.
    Metadata,
}

impl Folder {
    fn as_str(self) -> &'static str {
        match self {
            Folder::Origin => "origin",
            Folder::Checkpoints => "checkpoint",
            Folder::Traces => "trace",
            Folder::Pieces => "chunk",
            Folder::Metadata => "job-metadata",
        }
    }
}

/// What a listed name says of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It belongs to a job.
    Job(JobId),
    /// It is a piece of what killed a job.
    Cause(JobId),
    /// It is a piece of an entry.
    Entry(EntrySource),
    /// It is a piece of the origin at a position.
    Origin(LogPosition, Uuid),
    /// Something else.
    Other,
}

impl Owner {
    /// The owner of a node by the name under which it was listed.
    pub fn of(folder: Folder, name: &str) -> Self {
        let mut parts = name.split("##");
        let first = parts.next().unwrap_or_default();
        let owner = match folder {
            Folder::Origin => first.split_once('-').and_then(|(position, collector)| {
                let position = LogPosition(position.parse().ok()?);
                Some(Owner::Origin(position, collector.parse().ok()?))
            }),
            Folder::Pieces if first == "entry" => parts.next().and_then(|writer| {
                let writer = WriterId(writer.parse().ok()?);
                let sequence = parts.next()?.parse().ok()?;
                Some(Owner::Entry(EntrySource { writer, sequence }))
            }),
            Folder::Pieces | Folder::Checkpoints | Folder::Traces | Folder::Metadata => {
                first.parse().ok().map(|job| match (folder, parts.next()) {
                    (Folder::Pieces, Some("exception")) => Owner::Cause(job),
                    _ => Owner::Job(job),
                })
            }
        };
        owner.unwrap_or(Owner::Other)
    }
}

impl Layout {
    /// The layout of a tenancy.
    pub fn of(tenancy: &str) -> Self {
        Layout {
            root: format!("{}/{tenancy}", Layout::SHARED),
        }
    }

    /// The node below which everything is.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What tenancies share: everybody may begin another one below it.
    pub const SHARED: &str = "/onyx";

    /// Directories of the tenancy that must exist, parents first.
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
            "trace",
        ];
        let directories = std::iter::once(self.root.clone());
        directories
            .chain(names.iter().map(|name| format!("{}/{name}", self.root)))
            .collect()
    }

    /// Where all pulses are.
    pub fn pulses(&self) -> String {
        format!("{}/pulse", self.root)
    }

    /// The pulse of a peer.
    pub fn pulse(&self, peer: PeerId) -> String {
        format!("{}/pulse/{peer}", self.root)
    }

    /// Where entries are.
    pub fn log(&self) -> String {
        format!("{}/log", self.root)
    }

    /// A place where nodes can be listed.
    pub fn folder(&self, folder: Folder) -> String {
        format!("{}/{}", self.root, folder.as_str())
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
            Node::Origin => format!("{root}/origin/origin"),
            Node::OriginPiece(position, collector, piece) => {
                format!("{root}/origin/{:010}-{collector}##{piece}", position.0)
            }
            Node::EntryPiece(EntrySource { writer, sequence }, piece) => {
                format!("{root}/chunk/entry##{writer}##{sequence}##{piece}")
            }
            Node::JobPiece(whole, mark, piece) => {
                format!("{root}/chunk/{}##{mark:x}##{piece}", piece_name(whole))
            }
            Node::Listed(folder, name) => format!("{}/{name}", self.folder(*folder)),
            Node::Catalog(job) => format!("{root}/catalog/{job}"),
            Node::Workflow(job) => format!("{root}/workflow/{job}"),
            Node::Lifecycles(job) => format!("{root}/lifecycles/{job}"),
            Node::JobMetadata(job) => format!("{root}/job-metadata/{job}"),
            Node::Exception(job) => format!("{root}/exception/{job}"),
            Node::Checkpoint(job, task, slot) => {
                format!("{root}/checkpoint/{job}##{task}##{slot}")
            }
            Node::Trace {
                job,
                group,
                source,
                page,
            } => format!("{root}/trace/{job}##{group}##{source}##{page}"),
            Node::Survey(job, task) => format!("{root}/checkpoint/{job}##{task}##survey"),
        }
    }
}

/// What the pieces of a node begin with: the job first, by which they are collected.
fn piece_name(whole: &Node) -> String {
    match whole {
        Node::Catalog(job) => format!("{job}##catalog"),
        Node::Workflow(job) => format!("{job}##workflow"),
        Node::Lifecycles(job) => format!("{job}##lifecycles"),
        Node::JobMetadata(job) => format!("{job}##job-metadata"),
        Node::Exception(job) => format!("{job}##exception"),
        Node::Checkpoint(job, task, slot) => format!("{job}##checkpoint##{task}##{slot}"),
        Node::Trace {
            job,
            group,
            source,
            page,
        } => format!("{job}##trace##{group}##{source}##{page}"),
        Node::Survey(job, task) => format!("{job}##survey##{task}"),
        Node::LogParameters => "log-parameters".into(),
        Node::Origin => "origin".into(),
        Node::OriginPiece(position, collector, piece) => {
            format!("origin##{position}##{collector}##{piece}")
        }
        Node::EntryPiece(source, piece) => {
            format!("entry##{}##{}##{piece}", source.writer, source.sequence)
        }
        Node::JobPiece(whole, mark, piece) => format!("{}##{mark:x}##{piece}", piece_name(whole)),
        Node::Listed(_, name) => name.clone(),
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

    #[test]
    fn a_name_tells_the_slot_of_its_task() {
        let layout = Layout::of("default");
        let (job, other) = (JobId(Uuid::from_u128(7)), JobId(Uuid::from_u128(8)));
        let task = TaskName::from("a##b");
        let slot = |node: &Node, job, task: &TaskName| {
            let path = layout.node(node);
            let name = path.strip_prefix("/onyx/default/checkpoint/");
            Node::slot_of_checkpoint(name.unwrap(), job, task)
        };
        let checkpoint = Node::Checkpoint(job, task.clone(), SlotId(12));
        assert_eq!(slot(&checkpoint, job, &task), Some(SlotId(12)));
        assert_eq!(slot(&checkpoint, job, &"a".into()), None);
        assert_eq!(slot(&checkpoint, other, &task), None);
        assert_eq!(slot(&Node::Survey(job, task.clone()), job, &task), None);
    }

    #[test]
    fn a_name_tells_the_owner() {
        let layout = Layout::of("default");
        let owner = |folder, node: &Node| {
            let path = layout.node(node);
            let name = path.strip_prefix(&format!("{}/", layout.folder(folder)));
            Owner::of(folder, name.unwrap())
        };
        let job = JobId(Uuid::from_u128(7));
        let group = GroupId(Uuid::from_u128(9));
        let source = PeerId(Uuid::from_u128(11));
        let trace = Node::Trace {
            job,
            group,
            source,
            page: 3,
        };
        assert_eq!(owner(Folder::Traces, &trace), Owner::Job(job));
        let name = format!("{job}##{group}##{source}##3");
        assert_eq!(Node::group_of_trace(&name, source), Some(group));
        assert_eq!(Node::group_of_trace(&name, PeerId(group.0)), None);
        let pieces = |whole| Node::JobPiece(Box::new(whole), 0x1f, 12);
        let checkpoint = || Node::Checkpoint(job, "a##b".into(), SlotId(3));
        assert_eq!(owner(Folder::Checkpoints, &checkpoint()), Owner::Job(job));
        let survey = || Node::Survey(job, "a##b".into());
        assert_eq!(owner(Folder::Checkpoints, &survey()), Owner::Job(job));
        assert_eq!(owner(Folder::Pieces, &pieces(survey())), Owner::Job(job));
        let piece = pieces(checkpoint());
        assert_eq!(owner(Folder::Pieces, &piece), Owner::Job(job));
        let piece = pieces(Node::Exception(job));
        assert_eq!(owner(Folder::Pieces, &piece), Owner::Cause(job));
        let source = EntrySource {
            writer: WriterId(job.0),
            sequence: 90,
        };
        let piece = Node::EntryPiece(source, 1);
        assert_eq!(owner(Folder::Pieces, &piece), Owner::Entry(source));
        let piece = Node::OriginPiece(LogPosition(90), job.0, 1);
        let origin = Owner::Origin(LogPosition(90), job.0);
        assert_eq!(owner(Folder::Origin, &piece), origin);
        assert_eq!(owner(Folder::Origin, &Node::Origin), Owner::Other);
        let metadata = Node::JobMetadata(job);
        assert_eq!(owner(Folder::Metadata, &metadata), Owner::Job(job));
    }
}
