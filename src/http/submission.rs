//! `POST /jobs`: a job file in, an id out. A client that says the id can say the same twice. Nothing is kept of one that is wrong.

use super::refusal::Refusal;
use super::served::{Served, write};
use crate::api::{Submitted, with_checks};
use crate::ids::JobId;
use crate::job::Job;
use crate::job::file::{Format, JobFile, Problem};
use crate::job::validation::Checks;
use crate::task::registry::Registry;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// How long a client may take to send a body.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// What problems call the body, and a job without a name.
const SOURCE: &str = "job";

/// Takes a job.
pub(super) async fn submit(
    request: HttpRequest,
    payload: web::Payload,
    wish: Result<web::Query<Wish>, Error>,
    served: web::Data<Served>,
) -> Result<HttpResponse, Refusal> {
    let id = id(wish)?;
    if served.gate.is_closed() {
        return Err(Refusal::stopping());
    }
    let format = format(&request)?;
    let text = body(payload, served.max_body_bytes).await?;
    let registry = served.node.registry().clone();
    let replica = served.node.snapshot().replica;
    // Of one that is known nothing but its content counts: its files may be gone by now.
    let is_known = id.is_some_and(|id| replica.jobs.is_known(id));
    // Judging a job looks at its files, which may be on a slow disk.
    let read = move || match is_known {
        true => job(&text, format, &registry, &Checks::NONE),
        false => with_checks(&registry, |checks| job(&text, format, &registry, checks)),
    };
    let job = web::block(read).await;
    let job = job.map_err(|_| Refusal::stopping())?;
    let job = job.map_err(|problems| Refusal::of_problems(&problems))?;
    let name = job.name.clone();
    let (id, submitted) = match id {
        Some(id) => (id, write(served.node.submit_job_as(id, job)).await?),
        None => (write(served.node.submit_job(job)).await?, Submitted::Now),
    };
    let mut response = match submitted {
        Submitted::Now => HttpResponse::Created(),
        Submitted::Before => HttpResponse::Ok(),
    };
    tracing::info!(job = %id, name, ?submitted, "took a job");
    Ok(response
        .insert_header((LOCATION, format!("/jobs/{id}")))
        .json(json!({ "id": id, "name": name })))
}

fn id(wish: Result<web::Query<Wish>, Error>) -> Result<Option<JobId>, Refusal> {
    let wish = wish.map(|wish| wish.id);
    wish.map_err(|_| Refusal::bad("expected nothing or `?id=ID`, with a UUID that you have drawn"))
}

/// What can follow the `?`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// The id of the job, so that whoever does not know what became of it can submit it again.
    id: Option<JobId>,
}

/// YAML is what is meant unless JSON is said: tools send all kinds of types with a text.
fn format(request: &HttpRequest) -> Result<Format, Refusal> {
    let Some(given) = request.headers().get(CONTENT_TYPE) else {
        return Ok(Format::Yaml);
    };
    let given = given.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = given.split(';').next().unwrap_or_default().trim();
    let is_plain = ["", "text/plain", "application/octet-stream", CURL].contains(&essence);
    if essence == "application/json" || essence.ends_with("+json") {
        Ok(Format::Json)
    } else if is_plain || essence.contains("yaml") {
        Ok(Format::Yaml)
    } else {
        let message = "a job file is sent as `Content-Type: application/yaml` or application/json";
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
    }
}

/// What `curl --data-binary @job.yaml` says that it sends.
const CURL: &str = "application/x-www-form-urlencoded";

async fn body(payload: web::Payload, limit: usize) -> Result<String, Refusal> {
    let Ok(read) = tokio::time::timeout(BODY_LIMIT, payload.to_bytes_limited(limit)).await else {
        let message = format!("the body did not arrive within {} s", BODY_LIMIT.as_secs());
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, message));
    };
    let Ok(read) = read else {
        let message = format!(
            "the body is longer than {limit} bytes, which is what `http.max-body-bytes` allows"
        );
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    };
    let bytes = read.map_err(|_| Refusal::bad("the body ended early; send it again"))?;
    let not_text = |_| Refusal::bad("the body is no text; send a job file in YAML or JSON, UTF-8");
    String::from_utf8(bytes.to_vec()).map_err(not_text)
}

fn job(
    text: &str,
    format: Format,
    registry: &Registry,
    checks: &Checks<'_>,
) -> Result<Job, Vec<Problem>> {
    let mut file = JobFile::parse(SOURCE, text, format)?;
    // A client on this machine has made its paths absolute; others mean the node's.
    file.resolve_paths(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")));
    file.into_job(&registry.vocabulary(), *checks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    #[test]
    fn the_content_type_says_how_a_job_file_is_written() {
        let yaml = Ok(Format::Yaml);
        for (given, expected) in [
            ("application/json", Ok(Format::Json)),
            ("Application/JSON; charset=utf-8", Ok(Format::Json)),
            ("application/vnd.job+json", Ok(Format::Json)),
            ("application/yaml", yaml),
            ("text/x-yaml; charset=utf-8", yaml),
            ("text/plain", yaml),
            (CURL, yaml),
            ("", yaml),
            ("image/png", Err(415)),
            ("multipart/form-data", Err(415)),
        ] {
            let request = TestRequest::default().insert_header((CONTENT_TYPE, given));
            let found = format(&request.to_http_request());
            let found = found.map_err(|refusal| refusal.status_code().as_u16());
            assert_eq!(found, expected, "{given}");
        }
        assert!(matches!(
            format(&TestRequest::default().to_http_request()),
            Ok(Format::Yaml)
        ));
    }
}
