//! `/replica`: what the cluster has agreed on, as of a position of the log, whole or in parts.

use super::routes::{Endpoint, Verb};
use super::served::Served;
use crate::replica::view::view;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

/// All of it.
pub(super) const WHOLE: Endpoint = Endpoint {
    path: "/replica",
    answers: &[(Verb::Get, || web::to(whole))],
};

/// Who takes part, and who watches whom.
pub(super) const PEERS: Endpoint = Endpoint {
    path: "/replica/peers",
    answers: &[(Verb::Get, || {
        web::to(async |served| part(served, &PEER_KEYS))
    })],
};

/// What there is to do, and what is done.
pub(super) const JOBS: Endpoint = Endpoint {
    path: "/replica/jobs",
    answers: &[(Verb::Get, || {
        web::to(async |served| part(served, &JOB_KEYS))
    })],
};

/// Who does what.
pub(super) const ALLOCATIONS: Endpoint = Endpoint {
    path: "/replica/allocations",
    answers: &[(Verb::Get, || {
        web::to(async |served| part(served, &ALLOCATION_KEYS))
    })],
};

const PEER_KEYS: [&str; 11] = [
    "peers",
    "pairs",
    "prepared",
    "accepted",
    "peer-state",
    "peer-sites",
    "peer-groups",
    "peer-nodes",
    "departed-nodes",
    "peer-tags",
    "peer-words",
];

const JOB_KEYS: [&str; 33] = [
    "jobs",
    "completed-jobs",
    "killed-jobs",
    "killed-by-loss",
    "tombstones",
    "job-names",
    "job-events",
    "job-contents",
    "submitted",
    "tasks",
    "task-schedulers",
    "saturation",
    "task-saturation",
    "min-required-peers",
    "flux-policies",
    "percentages",
    "task-percentages",
    "input-tasks",
    "output-tasks",
    "in->out",
    "required-tags",
    "task-words",
    "colocated-sends",
    "exempt-tasks",
    "acker-percentage",
    "acker-exclude-inputs",
    "acker-exclude-outputs",
    "exhausted-inputs",
    "exhausted-slots",
    "sealed-outputs",
    "sealed-slots",
    "state-logs",
    "state-logs-marked",
];

const ALLOCATION_KEYS: [&str; 7] = [
    "allocations",
    "task-slot-ids",
    "allocation-version",
    "last-loss",
    "ready",
    "ackers",
    "leaving",
];

async fn whole(served: web::Data<Served>) -> HttpResponse {
    let snapshot = served.node.snapshot();
    let replica = view(&snapshot.replica);
    HttpResponse::Ok().json(json!({ "position": snapshot.position, "replica": replica }))
}

fn part(served: web::Data<Served>, keys: &[&str]) -> HttpResponse {
    let snapshot = served.node.snapshot();
    let mut whole = view(&snapshot.replica);
    let mut shown: Map<String, Value> = keys
        .iter()
        .map(|key| ((*key).to_owned(), whole[*key].take()))
        .collect();
    shown.insert("position".into(), json!(snapshot.position));
    HttpResponse::Ok().json(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Replica;

    /// What everybody agreed on beforehand, and the accounts of writers.
    const IN_NO_PART: [&str; 3] = ["job-scheduler", "messaging", "writers"];

    #[test]
    fn the_parts_are_the_whole() {
        let whole = view(&Replica::default());
        let mut parts = [&PEER_KEYS[..], &JOB_KEYS, &ALLOCATION_KEYS, &IN_NO_PART].concat();
        parts.sort_unstable();
        let mut keys: Vec<&str> = whole
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(parts, keys);
    }
}
