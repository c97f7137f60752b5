//! The HTTP endpoints of real nodes, each asked from outside as any client would.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

use onyx::config::{BearerToken, HttpConfig, NodeConfig};
use onyx::http::{HttpError, HttpListener};
use onyx::node::NodeBuilder;
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;
use ureq::http::Request;

/// A node on a thread of its own. It stops when it is dropped.
struct TestNode {
    address: SocketAddr,
    token: Option<&'static str>,
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of a node can be told.
enum Order {
    Refuse(oneshot::Sender<()>),
    Stop,
}

impl TestNode {
    /// A node with few peers.
    fn start(peers: usize) -> Self {
        TestNode::with(peers, None)
    }

    fn with(peers: usize, token: Option<&'static str>) -> Self {
        let mut config = NodeConfig::default();
        config.node.peers = NonZeroUsize::new(peers).unwrap();
        config.http.port = 0;
        config.task.trace_one_in = 2;
        config.http.max_body_bytes = NonZeroUsize::new(64 * 1024).unwrap();
        config.http.bearer_token = token.and_then(BearerToken::new);
        let (orders, inbox) = mpsc::channel();
        let (tell_address, told_address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            onyx::run(serve(config, tell_address, inbox));
        });
        let address = told_address.recv().expect("the node starts");
        TestNode {
            address,
            token,
            orders,
            thread: Some(thread),
        }
    }

    /// A node whose peers have joined.
    fn ready(peers: usize) -> Self {
        let node = TestNode::start(peers);
        while node.get("/health/ready").status != 200 {
            std::thread::yield_now();
        }
        node
    }

    /// From now on it is not ready.
    fn refuse(&self) {
        let (done, is_done) = oneshot::channel();
        self.orders.send(Order::Refuse(done)).unwrap();
        is_done.blocking_recv().unwrap();
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    fn post(&self, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask("POST", "/jobs", &[("Content-Type", content_type)], body)
    }

    fn submit(&self, job: &Value) -> String {
        let answer = self.post("application/json", job.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// The report of a job when it has ended.
    fn ended(&self, id: &str) -> Value {
        loop {
            let report = self.get(&format!("/jobs/{id}?wait-ms=10000")).body;
            if ["completed", "killed"].contains(&report["state"].as_str().unwrap()) {
                return report;
            }
        }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let mut request = Request::builder().method(method);
        request = request.uri(format!("http://{}{path}", self.address));
        if let Some(token) = self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.allow_non_standard_methods(true).build().new_agent();
        let mut answer = agent.run(request.body(body.as_ref()).unwrap()).unwrap();
        let header = |name: &str| {
            let value = answer.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let (location, allow) = (header("location"), header("allow"));
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = if method == "HEAD" {
            Value::Null
        } else {
            // What is no JSON is shown as text.
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Answer {
            status,
            location,
            allow,
            body,
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the node did not stop in order");
        }
    }
}

async fn serve(
    config: NodeConfig,
    address: mpsc::Sender<SocketAddr>,
    orders: mpsc::Receiver<Order>,
) {
    let http = config.http.clone();
    let node = NodeBuilder::new(config)
        .without_http()
        .start()
        .await
        .unwrap();
    let listener = HttpListener::bind(&http).unwrap();
    let server = listener.serve().unwrap();
    server.open(node.handle().clone());
    address.send(server.address()).unwrap();
    let (forward, mut forwarded) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || orders.into_iter().try_for_each(|order| forward.send(order)));
    while let Some(Order::Refuse(done)) = forwarded.recv().await {
        server.refuse();
        done.send(()).unwrap();
    }
    node.stop().await.unwrap();
    server.stop().await;
}

struct Answer {
    status: u16,
    location: Option<String>,
    allow: Option<String>,
    body: Value,
}

impl Answer {
    fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

/// A job that copies `in.csv` of a folder to `out.jsonl`, with a function between them.
fn job(folder: &Path, function: Value) -> Value {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut work = json!({ "name": "work", "type": "function" });
    work.as_object_mut()
        .unwrap()
        .extend(function.as_object().unwrap().clone());
    json!({
        "name": "copy",
        "workflow": [["read", "work"], ["work", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/csv", "path": path("in.csv") },
            work,
            { "name": "write", "type": "output", "plugin": "file/json-lines",
              "path": path("out.jsonl") },
        ],
    })
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in.csv"), "name,n\na,1\nb,2\nc,3\n").unwrap();
    folder
}

fn upper_case() -> Value {
    json!({ "fn": "expr/map", "set": { "twice": "name + name" } })
}

/// A job that waits for ever: nobody has so many peers.
fn waiting_job(folder: &Path) -> Value {
    let mut job = job(folder, upper_case());
    job["catalog"][1]["min-peers"] = json!(50);
    job
}

#[test]
fn a_node_is_live_and_becomes_ready() {
    let node = TestNode::ready(1);
    let live = node.get("/health/live");
    assert_eq!((live.status, live.body), (200, json!({ "status": "live" })));
    let ready = node.get("/health/ready").body;
    assert_eq!(
        (&ready["status"], &ready["peers-joined"]),
        (&json!("ready"), &json!(1))
    );
    assert_eq!(node.ask("HEAD", "/health/live", &[], "").status, 200);
}

#[test]
fn a_node_that_stops_is_live_but_not_ready_and_takes_no_jobs() {
    let folder = folder();
    let node = TestNode::ready(1);
    node.refuse();
    assert_eq!(node.get("/health/live").status, 200);
    let ready = node.get("/health/ready");
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (503, &json!("not-ready"))
    );
    assert_eq!(ready.body["reasons"], json!(["the node is stopping"]));
    let refused = node.post(
        "application/json",
        job(folder.path(), upper_case()).to_string(),
    );
    assert_eq!(refused.status, 503);
    assert!(refused.error().contains("stopping"), "{}", refused.error());
    assert_eq!(node.get("/jobs").body, json!({ "jobs": [] }));
}

#[test]
fn a_job_runs_from_its_submission_to_its_results() {
    let folder = folder();
    let node = TestNode::ready(3);
    let submitted = node.post(
        "application/json",
        job(folder.path(), upper_case()).to_string(),
    );
    assert_eq!(
        (submitted.status, &submitted.body["name"]),
        (201, &json!("copy"))
    );
    let id = submitted.body["id"].as_str().unwrap();
    assert_eq!(submitted.location, Some(format!("/jobs/{id}")));

    let report = node.ended(id);
    assert_eq!(
        (&report["state"], &report["why"]),
        (&json!("completed"), &json!("completed"))
    );
    let tasks = report["tasks"].as_array().unwrap();
    let names: Vec<&Value> = tasks.iter().map(|task| &task["name"]).collect();
    assert_eq!(names, ["read", "work", "write"]);
    assert_eq!(tasks[0]["counts"]["completed"], 3);
    assert_eq!(tasks[2]["counts"]["written"], 3);
    let rows = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 3);
    assert!(rows.contains(r#""twice":"aa""#), "{rows}");

    let jobs = node.get("/jobs").body;
    assert_eq!(
        (&jobs["jobs"][0]["id"], &jobs["jobs"][0]["state"]),
        (&json!(id), &json!("completed"))
    );
    let killed = node.ask("DELETE", &format!("/jobs/{id}"), &[], "");
    assert_eq!(killed.status, 409);
    assert!(
        killed.error().contains("completed already"),
        "{}",
        killed.error()
    );
}

#[test]
fn a_running_job_and_each_of_its_tasks_say_why_they_have_their_peers() {
    let node = TestNode::ready(5);
    let folder = folder();
    // Rows come from a pipe that is held open, so that the job runs until it is killed.
    let pipe = folder.path().join("in.csv");
    fs::remove_file(&pipe).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let mut job = job(folder.path(), upper_case());
    job["catalog"][1]["max-peers"] = json!(2);
    let id = node.submit(&job);
    // Opening answers when the job reads.
    let rows = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let report = node.get(&format!("/jobs/{id}")).body;
    assert_eq!(
        [&report["state"], &report["why"], &report["share"]],
        ["running", "runs with 4 peers", "all that it can use"]
    );
    let tasks = report["tasks"].as_array().unwrap().iter();
    let told = tasks.map(|task| {
        let peers = task["peers"].as_object().unwrap().len();
        format!("{} has {peers}: {}", task["name"], task["why"])
    });
    assert_eq!(
        told.collect::<Vec<String>>(),
        [
            r#""read" has 1: "its minimum is its maximum""#,
            r#""work" has 2: "its maximum""#,
            r#""write" has 1: "its minimum is its maximum""#,
        ]
    );
    let killed = node.ask("DELETE", &format!("/jobs/{id}"), &[], "");
    assert_eq!(killed.status, 200, "{}", killed.body);
    drop(rows);
    let ended = node.ended(&id);
    assert_eq!(
        (&ended["why"], &ended["share"]),
        (&json!("killed by a client"), &Value::Null)
    );
}

#[test]
fn what_became_of_all_that_was_read_is_told_by_job_by_metric_and_by_root() {
    let node = TestNode::ready(3);
    let folder = folder();
    let filter = json!({ "fn": "expr/filter", "where": "name != 'a'" });
    let id = node.submit(&job(folder.path(), filter));
    let report = node.ended(&id);
    let expected = json!({
        "in": 3, "out": 2, "filtered": 1, "dead-lettered": 0, "in-flight": 0, "relinquished": 0,
        "unaccounted": 0,
    });
    assert_eq!(
        [&report["account"], &report["account-here"]],
        [&expected; 2]
    );
    let page = node.get("/metrics").body;
    let page = page.as_str().unwrap();
    let of_read = format!("{{job=\"{id}\",task=\"read\"}}");
    for line in [
        format!("onyx_segments_acked_total{of_read} 3"),
        format!("onyx_segments_filtered_total{of_read} 1"),
        format!("onyx_unaccounted_segments{of_read} 0"),
        "onyx_acker_entries 0".to_owned(),
        "onyx_peers{state=\"joined\"} 3".to_owned(),
    ] {
        assert!(
            page.lines().any(|it| it == line),
            "{line} is not in\n{page}"
        );
    }
    let roots = node.get("/trace").body["roots"].clone();
    let second = roots
        .as_array()
        .unwrap()
        .iter()
        .find(|root| root.as_str().unwrap().ends_with(".2"));
    let trace = node.get(&format!("/trace/{}", second.unwrap().as_str().unwrap()));
    let events: Vec<&str> = trace.body["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    for happened in ["read", "received", "emitted", "written", "completed"] {
        assert!(events.contains(&happened), "{events:?}");
    }
    let unknown = format!("/trace/{id}.1.9");
    assert_eq!(
        (node.get(&unknown).status, node.get("/trace/x").status),
        (404, 400)
    );
}

#[test]
fn the_same_job_under_the_same_id_runs_once() {
    let node = TestNode::ready(3);
    let folder = folder();
    let id = "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c03";
    let submit = |id: &str, job: &Value| {
        let json = [("Content-Type", "application/json")];
        node.ask("POST", &format!("/jobs?id={id}"), &json, job.to_string())
    };
    let job = job(folder.path(), upper_case());
    let taken = submit(id, &job);
    assert_eq!((taken.status, &taken.body["id"]), (201, &json!(id)));
    let again = submit(id, &job);
    assert_eq!((again.status, &again.body), (200, &taken.body));
    assert_eq!(node.ended(id)["state"], "completed");
    assert_eq!(submit(id, &job).status, 200);
    let mut other = job.clone();
    other["name"] = json!("other");
    let refused = submit(id, &other);
    assert_eq!(refused.status, 409, "{}", refused.body);
    let jobs = node.get("/jobs").body;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(submit("mine", &job).status, 400);
    // Who asks late finds neither its files nor more of the job than how it ended.
    fs::remove_file(folder.path().join("in.csv")).unwrap();
    assert_eq!(submit(id, &job).status, 200);
    assert_eq!(node.ask("POST", "/gc", &[], String::new()).status, 200);
    assert_eq!(node.get("/jobs").body["jobs"], json!([]));
    assert_eq!(
        (submit(id, &job).status, submit(id, &other).status),
        (200, 409)
    );
    let unknown = "4f7c3a52-9d0e-4c1b-8a66-2f1e5b7d9c04";
    assert_eq!(submit(unknown, &job).status, 400);
}

#[test]
fn a_job_that_fails_tells_its_exception() {
    let folder = folder();
    let node = TestNode::ready(3);
    let failing = json!({ "fn": "expr/map", "set": { "n": "int(name)" } });
    let report = node.ended(&node.submit(&job(folder.path(), failing)));
    assert_eq!(report["state"], "killed");
    let exception = report["exception"].as_str().unwrap();
    assert!(
        exception.contains("work") && exception.contains("int"),
        "{exception}"
    );
}

#[test]
fn a_job_that_waits_says_why_and_can_be_killed_more_than_once() {
    let folder = folder();
    let node = TestNode::ready(1);
    let id = node.submit(&waiting_job(folder.path()));
    let path = format!("/jobs/{id}");
    let report = node.get(&path).body;
    assert_eq!(report["state"], "waiting");
    assert_eq!(report["why"], "waits: needs 52 peers, 1 is joined");
    for _ in 0..2 {
        let killed = node.ask("DELETE", &path, &[], "");
        assert_eq!(
            (killed.status, killed.body),
            (200, json!({ "id": id, "state": "killed" }))
        );
    }
    assert_eq!(node.get(&path).body["exception"], "killed by a client");
    assert!(!folder.path().join("out.jsonl").exists());
}

#[test]
fn a_yaml_job_is_told_what_is_wrong_with_it_and_where() {
    let node = TestNode::start(1);
    let yaml = "workflow: [[a, b]]\ncatalog:\n  - name: a\n    type: inptu\n";
    let answer = node.post("application/yaml", yaml);
    assert_eq!(
        (answer.status, answer.error()),
        (400, "the job file has 1 problem")
    );
    let problem = &answer.body["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["column"]),
        (&json!(4), &json!(5))
    );
    assert_eq!(problem["place"], "catalog.a.type");
    assert!(
        problem["message"].as_str().unwrap().contains("`input`"),
        "{problem}"
    );
}

#[test]
fn garbage_is_refused_and_leaves_nothing() {
    let node = TestNode::ready(1);
    let before = node.get("/replica").body;
    let deep = "[".repeat(60_000);
    for (content_type, body, status) in [
        ("application/json", &b"{"[..], 400),
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", deep.as_bytes(), 400),
        ("application/yaml", deep.as_bytes(), 400),
        ("application/yaml", b"\xff\xfe\x00", 400),
        ("application/yaml", b"a: &x [*x]", 400),
        ("text/plain", b"hello", 400),
        ("image/png", b"\x89PNG", 415),
        ("application/json", &[b' '; 70_000], 413),
    ] {
        let answer = node.post(content_type, body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]);
        assert_eq!(
            answer.status, status,
            "{content_type} {shown}: {}",
            answer.body
        );
        assert!(!answer.error().is_empty(), "{content_type} {shown}");
    }
    assert_eq!(node.get("/replica").body, before);
}

#[test]
fn a_job_is_known_by_its_outcome_after_the_log_was_collected() {
    let node = TestNode::ready(3);
    let folder = folder();
    let done = node.submit(&job(folder.path(), upper_case()));
    assert_eq!(node.ended(&done)["state"], "completed");
    let answer = node.ask("POST", "/gc", &[], "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["collected"]["jobs"], 1);
    assert_eq!(answer.body["collected"]["entries-left"], 1);
    let known = node.get(&format!("/jobs/{done}")).body;
    assert_eq!(known["state"], "completed");
    assert_eq!(node.get("/jobs").body["jobs"], json!([]));
    // Again, and with nothing to collect.
    let again = node.ask("POST", "/gc", &[], "").body;
    assert_eq!(again["collected"]["jobs"], 0);
}

#[test]
fn the_replica_is_shown_whole_and_in_parts() {
    let folder = folder();
    let node = TestNode::ready(2);
    let id = node.submit(&waiting_job(folder.path()));
    let whole = node.get("/replica").body;
    assert!(whole["position"].is_u64());
    assert_eq!(whole["replica"]["peers"].as_array().map(Vec::len), Some(2));
    assert_eq!(whole["replica"]["jobs"], json!([id]));
    for (path, key) in [
        ("/replica/peers", "pairs"),
        ("/replica/jobs", "min-required-peers"),
        ("/replica/allocations", "task-slot-ids"),
    ] {
        let part = node.get(path).body;
        assert_eq!(part["position"], whole["position"], "{path}");
        assert_eq!(part[key], whole["replica"][key], "{path}");
        assert!(part[key].is_object(), "{path}");
    }
}

#[test]
fn the_supervision_tree_is_shown() {
    let node = TestNode::ready(2);
    let tree = node.get("/peers").body;
    assert_eq!(
        (&tree["actor"], &tree["restarts"]),
        (&json!("peer-group"), &json!(0))
    );
    let children = tree["children"].as_array().unwrap();
    let peers = children
        .iter()
        .filter(|child| child["actor"] == "virtual-peer");
    let peers: Vec<&Value> = peers.collect();
    assert_eq!(peers.len(), 2);
    let children = |peer: &Value| peer["children"].as_array().unwrap().len();
    assert!(peers.iter().all(|peer| children(peer) >= 4), "{tree}");
}

#[test]
fn whoever_is_lost_is_shown_the_way() {
    let node = TestNode::start(1);
    let unknown = node.get("/job");
    assert_eq!(
        (unknown.status, &unknown.body["nearest"]),
        (404, &json!("/jobs"))
    );
    assert!(
        unknown.body["paths"]
            .as_array()
            .unwrap()
            .contains(&json!("/replica/peers"))
    );
    assert_eq!(node.get("/favicon.ico").status, 404);

    let method = node.ask("PUT", "/jobs", &[], "");
    assert_eq!(
        (method.status, method.allow.as_deref()),
        (405, Some("GET, POST"))
    );
    assert_eq!(method.error(), "/jobs takes GET and POST, not PUT");

    let id = "00000000-0000-4000-8000-000000000000";
    for verb in ["GET", "DELETE"] {
        assert_eq!(
            node.ask(verb, &format!("/jobs/{id}"), &[], "").status,
            404,
            "{verb}"
        );
        let odd = node.ask(verb, "/jobs/flights", &[], "");
        assert_eq!(odd.status, 400, "{verb}");
        assert!(odd.error().contains("looks like"), "{}", odd.error());
    }
    let odd = node.get(&format!("/jobs/{id}?wait-ms=soon"));
    assert_eq!(odd.status, 400);
    assert!(odd.error().contains("wait-ms=N"), "{}", odd.error());
}

#[test]
fn without_the_token_only_health_is_answered() {
    let node = TestNode::with(1, Some("s3cret"));
    assert_eq!(node.get("/jobs").status, 200);
    let stranger = asked_with(&node, None);
    for path in ["/jobs", "/replica", "/peers", "/nothing", "/health/other"] {
        assert_eq!(stranger.get(path).status, 401, "{path}");
    }
    let guesser = asked_with(&node, Some("s3creT"));
    assert_eq!(guesser.get("/jobs").status, 401);
    assert_eq!(stranger.get("/health/live").status, 200);
    assert_ne!(stranger.get("/health/ready").status, 401);
}

/// The same node, asked with another token.
fn asked_with(node: &TestNode, token: Option<&'static str>) -> TestNode {
    let (orders, _) = mpsc::channel();
    TestNode {
        address: node.address,
        token,
        orders,
        thread: None,
    }
}

#[test]
fn a_web_page_cannot_submit_a_job() {
    let node = TestNode::start(1);
    let headers = [
        ("Origin", "http://evil.example"),
        ("Content-Type", "text/plain"),
    ];
    let answer = node.ask("POST", "/jobs", &headers, "name: x");
    assert_eq!(answer.status, 403);
}

#[test]
fn a_busy_port_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = HttpConfig {
        port: address.port(),
        ..HttpConfig::default()
    };
    let error = HttpListener::bind(&config).unwrap_err();
    assert!(matches!(error, HttpError::PortTaken(it) if it == address));
    let message = error.to_string();
    for part in [&address.to_string(), "http.port", "ONYX_HTTP__PORT"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn an_open_address_needs_a_token() {
    let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let config = HttpConfig {
        address,
        port: 0,
        ..HttpConfig::default()
    };
    let error = HttpListener::bind(&config).unwrap_err();
    assert!(matches!(error, HttpError::OpenToEverybody(it) if it == address));
}
