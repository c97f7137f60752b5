//! `/peers`: the actors of this node as they are now, each with its restarts and last cause.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::served::{Served, read};
use actix_web::{HttpResponse, web};

/// The supervision tree.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/peers",
    answers: &[(Verb::Get, || web::to(tree))],
};

async fn tree(served: web::Data<Served>) -> Result<HttpResponse, Refusal> {
    let report = read(served.node.observe()).await?;
    Ok(HttpResponse::Ok().json(report))
}
