//! Clients that hold connections: idle ones, unfinished requests, refused ones, and many that wait for a job.
//! Health checks are answered all the same, and so are clients with a token.

use crate::process::{Errors, Node, onyx};
use crate::scale::scaled;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tempfile::TempDir;

const TOKEN: &str = "s3cret";

/// What a hoarder sends on each connection before it falls silent.
#[derive(Clone, Copy, Debug)]
enum Hoard {
    Nothing,
    HalfARequest,
    WithoutToken,
    HealthCheck,
}

fn start(folder: &TempDir, options: &[(&str, &str)]) -> Node {
    let mut command = onyx(&["start"]);
    command
        .env("ONYX_HTTP__PORT", "0")
        .envs(options.iter().copied());
    let mut node = Node::start(&mut command, Errors::In(&folder.path().join("log")));
    node.listens();
    node
}

fn address(node: &Node) -> &str {
    node.url().strip_prefix("http://").unwrap()
}

fn connect(node: &Node, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address(node)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// The status line of the answer, on a connection of its own.
fn status(node: &Node, path: &str, headers: &str) -> String {
    let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let mut stream = connect(node, &text);
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    String::from_utf8_lossy(&head).into_owned()
}

const OK: &str = "HTTP/1.1 200";

#[test]
fn hoarded_connections_starve_neither_health_checks_nor_clients_with_a_token() {
    let folder = TempDir::new().unwrap();
    let node = start(&folder, &[("ONYX_HTTP__BEARER_TOKEN", TOKEN)]);
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    // More than the server has seats.
    let connections = scaled(300, 900);
    for hoard in [
        Hoard::Nothing,
        Hoard::HalfARequest,
        Hoard::WithoutToken,
        Hoard::HealthCheck,
    ] {
        let text = match hoard {
            Hoard::Nothing => "",
            Hoard::HalfARequest => "GET /jobs HTTP/1.1\r\nHost: localhost\r\n",
            Hoard::WithoutToken => "GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Hoard::HealthCheck => "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        let held: Vec<_> = (0..connections).map(|_| connect(&node, text)).collect();
        assert_eq!(status(&node, "/health/live", ""), OK, "{hoard:?}");
        assert_eq!(status(&node, "/jobs", &bearer), OK, "{hoard:?}");
        drop(held);
    }
}

#[test]
fn a_connection_without_a_valid_token_is_closed_with_its_answer() {
    let folder = TempDir::new().unwrap();
    let node = start(&folder, &[("ONYX_HTTP__BEARER_TOKEN", TOKEN)]);
    let request = "GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut answer = String::new();
    connect(&node, request).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[test]
fn requests_that_wait_for_a_job_leave_room_for_others() {
    let folder = TempDir::new().unwrap();
    let node = start(&folder, &[]);
    // It needs more peers than there are, and so it waits for as long as it is not killed.
    let job = json!({
        "workflow": [["read", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/lines", "path": "/dev/null",
              "n-peers": 100 },
            { "name": "write", "type": "output", "plugin": "file/json-lines",
              "path": folder.path().join("out.jsonl") },
        ],
    });
    let id = node.submit(&job.to_string());
    let wait = format!("GET /jobs/{id}?wait-ms=30000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let held: Vec<_> = (0..scaled(300, 900))
        .map(|_| connect(&node, &wait))
        .collect();
    for _ in 0..10 {
        assert_eq!(status(&node, "/health/live", ""), OK);
    }
    // Others are answered, or are told to come again; they are not left waiting.
    let others = status(&node, "/jobs", "");
    assert!([OK, "HTTP/1.1 503"].contains(&others.as_str()), "{others}");
    drop(held);
    while status(&node, "/jobs", "") != OK {
        crate::process::pause(Duration::from_millis(5));
    }
}
