//! `/jobs/{id}`: one job, and its end.

use super::refusal::Refusal;
use super::routes::{Endpoint, Verb};
use super::seats::Seat;
use super::served::{Served, read, write};
use crate::api::ApiError;
use crate::ids::JobId;
use crate::replica::JobState;
use actix_web::http::StatusCode;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// One job.
pub(super) const ENDPOINT: Endpoint = Endpoint {
    path: "/jobs/{id}",
    answers: &[
        (Verb::Get, || web::to(report)),
        (Verb::Delete, || web::to(kill)),
    ],
};

/// What can follow the `?`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Wish {
    /// Answer when the job has ended, but no later than this.
    #[serde(default)]
    wait_ms: u64,
}

/// The longest that a client can ask to wait. It can ask again.
const WAIT_MS_MAX: u64 = 30_000;

async fn report(
    request: HttpRequest,
    wish: Result<web::Query<Wish>, Error>,
    served: web::Data<Served>,
) -> Result<HttpResponse, Refusal> {
    let id = id(&request)?;
    let wait_ms = wish.map(|wish| wish.wait_ms).unwrap_or(u64::MAX);
    if wait_ms > WAIT_MS_MAX {
        let message = format!("expected nothing or `?wait-ms=N`, with N from 0 to {WAIT_MS_MAX}");
        return Err(Refusal::bad(message));
    }
    if wait_ms > 0 {
        let wish = Duration::from_millis(wait_ms);
        let seat = request.conn_data::<Seat>();
        let (waiting, limit) = seat.map(|seat| seat.wait(wish)).unzip();
        let end = served.node.await_job_completion(id);
        // The report says whether it has ended, and how.
        let _ = tokio::time::timeout(limit.unwrap_or(wish), end).await;
        drop(waiting);
    }
    let report = read(served.node.job(id)).await?;
    Ok(HttpResponse::Ok().json(report))
}

/// A job that was killed before is fine; one that completed cannot be killed any more.
async fn kill(request: HttpRequest, served: web::Data<Served>) -> Result<HttpResponse, Refusal> {
    let id = id(&request)?;
    let state = || served.node.snapshot().replica.job_state(id);
    if let Some(JobState::Waiting | JobState::Running) = state() {
        write(served.node.kill_job(id)).await?;
        tracing::info!(job = %id, "a client killed a job");
    }
    match state() {
        None => Err(ApiError::UnknownJob(id).into()),
        Some(JobState::Completed) => {
            let message = format!("job {id} has completed already");
            Err(Refusal::new(StatusCode::CONFLICT, message))
        }
        Some(state) => Ok(HttpResponse::Ok().json(json!({ "id": id, "state": state }))),
    }
}

fn id(request: &HttpRequest) -> Result<JobId, Refusal> {
    let text = request.match_info().get("id").unwrap_or_default();
    text.parse().map_err(|_| {
        let message = "that is no id of a job; one looks like \
                       4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03, and GET /jobs lists those that are \
                       known";
        Refusal::bad(message)
    })
}
