//! `/health`: whether the process lives, and whether it can take work. Answered without a token,
//! so that nothing is told but that.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::served::{Served, read};
use crate::api::NodeStatus;
use actix_web::{HttpResponse, web};
use serde_json::json;

/// Whether the process lives. Asks nobody, so that a cluster in trouble gets no node restarted.
pub(super) const LIVE: Endpoint = Endpoint {
    path: "/health/live",
    answers: &[(Verb::Get, || web::to(live))],
};

/// Whether the node can take work.
pub(super) const READY: Endpoint = Endpoint {
    path: "/health/ready",
    answers: &[(Verb::Get, || web::to(ready))],
};

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(served: web::Data<Served>) -> HttpResponse {
    let status = read(served.node.status()).await;
    answer(
        status,
        served.gate.is_closed().then_some("the node is stopping"),
    )
}

fn answer(status: Result<NodeStatus, Refusal>, stopping: Option<&str>) -> HttpResponse {
    let stopping = stopping.map(str::to_owned);
    let (reasons, figures) = match status {
        Ok(status) => {
            let figures = json!({
                "peers-wanted": status.peers_wanted,
                "peers-joined": status.peers_joined,
                "position": status.position,
            });
            (
                stopping.into_iter().chain(status.not_ready).collect(),
                figures,
            )
        }
        Err(refusal) => (
            vec![stopping.unwrap_or_else(|| refusal.message().to_owned())],
            json!({}),
        ),
    };
    let mut body = figures;
    if reasons.is_empty() {
        body["status"] = json!("ready");
        return HttpResponse::Ok().json(body);
    }
    body["status"] = json!("not-ready");
    body["reasons"] = json!(reasons);
    HttpResponse::ServiceUnavailable().json(body)
}
