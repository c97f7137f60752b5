//! `/nodes`: the nodes of the cluster, and those that have left it.

use super::routes::{Endpoint, Verb};
use super::served::Served;
use actix_web::{HttpResponse, web};

/// All nodes.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/nodes",
    answers: &[(Verb::Get, || web::to(list))],
};

async fn list(served: web::Data<Served>) -> HttpResponse {
    HttpResponse::Ok().json(served.node.nodes())
}
