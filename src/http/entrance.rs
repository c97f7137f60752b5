//! What is answered before the node is there: that the process lives, and why nothing else is answered.
//! So a probe does not take a node for dead that waits for coordination.

use super::health;
use super::host::Hosts;
use super::refusal::Refusal;
use super::served::Served;
use crate::config::BearerToken;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError, web};
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// Where requests come in, from the moment at which the port is taken.
pub(super) struct Entrance {
    pub(super) token: Option<BearerToken>,
    pub(super) hosts: Hosts,
    served: watch::Receiver<Option<web::Data<Served>>>,
}

/// How long a request waits for a node that starts. A start takes milliseconds where coordination is
/// there.
const WAIT_MAX: Duration = Duration::from_secs(2);

const STARTS: &str = "the node starts, and waits for coordination; its log says what it waits for";

impl Entrance {
    /// An entrance, and where the node behind it is put when it is there.
    pub(super) fn new(
        token: Option<BearerToken>,
        hosts: Hosts,
    ) -> (Self, watch::Sender<Option<web::Data<Served>>>) {
        let (there, served) = watch::channel(None);
        (
            Entrance {
                token,
                hosts,
                served,
            },
            there,
        )
    }

    fn now(&self) -> Option<web::Data<Served>> {
        self.served.borrow().clone()
    }

    /// The node, when it is there in time.
    async fn soon(&self) -> Option<web::Data<Served>> {
        let mut served = self.served.clone();
        let there = served.wait_for(Option::is_some);
        match tokio::time::timeout(WAIT_MAX, there).await {
            Ok(Ok(served)) => served.clone(),
            // It is late, or the start has failed.
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// Lets a request through to the node. Before it is there, only liveness is answered.
pub(super) async fn pass(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let entrance = request.app_data::<web::Data<Entrance>>().cloned();
    let is_of_health = [health::LIVE.path, health::READY.path].contains(&request.path());
    let served = match &entrance {
        None => None,
        Some(entrance) if is_of_health => entrance.now(),
        Some(entrance) => entrance.soon().await,
    };
    if let Some(served) = served {
        let mut data = Extensions::new();
        data.insert(served);
        request.add_data_container(Rc::new(data));
    } else if request.path() != health::LIVE.path {
        let answer = starts(request.path());
        return Ok(request.into_response(answer).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn starts(path: &str) -> HttpResponse {
    if path == health::READY.path {
        let body = json!({ "status": "not-ready", "reasons": [STARTS] });
        return HttpResponse::ServiceUnavailable().json(body);
    }
    let message = format!("{STARTS}; try again later, and see GET /health/ready");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message).error_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_node_that_starts_and_not_for_ever() {
        let (entrance, there) = Entrance::new(None, Hosts::Any);
        assert!(entrance.soon().await.is_none());
        drop(there);
        assert!(entrance.soon().await.is_none());
    }

    #[test]
    fn a_node_that_starts_says_so() {
        for path in ["/jobs", health::READY.path] {
            assert_eq!(starts(path).status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}
