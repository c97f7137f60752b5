//! A page of another site whose name points at 127.0.0.1: requests for that name are refused.

use crate::process::{Errors, Node, onyx};
use std::io::{Read, Write};
use std::net::TcpStream;
use tempfile::TempDir;

/// The answer to a request for this host.
fn answer(node: &Node, method: &str, path: &str, host: &str) -> String {
    let address = node.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_for_another_host_is_refused_and_one_for_a_configured_name_is_not() {
    let folder = TempDir::new().unwrap();
    let mut command = onyx(&["start"]);
    command.env("ONYX_HTTP__PORT", "0").env(
        "ONYX_HTTP__HOST_NAMES",
        "onyx.example.org,other.example.org",
    );
    let mut node = Node::start(&mut command, Errors::In(&folder.path().join("log")));
    node.listens();
    for (method, path) in [
        ("GET", "/jobs"),
        ("POST", "/jobs"),
        ("POST", "/gc"),
        ("GET", "/replica"),
        ("GET", "/metrics"),
    ] {
        let refused = answer(&node, method, path, "evil.example:8080");
        assert!(
            refused.starts_with("HTTP/1.1 403"),
            "{method} {path}: {refused}"
        );
        assert!(refused.contains("`evil.example:8080`"), "{refused}");
        assert!(refused.contains("http.host-names"), "{refused}");
    }
    for host in [
        "localhost:1",
        "127.0.0.1",
        "[::1]:8080",
        "Other.example.org",
    ] {
        let answered = answer(&node, "GET", "/jobs", host);
        assert!(answered.starts_with("HTTP/1.1 200"), "{host}: {answered}");
    }
    // Who checks the health asks by any name, and learns nothing else.
    let health = answer(&node, "GET", "/health/live", "10.0.0.7:8080");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}
