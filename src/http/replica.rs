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

const PEER_KEYS: [&str; 7] = [
    "peers",
    "pairs",
    "prepared",
    "accepted",
    "peer-state",
    "peer-sites",
    "peer-groups",
];

const JOB_KEYS: [&str; 13] = [
    "jobs",
    "completed-jobs",
    "killed-jobs",
    "job-names",
    "tasks",
    "task-schedulers",
    "saturation",
    "task-saturation",
    "min-required-peers",
    "input-tasks",
    "output-tasks",
    "exhausted-inputs",
    "sealed-outputs",
];

const ALLOCATION_KEYS: [&str; 5] = [
    "allocations",
    "task-slot-ids",
    "allocation-version",
    "last-loss",
    "exhausted-slots",
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

    #[test]
    fn the_parts_are_the_whole() {
        let whole = view(&Replica::default());
        let mut parts = [&PEER_KEYS[..], &JOB_KEYS, &ALLOCATION_KEYS].concat();
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
