//! The replica in the shape that people read, in logs, exports and over HTTP: the keys that a
//! log-driven cluster of this kind has always shown, with maps as objects.

use super::{Replica, TaskRecord};
use crate::ids::JobId;
use crate::job::TaskKind;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The whole replica for people.
pub fn view(replica: &Replica) -> Value {
    let mut shown = Map::new();
    view_membership(replica, &mut shown);
    view_jobs(replica, &mut shown);
    view_allocations(replica, &mut shown);
    view_progress(replica, &mut shown);
    Value::Object(shown)
}

fn view_membership(replica: &Replica, shown: &mut Map<String, Value>) {
    let membership = &replica.membership;
    let active = |peer| replica.allocations.values().any(|a| a.ready.contains(peer));
    let states = membership.peers.iter().map(|peer| {
        let state = if active(peer) { "active" } else { "idle" };
        (peer.to_string(), json!(state))
    });
    let sites = membership.members.iter();
    let sites = sites.map(|(peer, member)| (peer.to_string(), json!(member.site)));
    let groups = membership.members.iter();
    let groups = groups.map(|(peer, member)| (peer.to_string(), json!(member.group)));
    shown.insert("peers".into(), json!(membership.peers));
    shown.insert("prepared".into(), json!(membership.prepared));
    shown.insert("accepted".into(), json!(membership.accepted));
    shown.insert("pairs".into(), json!(membership.pairs));
    shown.insert("peer-state".into(), Value::Object(states.collect()));
    shown.insert("peer-sites".into(), Value::Object(sites.collect()));
    shown.insert("peer-groups".into(), Value::Object(groups.collect()));
}

fn view_jobs(replica: &Replica, shown: &mut Map<String, Value>) {
    let jobs = &replica.jobs;
    shown.insert("jobs".into(), json!(jobs.live));
    shown.insert("completed-jobs".into(), json!(jobs.completed));
    shown.insert("killed-jobs".into(), json!(jobs.killed));
    let mut per_job = |key: &str, value: &dyn Fn(&super::JobRecord) -> Value| {
        let entries = jobs.records.iter();
        let entries = entries.map(|(job, record)| (job.to_string(), value(record)));
        shown.insert(key.into(), Value::Object(entries.collect()));
    };
    per_job("job-names", &|record| json!(record.name));
    per_job("tasks", &|record| names(record.tasks.iter()));
    per_job("task-schedulers", &|record| json!(record.task_scheduler));
    per_job("saturation", &|record| json!(record.saturation()));
    per_job("task-saturation", &|record| {
        let tasks = record.tasks.iter();
        Value::Object(
            tasks
                .map(|t| (t.name.to_string(), json!(t.max_peers)))
                .collect(),
        )
    });
    per_job("min-required-peers", &|record| {
        let tasks = record.tasks.iter();
        Value::Object(
            tasks
                .map(|t| (t.name.to_string(), json!(t.min_peers)))
                .collect(),
        )
    });
    per_job("input-tasks", &|record| {
        names(record.tasks_of(TaskKind::Input))
    });
    per_job("output-tasks", &|record| {
        names(record.tasks_of(TaskKind::Output))
    });
}

fn names<'a>(tasks: impl Iterator<Item = &'a TaskRecord>) -> Value {
    tasks.map(|task| json!(task.name)).collect()
}

fn view_allocations(replica: &Replica, shown: &mut Map<String, Value>) {
    let mut per_job = |key: &str, value: &dyn Fn(&super::Allocation) -> Value| {
        let entries = replica.allocations.iter();
        let entries = entries.map(|(job, allocation)| (job.to_string(), value(allocation)));
        shown.insert(key.into(), Value::Object(entries.collect()));
    };
    per_job("allocations", &|allocation| {
        let tasks = allocation.tasks.iter();
        let peers = tasks.map(|(task, slots)| (task.to_string(), slots.values().collect()));
        Value::Object(
            peers
                .map(|(task, peers): (_, Vec<_>)| (task, json!(peers)))
                .collect(),
        )
    });
    per_job("task-slot-ids", &|allocation| {
        let slots_of = |slots: &std::collections::BTreeMap<_, crate::ids::PeerId>| {
            let slots = slots
                .iter()
                .map(|(slot, peer)| (peer.to_string(), json!(slot)));
            Value::Object(slots.collect())
        };
        let tasks = allocation.tasks.iter();
        Value::Object(
            tasks
                .map(|(task, slots)| (task.to_string(), slots_of(slots)))
                .collect(),
        )
    });
    per_job("allocation-version", &|allocation| {
        json!(allocation.version)
    });
    per_job("last-loss", &|allocation| json!(allocation.last_loss));
}

fn view_progress(replica: &Replica, shown: &mut Map<String, Value>) {
    let mut exhausted = Map::new();
    let mut exhausted_slots = Map::new();
    let mut sealed = Map::new();
    for (job, progress) in replica.progress.iter() {
        insert(&mut exhausted, *job, &progress.exhausted_tasks);
        insert(&mut exhausted_slots, *job, &progress.exhausted);
        insert(&mut sealed, *job, &progress.sealed);
    }
    shown.insert("exhausted-inputs".into(), Value::Object(exhausted));
    shown.insert("exhausted-slots".into(), Value::Object(exhausted_slots));
    shown.insert("sealed-outputs".into(), Value::Object(sealed));
}

fn insert(map: &mut Map<String, Value>, job: JobId, marks: &impl Serialize) {
    map.insert(job.to_string(), json!(marks));
}
