//! The commands, one file each.

use crate::ids::{AllocationVersion, JobId, PeerId, SlotId, TaskName};
use crate::replica::{JobRecord, Member};
use serde::{Deserialize, Serialize};

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fn", content = "args", rename_all = "kebab-case")]
pub enum Command {
    /// A peer wants to join.
    PrepareJoinCluster {
        /// The joiner.
        joiner: PeerId,
        /// What it says of itself.
        member: Member,
    },
    /// The observer watches the joiner now.
    NotifyJoinCluster {
        /// The joiner; `observer` on the wire, as the design names it.
        observer: PeerId,
    },
    /// placeholder
    SubmitJob {
        /// id
        id: JobId,
        /// record
        job: JobRecord,
    },
    /// placeholder
    KillJob {
        /// job
        job: JobId,
        /// why
        cause: Option<String>,
    },
    /// placeholder
    SignalReady {
        /// peer
        id: PeerId,
        /// job
        job: JobId,
        /// task
        task: TaskName,
        /// slot
        slot: SlotId,
        /// version
        version: AllocationVersion,
    },
}
