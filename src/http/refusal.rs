//! Why a request is refused: a status and a JSON body that says what to do. Causes inside the node
//! go to its log instead.

use crate::api::ApiError;
use crate::coordination::CoordinationError;
use crate::job::file::{Position, Problem};
use crate::job::place::Place;
use crate::job::validation::Violation;
use crate::messages::outbox::WriteFailed;
use crate::nearest::some;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// A request that is not fulfilled.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Refusal {
            status,
            body: json!({ "error": message.into() }),
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }

    /// The node takes no more jobs.
    pub(super) fn stopping() -> Self {
        let message = "the node is stopping and takes no more jobs; ask another node";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The node did not answer in time.
    pub(super) fn late(limit: Duration, advice: &str) -> Self {
        let message = format!(
            "the node did not answer within {} s; {advice}",
            limit.as_secs()
        );
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, message)
    }

    /// A job file that says something wrong.
    pub(super) fn of_problems(problems: &[Problem]) -> Self {
        let problem =
            |problem: &Problem| described(problem.position, &problem.place, &problem.message);
        let message = format!("the job file has {}", some(problems.len(), "problem"));
        let problems: Vec<Value> = problems.iter().map(problem).collect();
        Refusal::bad(message).with("problems", problems.into())
    }

    /// More to say, for programs.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.body[key] = value;
        self
    }

    /// In a sentence.
    pub(super) fn message(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    fn of_violations(violations: &[Violation]) -> Self {
        let problem = |violation: &Violation| described(None, &violation.place, &violation.message);
        let problems: Vec<Value> = violations.iter().map(problem).collect();
        let message = format!("the job has {}", some(violations.len(), "problem"));
        Refusal::bad(message).with("problems", problems.into())
    }
}

fn described(position: Option<Position>, place: &Place, message: &str) -> Value {
    json!({
        "line": position.map(|position| position.line),
        "column": position.map(|position| position.column),
        "place": place.to_string(),
        "message": message,
    })
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::InvalidJob(violations) => Refusal::of_violations(&violations),
            ApiError::UnknownJob(_) | ApiError::NotMyPeer(_) => {
                Refusal::new(StatusCode::NOT_FOUND, error.to_string())
            }
            ApiError::Coordination(CoordinationError::TooLarge { .. }) => {
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            ApiError::NodeEnded => Refusal::stopping(),
            ApiError::NotTaken | ApiError::OtherContent(_) | ApiError::FileInUse { .. } => {
                Refusal::new(StatusCode::CONFLICT, error.to_string())
            }
            ApiError::Write(WriteFailed::Ended) => {
                let message = "the outcome is unknown: it may be in the log; see GET /jobs first";
                Refusal::new(StatusCode::GATEWAY_TIMEOUT, message)
            }
            ApiError::Coordination(_) | ApiError::Write(_) => {
                tracing::warn!(cause = %error, "cannot fulfil a request");
                let message = "the node cannot reach the log of the cluster now; try again later, \
                               and see GET /health/ready";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use crate::messages::outbox::WriteFailed;

    #[test]
    fn every_error_of_a_node_has_its_status() {
        let too_large = CoordinationError::TooLarge {
            what: "the job".into(),
            bytes: 2,
            limit: 1,
        };
        for (error, status) in [
            (ApiError::UnknownJob(IdSource::from_seed(1).job()), 404),
            (ApiError::InvalidJob(Vec::new()), 400),
            (too_large.into(), 413),
            (CoordinationError::Expired.into(), 503),
            (WriteFailed::Ended.into(), 504),
            (ApiError::NodeEnded, 503),
            (ApiError::NotTaken, 409),
            (ApiError::OtherContent(IdSource::from_seed(1).job()), 409),
        ] {
            let shown = error.to_string();
            assert_eq!(
                Refusal::from(error).status_code().as_u16(),
                status,
                "{shown}"
            );
        }
    }

    #[test]
    fn what_happens_inside_the_node_is_not_told() {
        let (address, reason) = ("10.0.0.7:2181".into(), "no route".into());
        let refusal = Refusal::from(ApiError::from(CoordinationError::Unreachable {
            address,
            reason,
        }));
        assert!(!refusal.body.to_string().contains("10.0.0.7"));
    }
}
