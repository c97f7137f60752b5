//! Asks a node over HTTP, for the commands that talk to one that runs elsewhere.

use super::args::NodeArgs;
use super::console::Console;
use super::exit::Exit;
use crate::config::{ConfigError, HttpConfig, NodeConfig, secret};
use crate::ids::JobId;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error(
        "http.port is 0, any port that is free: name the node with --node URL, which it prints when it \
         starts"
    )]
    AnyPort,
    #[error("cannot ask the node at {url}: {reason}")]
    Other { url: String, reason: String },
    #[error(
        "no job has an id that begins with `{0}`; `onyx-node jobs` lists the jobs that are known"
    )]
    NoJob(String),
    #[error(
        "the ids of several jobs begin with `{prefix}`; write more of the one you mean:\n{jobs}"
    )]
    SeveralJobs { prefix: String, jobs: String },
}

/// A node answers within 30 s, or says that it does not know yet.
const LIMIT: Duration = Duration::from_secs(40);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Client {
    /// The node that the arguments name, or else its configuration.
    pub(super) fn new(args: &NodeArgs) -> Result<Self, ClientError> {
        let http = match (&args.config, &args.url) {
            (Some(path), _) => Some(NodeConfig::load(path)?.http),
            (None, None) => Some(NodeConfig::from_environment()?.http),
            (None, Some(_)) => None,
        };
        let url = match (&args.url, &http) {
            (Some(url), _) => url.clone(),
            (None, Some(http)) => configured_url(http)?,
            (None, None) => return Err(ClientError::AnyPort),
        };
        let configured = http.and_then(|http| http.bearer_token);
        let configured = configured.map(|token| token.expose().to_owned());
        let given = args.token.clone().or_else(|| secret("ONYX_TOKEN"));
        Ok(Client::at(&url, given.or(configured)))
    }

    fn at(url: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_global(Some(LIMIT));
        Client {
            agent: config.build().new_agent(),
            url: url.trim_end_matches('/').to_owned(),
            token,
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

    /// The path of a job whose id begins with this. Only a shortened id needs a question.
    pub(super) fn path_of_job(&self, id: &str) -> Result<String, ClientError> {
        let begins_an_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if id.parse::<JobId>().is_ok() || !begins_an_id {
            return Ok(format!("/jobs/{}", path_segment(id)));
        }
        let answer = self.get("/jobs")?;
        if !answer.is_success() {
            // The question about the job is refused for the same reason, with the advice.
            return Ok(format!("/jobs/{}", path_segment(id)));
        }
        let jobs = answer.body["jobs"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        Ok(format!("/jobs/{}", text(meant(id, jobs)?, "id")))
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

/// Where a node with this configuration is asked from its own machine.
fn configured_url(http: &HttpConfig) -> Result<String, ClientError> {
    let address = match http.address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    match http.port {
        0 => Err(ClientError::AnyPort),
        port => Ok(format!("http://{}", SocketAddr::new(address, port))),
    }
}

/// The only job whose id begins with this.
fn meant<'a>(prefix: &str, jobs: &'a [Value]) -> Result<&'a Value, ClientError> {
    let lower = prefix.to_ascii_lowercase();
    let found = jobs
        .iter()
        .filter(|job| text(job, "id").starts_with(&lower));
    let found: Vec<&Value> = found.collect();
    match found.as_slice() {
        [job] => Ok(job),
        [] => Err(ClientError::NoJob(prefix.into())),
        several => {
            let line = |job: &&Value| {
                let [id, name, state] = ["id", "name", "state"].map(|key| text(job, key));
                format!("  {id}  {name}  {state}")
            };
            let shown = several.iter().take(CANDIDATES_SHOWN_MAX).map(line);
            let mut jobs = shown.collect::<Vec<String>>().join("\n");
            if let Some(more) = several.len().checked_sub(CANDIDATES_SHOWN_MAX + 1) {
                jobs += &format!("\n  and {} more", more + 1);
            }
            let prefix = prefix.into();
            Err(ClientError::SeveralJobs { prefix, jobs })
        }
    }
}

const CANDIDATES_SHOWN_MAX: usize = 20;

/// An id as it can stand in a path; a valid one has no other characters.
fn path_segment(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    id.chars().map(|c| if fits(c) { c } else { '_' }).collect()
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
            ClientError::NoAddress { .. }
            | ClientError::Configuration(_)
            | ClientError::AnyPort
            | ClientError::NoJob(_)
            | ClientError::SeveralJobs { .. } => Exit::BadInput,
            _ => Exit::Failed,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_stays_within_its_part_of_the_path() {
        assert_eq!(path_segment("../health/live?x"), "___health_live_x");
    }

    #[test]
    fn a_node_is_where_its_configuration_says() {
        let url = |config: &str| {
            let config = NodeConfig::from_toml("node.toml", config, []).unwrap();
            configured_url(&config.http).unwrap_or_else(|error| error.to_string())
        };
        assert_eq!(url(""), "http://127.0.0.1:8080");
        assert_eq!(
            url("[http]\nport = 9000\naddress = \"::1\""),
            "http://[::1]:9000"
        );
        let open = "[http]\naddress = \"0.0.0.0\"\nbearer-token = \"s3cret\"\n[files]\nread = []\nwrite = []";
        assert_eq!(url(open), "http://127.0.0.1:8080");
        assert!(url("[http]\nport = 0").starts_with("http.port is 0"));
    }

    #[test]
    fn a_job_is_found_by_the_beginning_of_its_id_if_no_other_id_begins_so() {
        let jobs =
            ["4f7c", "4f7d", "ab12"].map(|id| json!({ "id": id, "name": "n", "state": "s" }));
        assert_eq!(meant("AB", &jobs).unwrap()["id"], "ab12");
        assert_eq!(meant("4f7d", &jobs).unwrap()["id"], "4f7d");
        let told = meant("4f", &jobs).unwrap_err().to_string();
        let expected = "the ids of several jobs begin with `4f`; write more of the one you mean:\n  \
                        4f7c  n  s\n  4f7d  n  s";
        assert_eq!(told, expected);
        assert!(matches!(meant("5", &jobs), Err(ClientError::NoJob(_))));
    }
}
