//! Coordination is absent when a node starts: the node lives, says why it is not ready, and serves as
//! soon as coordination is there.

use crate::process::{Errors, Node, Process, onyx};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use tempfile::TempDir;

/// An address at which no process listens yet.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn start(address: &str, folder: &Path, wait_ms: u64) -> Node {
    let mut command = onyx(&["start", "--log-level", "warn"]);
    command.env("ONYX_HTTP__PORT", "0");
    command.env("ONYX_COORDINATION__MODE", "zookeeper");
    command.env("ONYX_COORDINATION__CONNECT", address);
    command.env("ONYX_COORDINATION__CONNECTION_TIMEOUT_MS", "500");
    command.env("ONYX_COORDINATION__CONNECT_WAIT_MS", wait_ms.to_string());
    let mut node = Node::start(&mut command, Errors::In(&folder.join("node.log")));
    node.takes_port();
    node
}

/// Status and body of an answer.
fn asked(node: &Node, method: &str, path: &str) -> (u16, Value) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", node.url()));
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.build().new_agent();
    let mut answer = agent.run(request.body("").unwrap()).unwrap();
    let body = answer.body_mut().read_to_string().unwrap();
    (
        answer.status().as_u16(),
        serde_json::from_str(&body).unwrap(),
    )
}

#[test]
fn a_node_lives_while_coordination_is_absent_at_its_start() {
    let folder = TempDir::new().unwrap();
    let address = free_address();
    let mut node = start(&address, folder.path(), 600_000);
    let (status, body) = asked(&node, "GET", "/health/live");
    assert_eq!((status, &body["status"]), (200, &"live".into()));
    let (status, body) = asked(&node, "GET", "/health/ready");
    assert_eq!((status, &body["status"]), (503, &"not-ready".into()));
    let reason = body["reasons"][0].as_str().unwrap();
    assert!(reason.contains("waits for coordination"), "{reason}");
    for (method, path) in [("POST", "/jobs"), ("GET", "/peers"), ("GET", "/metrics")] {
        let (status, body) = asked(&node, method, path);
        assert_eq!(status, 503, "{path}: {body}");
        let error = body["error"].as_str().unwrap();
        assert!(error.contains("waits for coordination"), "{path}: {error}");
    }
    let listed = onyx(&["jobs", "--node", node.url()]).output().unwrap();
    assert_eq!(listed.status.code(), Some(1));
    let told = String::from_utf8(listed.stderr).unwrap();
    assert!(told.contains("waits for coordination"), "{told}");

    let mut command = onyx(&["coordination", "--listen", &address]);
    let log = folder.path().join("coordination.log");
    let _server = Process::start(&mut command, Errors::In(&log));
    node.listens();
    assert_eq!(asked(&node, "GET", "/jobs").0, 200);
}

#[test]
fn a_node_that_has_waited_long_enough_ends_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let address = free_address();
    let mut node = start(&address, folder.path(), 1_500);
    assert_eq!(asked(&node, "GET", "/health/live").0, 200);
    assert_eq!(node.process().end().0, Some(1));
    let log = fs::read_to_string(folder.path().join("node.log")).unwrap();
    let reason = format!("cannot reach coordination at {address}");
    assert!(log.contains(&reason), "{log}");
}

#[test]
fn a_token_is_asked_for_before_the_node_is_there() {
    let folder = TempDir::new().unwrap();
    let mut command = onyx(&["start", "--log-level", "warn"]);
    command.env("ONYX_HTTP__PORT", "0");
    command.env("ONYX_HTTP__BEARER_TOKEN", "s3cret");
    command.env("ONYX_COORDINATION__MODE", "zookeeper");
    command.env("ONYX_COORDINATION__CONNECT", free_address());
    let mut node = Node::start(&mut command, Errors::In(&folder.path().join("node.log")));
    node.takes_port();
    assert_eq!(asked(&node, "GET", "/jobs").0, 401);
    assert_eq!(asked(&node, "GET", "/health/live").0, 200);
}
