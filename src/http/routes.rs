//! Which endpoints there are, and what is said to those who look for others.

use super::refusal::Refusal;
use super::{gc, health, job, jobs, metrics, nodes, peers, replica, trace};
use crate::nearest::nearest;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, guard};
use serde_json::json;

/// A path, and what it answers.
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    pub(super) answers: &'static [Answer],
}

/// What is asked, and who answers.
pub(super) type Answer = (Verb, fn() -> Route);

/// What can be asked of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET, and HEAD.
    Get,
    Post,
    Delete,
}

/// Every endpoint.
const ENDPOINTS: [&Endpoint; 14] = [
    &health::LIVE,
    &health::READY,
    &jobs::ENDPOINT,
    &job::ENDPOINT,
    &nodes::ENDPOINT,
    &peers::ENDPOINT,
    &metrics::ENDPOINT,
    &trace::ALL,
    &trace::ONE,
    &gc::ENDPOINT,
    &replica::WHOLE,
    &replica::PEERS,
    &replica::JOBS,
    &replica::ALLOCATIONS,
];

/// Adds every endpoint to an app.
pub(super) fn configure(app: &mut ServiceConfig) {
    for endpoint in ENDPOINTS {
        app.service(endpoint.resource());
    }
    app.default_service(web::to(not_found));
}

/// Whether a path is answered to everybody: what asks whether a process lives has no token.
pub(super) fn is_open(path: &str) -> bool {
    [health::LIVE.path, health::READY.path].contains(&path)
}

impl Endpoint {
    fn resource(&'static self) -> Resource {
        let others =
            web::to(move |request: HttpRequest| async move { self.wrong_method(&request) });
        let mut resource = web::resource(self.path).default_service(others);
        for (verb, route) in self.answers {
            let guard = match verb {
                Verb::Get => guard::Any(guard::Get()).or(guard::Head()),
                Verb::Post => guard::Any(guard::Post()),
                Verb::Delete => guard::Any(guard::Delete()),
            };
            resource = resource.route(route().guard(guard));
        }
        resource
    }

    fn wrong_method(&self, request: &HttpRequest) -> HttpResponse {
        let methods: Vec<&str> = self.answers.iter().map(|(verb, _)| verb.as_str()).collect();
        let message = format!(
            "{} takes {}, not {}",
            self.path,
            methods.join(" and "),
            shown(request.method())
        );
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message);
        let mut response = refusal.with("methods", json!(methods)).error_response();
        if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        }
    }
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    let paths = ENDPOINTS.map(|endpoint| endpoint.path);
    let near = nearest(request.path(), paths);
    let advice = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", paths.join(", ")),
    };
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing here; {advice}"),
    );
    refusal
        .with("paths", json!(paths))
        .with("nearest", json!(near))
        .error_response()
}

/// A method may be any word; a long one is not worth repeating.
fn shown(method: &Method) -> &str {
    const LETTERS_MAX: usize = 20;
    Some(method.as_str())
        .filter(|word| word.len() <= LETTERS_MAX)
        .unwrap_or("that method")
}
