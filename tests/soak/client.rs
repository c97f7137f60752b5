//! A client of a node under soak: it submits, waits, kills and collects over HTTP, a connection for each
//! request.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use ureq::http::Request;

/// A client of one node. Clones count their jobs together.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    url: String,
    ended_jobs: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        Client {
            url: url.to_owned(),
            ended_jobs: Arc::default(),
        }
    }

    /// How many jobs of all clones have ended.
    pub(crate) fn ended_jobs(&self) -> u64 {
        self.ended_jobs.load(Ordering::Relaxed)
    }

    /// Submits a job, and answers with its id.
    pub(crate) fn submit(&self, job: &Value) -> String {
        let (status, answer) = self.ask("POST", "/jobs", &job.to_string());
        assert_eq!(status, 201, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        let (status, report) = self.ask("GET", &format!("/jobs/{id}"), "");
        assert_eq!(status, 200, "{report}");
        report
    }

    /// The report of a job once `is_wanted` holds for it.
    pub(crate) fn until(&self, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let report = self.job(id);
            if is_wanted(&report) {
                return report;
            }
            std::thread::yield_now();
        }
    }

    /// The report of a job that has ended.
    pub(crate) fn ended(&self, id: &str) -> Value {
        loop {
            let (status, report) = self.ask("GET", &format!("/jobs/{id}?wait-ms=10000"), "");
            assert_eq!(status, 200, "{report}");
            if report["state"] == "completed" || report["state"] == "killed" {
                self.ended_jobs.fetch_add(1, Ordering::Relaxed);
                return report;
            }
        }
    }

    pub(crate) fn kill(&self, id: &str) {
        let (status, answer) = self.ask("DELETE", &format!("/jobs/{id}"), "");
        assert_eq!(
            (status, &answer["state"]),
            (200, &json!("killed")),
            "{answer}"
        );
    }

    pub(crate) fn collect_log(&self) {
        let (status, answer) = self.ask("POST", "/gc", "");
        assert_eq!(status, 200, "{answer}");
    }

    /// How many bytes `/metrics` has, as Prometheus would read them.
    pub(crate) fn metrics_bytes(&self) -> u64 {
        let answer = ureq::get(format!("{}/metrics", self.url)).call();
        let page = answer.unwrap().body_mut().read_to_vec().unwrap();
        page.len() as u64
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Content-Type", "application/json");
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let status = answer.status().as_u16();
        (status, answer.body_mut().read_json().unwrap())
    }
}
