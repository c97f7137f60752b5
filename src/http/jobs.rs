//! `/jobs`: the jobs that are known, and new ones.

use super::routes::{Endpoint, Verb};
use super::served::Served;
use super::submission::submit;
use actix_web::{HttpResponse, web};
use serde_json::json;

/// All jobs.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/jobs",
    answers: &[
        (Verb::Get, || web::to(list)),
        (Verb::Post, || web::to(submit)),
    ],
};

async fn list(served: web::Data<Served>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "jobs": served.node.jobs().await }))
}
