//! `/gc`: collects the log.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::served::{Served, write};
use actix_web::{HttpResponse, web};
use serde_json::json;

/// The log.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/gc",
    answers: &[(Verb::Post, || web::to(collect))],
};

async fn collect(served: web::Data<Served>) -> Result<HttpResponse, Refusal> {
    let collected = write(served.node.gc()).await?;
    Ok(HttpResponse::Ok().json(json!({ "collected": collected })))
}
