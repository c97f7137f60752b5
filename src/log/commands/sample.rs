//! A cluster for tests that writes one command after another, each as a new entry.

use super::{
    AssignBookkeeperLogId, Command, CompactBookkeeperLogIds, ExhaustInput, SealTask, SlotWord,
    SubmitJob, SubmittedJob,
};
use crate::ids::{EntrySource, LogPosition, SlotId, StateLogId, WriterId};
use crate::log::{Entry, PeerContext, Step, step};
use crate::replica::sample::{job_id, joined, member, peer, record};
use crate::replica::{Membership, Progress, Replica};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) struct Cluster {
    pub(crate) replica: Arc<Replica>,
    next: LogPosition,
}

impl Cluster {
    /// A ring in this order.
    pub(crate) fn of(names: &str) -> Self {
        let replica = Replica {
            membership: Arc::new(joined(names)),
            ..Replica::default()
        };
        Cluster {
            replica: Arc::new(replica),
            next: LogPosition(0),
        }
    }

    pub(crate) fn at(mut self, position: u64) -> Self {
        self.next = LogPosition(position);
        self
    }

    pub(crate) fn membership(&mut self) -> &mut Membership {
        Arc::make_mut(&mut Arc::make_mut(&mut self.replica).membership)
    }

    pub(crate) fn progress(&self, job: u32) -> &Progress {
        &self.replica.progress[&job_id(job)]
    }

    pub(crate) fn run(&mut self, command: Command) -> Step {
        let writer = WriterId(Uuid::from_u128(u128::MAX));
        let source = EntrySource {
            writer,
            sequence: self.next.0 + 1,
        };
        let entry = Entry {
            source: Some(source),
            entry_parent: None,
            written_at_ms: None,
            command,
        };
        let step = step(self.next, Ok(entry), Arc::clone(&self.replica));
        self.replica = Arc::clone(&step.new);
        self.next = self.next.next();
        step
    }
}

pub(crate) fn me(name: &str) -> PeerContext {
    PeerContext {
        me: peer(name),
        member: member(),
    }
}

pub(crate) fn submit(job: u32, tasks: &str) -> Command {
    let record = record(tasks);
    let job = SubmitJob {
        id: job_id(job),
        job: SubmittedJob {
            task_scheduler: record.task_scheduler,
            ..SubmittedJob::new(record.name, record.tasks)
        },
    };
    Command::SubmitJob(job)
}

/// As the present holder of the slot would write it.
pub(crate) fn exhaust(cluster: &Cluster, job: u32, task: &str, slot: u32) -> Command {
    Command::ExhaustInput(ExhaustInput(word(cluster, job, task, slot)))
}

/// As the present holder of the slot would write it.
pub(crate) fn seal(cluster: &Cluster, job: u32, task: &str, slot: u32) -> Command {
    Command::SealTask(SealTask(word(cluster, job, task, slot)))
}

fn word(cluster: &Cluster, job: u32, task: &str, slot: u32) -> SlotWord {
    let allocation = &cluster.replica.allocations[&job_id(job)];
    SlotWord {
        job: job_id(job),
        task: task.into(),
        slot: SlotId(slot),
        version: allocation.version,
        id: Some(allocation.holder(&task.into(), SlotId(slot)).unwrap()),
    }
}

pub(crate) fn assign(job: u32, task: &str, slot: u32, ledger: u64) -> Command {
    Command::AssignBookkeeperLogId(AssignBookkeeperLogId {
        job_id: job_id(job),
        task_id: task.into(),
        slot_id: SlotId(slot),
        ledger_id: StateLogId::Ledger(ledger),
    })
}

pub(crate) fn compact(job: u32, task: &str, slot: u32, prev: &[u64], new: &[u64]) -> Command {
    let ledgers = |numbers: &[u64]| numbers.iter().copied().map(StateLogId::Ledger).collect();
    Command::CompactBookkeeperLogIds(CompactBookkeeperLogIds {
        job_id: job_id(job),
        task_id: task.into(),
        slot_id: SlotId(slot),
        peer_id: None,
        prev_ledger_ids: ledgers(prev),
        new_ledger_ids: ledgers(new),
    })
}
