//! Asks a node over HTTP, for the commands that talk to one that runs elsewhere.

use super::args::NodeArgs;
use super::console::Console;
use super::exit::Exit;
use crate::config::secret;
use serde_json::Value;
use std::io;
use std::time::Duration;
use ureq::http::{self, Method, Request};
use ureq::{Agent, Error};

/// A node that can be asked.
pub(super) struct Client {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// What a node answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// Nobody answered, or not as a node does.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "no node answers at {0}; start one with `onyx-node start`, or name another with --node"
    )]
    NobodyThere(String),
    #[error("the node at {url} did not answer within {} s", .limit.as_secs())]
    Late { url: String, limit: Duration },
    #[error("{url} is no address of a node ({reason}); one looks like http://127.0.0.1:8080")]
    NoAddress { url: String, reason: String },
    #[error("what answers at {0} is no node; name another place with --node")]
    NoNode(String),
    #[error("cannot ask the node at {url}: {reason}")]
    Other { url: String, reason: String },
}

/// A node answers within 30 s, or says that it does not know yet.
const LIMIT: Duration = Duration::from_secs(40);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Client {
    pub(super) fn new(args: &NodeArgs) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_global(Some(LIMIT));
        Client {
            agent: config.build().new_agent(),
            url: args.url.trim_end_matches('/').to_owned(),
            token: args.token.clone().or_else(|| secret("ONYX_TOKEN")),
        }
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.ask(Method::GET, path, None)
    }

    pub(super) fn delete(&self, path: &str) -> Result<Answer, ClientError> {
        self.ask(Method::DELETE, path, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        self.ask(Method::POST, path, Some(body))
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, ClientError> {
        if !self.url.starts_with("http://") {
            let (url, reason) = (self.url.clone(), "a node speaks plain HTTP".into());
            return Err(ClientError::NoAddress { url, reason });
        }
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                let request = request.body(body.to_string());
                request
                    .map_err(Error::from)
                    .and_then(|request| self.agent.run(request))
            }
            None => {
                let request = request.body(());
                request
                    .map_err(Error::from)
                    .and_then(|request| self.agent.run(request))
            }
        };
        self.read(answer.map_err(|error| self.explain(error))?)
    }

    fn read(&self, answer: http::Response<ureq::Body>) -> Result<Answer, ClientError> {
        let status = answer.status().as_u16();
        let text = answer
            .into_body()
            .into_with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string();
        let text = text.map_err(|error| self.explain(error))?;
        let body =
            serde_json::from_str(&text).map_err(|_| ClientError::NoNode(self.url.clone()))?;
        Ok(Answer { status, body })
    }

    fn explain(&self, error: Error) -> ClientError {
        let url = self.url.clone();
        match error {
            Error::HostNotFound | Error::ConnectionFailed => ClientError::NobodyThere(url),
            Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ClientError::NobodyThere(url)
            }
            Error::Timeout(ureq::Timeout::Connect) => ClientError::NobodyThere(url),
            Error::Timeout(_) => ClientError::Late { url, limit: LIMIT },
            Error::BadUri(reason) => ClientError::NoAddress { url, reason },
            Error::Http(reason) => ClientError::NoAddress {
                url,
                reason: reason.to_string(),
            },
            Error::Protocol(_) => ClientError::NoNode(url),
            error => ClientError::Other {
                url,
                reason: error.to_string(),
            },
        }
    }
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Tells what the node refused, and why.
    pub(super) fn complain(&self, console: &mut Console) -> Exit {
        match self.body["error"].as_str() {
            Some(error) => console.complain(format!("the node refuses: {error}")),
            None => console.complain(format!("the node answers with status {}", self.status)),
        }
        for problem in self.body["problems"].as_array().into_iter().flatten() {
            let [place, message] = [text(problem, "place"), text(problem, "message")];
            let separator = if place.is_empty() { "" } else { ": " };
            console.complain(format!("  {place}{separator}{message}"));
        }
        match self.status {
            400 | 404 | 413 => Exit::BadInput,
            _ => Exit::Failed,
        }
    }
}

/// A text of an answer, for people.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A job as people call it; the name of one that was collected is forgotten.
pub(super) fn title(job: &Value) -> String {
    match text(job, "name") {
        "" => format!("job {}", text(job, "id")),
        name => format!("job {name} ({})", text(job, "id")),
    }
}

/// A number of an answer.
pub(super) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

/// What a command that asks answers with; a question nobody answers is told.
pub(super) fn finish(exit: Result<Exit, ClientError>, console: &mut Console) -> Exit {
    exit.unwrap_or_else(|error| {
        console.complain(&error);
        match error {
            ClientError::NoAddress { .. } => Exit::BadInput,
            _ => Exit::Failed,
        }
    })
}
