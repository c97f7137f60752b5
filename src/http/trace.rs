//! `/trace`: where single roots are, or went, as far as any node has seen it.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::served::Served;
use crate::acking::RootId;
use crate::api::Heard;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

/// The roots that this node knows.
pub(super) const ALL: Endpoint = Endpoint {
    path: "/trace",
    answers: &[(Verb::Get, || web::to(roots))],
};

/// What happened to one.
pub(super) const ONE: Endpoint = Endpoint {
    path: "/trace/{root}",
    answers: &[(Verb::Get, || web::to(trace))],
};

async fn roots(served: web::Data<Served>) -> HttpResponse {
    let roots = served.node.traces().roots();
    let names: Vec<String> = roots.iter().map(RootId::to_string).collect();
    HttpResponse::Ok().json(json!({ "roots": names }))
}

async fn trace(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Refusal> {
    let text = request.match_info().get("root").unwrap_or_default();
    let root: RootId = text
        .parse()
        .map_err(|error| Refusal::bad(format!("{error}; GET /trace lists those that are known")))?;
    let trace = served.node.trace(root).await;
    if trace.events.is_empty() {
        let message = match trace.heard {
            Heard::AllNodes => {
                "no node knows anything of that root: it was neither sampled (`task.trace-one-in`) \
                 nor played again, or was too long ago, or was seen within the last second by \
                 another node; GET /trace lists those that this node knows"
            }
            Heard::ThisNodeAlone => {
                "this node knows nothing of that root, and what the others know could not be read \
                 from coordination in time: ask again, or ask them"
            }
        };
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    }
    let body = json!({
        "root": root.to_string(),
        "heard": trace.heard,
        "events": trace.events,
    });
    Ok(HttpResponse::Ok().json(body))
}
