//! The replica in the shape that people read and write: in logs, exports and over HTTP. Flat keys, as
//! log-driven clusters of this kind have always shown them, with maps as objects. Nothing is lost:
//! [`Replica::from_view`] reads it back.

mod misread;
mod read;

pub use misread::{Misread, read_at};

use super::flat_job::FlatJob;
use super::{Allocation, JobRecord, Progress, Replica};
use crate::ids::{PeerId, SlotId, TaskName};
use crate::job::TaskKind;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The properties of a job, and the keys under which the view shows them by job.
const JOB_KEYS: [(&str, &str); 20] = [
    ("name", "job-names"),
    ("tasks", "tasks"),
    ("task-scheduler", "task-schedulers"),
    ("saturation", "saturation"),
    ("task-saturation", "task-saturation"),
    ("min-required-peers", "min-required-peers"),
    ("flux-policies", "flux-policies"),
    ("inputs", "input-tasks"),
    ("outputs", "output-tasks"),
    ("in->out", "in->out"),
    ("required-tags", "required-tags"),
    ("words", "task-words"),
    ("percentage", "percentages"),
    ("task-percentages", "task-percentages"),
    ("colocated-sends", "colocated-sends"),
    ("acker-percentage", "acker-percentage"),
    ("acker-exclude-inputs", "acker-exclude-inputs"),
    ("acker-exclude-outputs", "acker-exclude-outputs"),
    ("exempt-tasks", "exempt-tasks"),
    ("content", "job-contents"),
];

/// The whole replica for people.
pub fn view(replica: &Replica) -> Value {
    let mut shown = Map::new();
    shown.insert("job-scheduler".into(), json!(replica.agreed.job_scheduler));
    shown.insert("messaging".into(), json!(replica.agreed.messaging));
    view_membership(replica, &mut shown);
    view_jobs(replica, &mut shown);
    view_allocations(replica, &mut shown);
    view_progress(replica, &mut shown);
    shown.insert("state-logs".into(), json!(replica.state_logs.logs));
    shown.insert("state-logs-marked".into(), json!(replica.state_logs.marked));
    shown.insert("job-events".into(), json!(replica.events.jobs));
    shown.insert("departed-nodes".into(), json!(replica.events.departures));
    let writers = replica.writers.last.iter();
    let writers = writers.map(|(writer, (sequence, position))| {
        let last = json!({ "sequence": sequence, "position": position });
        (writer.to_string(), last)
    });
    shown.insert("writers".into(), Value::Object(writers.collect()));
    Value::Object(shown)
}

fn view_membership(replica: &Replica, shown: &mut Map<String, Value>) {
    let membership = &replica.membership;
    let allocations = replica.allocations.values();
    let active: BTreeSet<&PeerId> = allocations.flat_map(|a| &a.ready).collect();
    let states = membership.peers.iter().map(|peer| {
        let state = if active.contains(peer) {
            "active"
        } else {
            "idle"
        };
        (peer.to_string(), json!(state))
    });
    shown.insert("peers".into(), json!(membership.peers));
    shown.insert("prepared".into(), json!(membership.prepared));
    shown.insert("accepted".into(), json!(membership.accepted));
    shown.insert("pairs".into(), json!(membership.pairs));
    shown.insert("peer-state".into(), Value::Object(states.collect()));
    let mut by_peer = |key: &str, value: &dyn Fn(&super::Member) -> Value| {
        let members = membership.members.iter();
        let members = members.map(|(peer, member)| (peer.to_string(), value(member)));
        let members = members.filter(|(_, value)| !value.is_null());
        shown.insert(key.into(), Value::Object(members.collect()));
    };
    by_peer("peer-sites", &|member| json!(member.site));
    by_peer("peer-groups", &|member| json!(member.group));
    by_peer("peer-nodes", &|member| match member.node.is_empty() {
        true => Value::Null,
        false => json!(member.node),
    });
    by_peer("peer-tags", &|member| json!(member.tags));
    by_peer("peer-words", &|member| json!(member.words));
}

fn view_jobs(replica: &Replica, shown: &mut Map<String, Value>) {
    let jobs = &replica.jobs;
    shown.insert("jobs".into(), json!(jobs.live));
    shown.insert("completed-jobs".into(), json!(jobs.completed));
    shown.insert("killed-jobs".into(), json!(jobs.killed));
    shown.insert("killed-by-loss".into(), json!(jobs.losses));
    shown.insert("tombstones".into(), json!(jobs.tombstones));
    let mut columns: BTreeMap<&str, Map<String, Value>> =
        JOB_KEYS.map(|(_, key)| (key, Map::new())).into();
    let mut submitted = Map::new();
    for (job, record) in jobs.records.iter() {
        let mut flat = json!(FlatJob::of(record));
        for (property, key) in JOB_KEYS {
            let value = flat.get_mut(property).map(Value::take);
            if let (Some(value), Some(column)) = (value, columns.get_mut(key)) {
                column.insert(job.to_string(), value);
            }
        }
        submitted.insert(job.to_string(), json!(record.submitted));
    }
    for (key, column) in columns {
        shown.insert(key.into(), Value::Object(column));
    }
    shown.insert("submitted".into(), Value::Object(submitted));
}

fn view_allocations(replica: &Replica, shown: &mut Map<String, Value>) {
    let mut by_job = |key: &str, value: &dyn Fn(&Allocation) -> Value| {
        let entries = replica.allocations.iter();
        let entries = entries.map(|(job, allocation)| (job.to_string(), value(allocation)));
        shown.insert(key.into(), Value::Object(entries.collect()));
    };
    by_job("allocations", &|allocation| {
        let tasks = allocation.tasks.iter();
        let tasks = tasks.map(|(task, slots)| {
            let peers: Vec<&PeerId> = slots.values().collect();
            (task.to_string(), json!(peers))
        });
        Value::Object(tasks.collect())
    });
    by_job("task-slot-ids", &|allocation| {
        let tasks = allocation.tasks.iter();
        let tasks = tasks.map(|(task, slots)| {
            let slots: BTreeMap<&PeerId, &SlotId> =
                slots.iter().map(|(slot, peer)| (peer, slot)).collect();
            (task.to_string(), json!(slots))
        });
        Value::Object(tasks.collect())
    });
    by_job("allocation-version", &|allocation| {
        json!(allocation.version)
    });
    by_job("last-loss", &|allocation| json!(allocation.last_loss));
    by_job("ready", &|allocation| json!(allocation.ready));
    by_job("ackers", &|allocation| json!(allocation.ackers));
    by_job("leaving", &|allocation| json!(allocation.leaving));
}

fn view_progress(replica: &Replica, shown: &mut Map<String, Value>) {
    let mut by_job = |key: &str, value: &dyn Fn(&Progress) -> Value| {
        let entries = replica.progress.iter();
        let entries = entries.map(|(job, progress)| (job.to_string(), value(progress)));
        shown.insert(key.into(), Value::Object(entries.collect()));
    };
    by_job("exhausted-inputs", &|it| json!(it.exhausted_tasks));
    by_job("exhausted-slots", &|it| marks(&it.exhausted));
    by_job("sealed-slots", &|it| marks(&it.sealed));
    let sealed = replica.progress.iter().map(|(job, progress)| {
        let found = (replica.record(*job), replica.allocations.get(job));
        let sealed = match found {
            (Some(record), Some(allocation)) => sealed_outputs(record, allocation, progress),
            _ => Vec::new(),
        };
        (job.to_string(), json!(sealed))
    });
    shown.insert("sealed-outputs".into(), Value::Object(sealed.collect()));
}

/// Outputs of which every slot is sealed.
fn sealed_outputs<'a>(
    record: &'a JobRecord,
    allocation: &Allocation,
    progress: &Progress,
) -> Vec<&'a TaskName> {
    let is_sealed = |name: &TaskName| {
        let slots = allocation.tasks.get(name);
        slots.is_some_and(|slots| slots.keys().all(|slot| progress.is_sealed(name, *slot)))
    };
    let outputs = record.tasks_of(TaskKind::Output).map(|task| &task.name);
    outputs.filter(|name| is_sealed(name)).collect()
}

/// Task to the slots of which something was said.
fn marks(marks: &BTreeSet<(TaskName, SlotId)>) -> Value {
    let mut by_task: BTreeMap<&TaskName, Vec<SlotId>> = BTreeMap::new();
    for (task, slot) in marks {
        by_task.entry(task).or_default().push(*slot);
    }
    json!(by_task)
}
