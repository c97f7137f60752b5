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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupId, IdSource};
    use actix_web::body::MessageBody;
    use serde_json::Value;

    fn node(not_ready: &[&str]) -> NodeStatus {
        NodeStatus {
            group: GroupId(IdSource::from_seed(1).uuid()),
            peers_wanted: 4,
            peers_joined: 3,
            peers: Vec::new(),
            position: None,
            lag_entries: 0,
            not_ready: not_ready.iter().map(|&reason| reason.to_owned()).collect(),
        }
    }

    fn seen(status: Result<NodeStatus, Refusal>, stopping: Option<&str>) -> (u16, Value) {
        let response = answer(status, stopping);
        let status = response.status().as_u16();
        let body = response.into_body().try_into_bytes().unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_node_without_a_reason_against_it_is_ready() {
        let (status, body) = seen(Ok(node(&[])), None);
        assert_eq!((status, &body["status"]), (200, &json!("ready")));
    }

    #[test]
    fn every_reason_against_a_node_is_told() {
        let (status, body) = seen(Ok(node(&["a", "b"])), Some("the node is stopping"));
        assert_eq!((status, &body["status"]), (503, &json!("not-ready")));
        assert_eq!(body["reasons"], json!(["the node is stopping", "a", "b"]));
    }

    #[test]
    fn a_node_that_does_not_answer_is_not_ready() {
        let late = Refusal::late(std::time::Duration::from_secs(2), "ask again");
        let (status, body) = seen(Err(late), None);
        let reason = "the node did not answer within 2 s; ask again";
        assert_eq!((status, &body["reasons"]), (503, &json!([reason])));
    }

    #[test]
    fn nothing_is_told_to_everybody_that_names_a_peer_or_a_group() {
        let (_, body) = seen(Ok(node(&[])), None);
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["peers-joined", "peers-wanted", "position", "status"]);
    }
}
