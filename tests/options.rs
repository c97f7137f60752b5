//! Options of a node whose effect shows only while it runs, with values other than the defaults.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

#[path = "support/aside.rs"]
mod aside;
#[path = "support/process.rs"]
mod process;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/zookeeper_server.rs"]
mod zookeeper_server;

use aside::Aside;
use process::{Errors, Node, onyx};
use proxy::{Loss, Proxy};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use zookeeper_server::free_port;

/// A node with these options.
fn start(folder: &Path, options: &[(&str, String)]) -> Node {
    let options = options.iter();
    let options = options.map(|(name, value)| (format!("ONYX_{name}"), value));
    let mut command = onyx(&["start", "--log-format", "json"]);
    command.env("ONYX_HTTP__PORT", "0");
    command.envs(options).current_dir(folder);
    Node::start(&mut command, Errors::Kept)
}

/// A job for which there are never enough peers.
fn waiting_job(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let job = json!({
        "workflow": [["read", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/lines", "path": path("in"),
              "n-peers": 50 },
            { "name": "write", "type": "output", "plugin": "file/json-lines", "path": path("out") },
        ],
    });
    job.to_string()
}

#[test]
fn a_log_is_collected_by_itself_once_it_has_so_many_bytes() {
    const JOBS_MAX: usize = 200;
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in"), "a line\n").unwrap();
    let port = free_port([127, 0, 0, 1].into());
    let mut node = start(
        folder.path(),
        &[
            ("NODE__PEERS", "1".into()),
            ("COORDINATION__EMBEDDED_PORT", port.to_string()),
            ("LOG_COLLECTION__ENTRIES", "0".into()),
            ("LOG_COLLECTION__BYTES", "2000".into()),
        ],
    );
    node.listens();
    let servers = format!("127.0.0.1:{port}");
    let is_collected = || {
        let shown = onyx(&["log", "show", "0", "--connect", &servers]).output();
        let shown = shown.unwrap();
        let told = String::from_utf8(shown.stderr).unwrap();
        shown.status.code() == Some(2) && told.contains("entry 0 was collected")
    };
    let jobs = (0..JOBS_MAX).take_while(|_| {
        let id = node.submit(&waiting_job(folder.path()));
        let killed = ureq::delete(format!("{}/jobs/{id}", node.url())).call();
        assert_eq!(killed.unwrap().status(), 200);
        !is_collected()
    });
    let jobs = jobs.count();
    assert!(jobs < JOBS_MAX, "nobody has collected");
    assert!(jobs > 1, "{jobs} entries are not so many bytes");
}

/// A way to a server on which the first entries that are written are lost; at its end it says how many
/// were.
fn lossy_way(losses: usize) -> Aside<u32> {
    Aside::start(move |tell, stopped| async move {
        let config = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(config).await.unwrap();
        let proxy = Proxy::before(server.address()).await;
        proxy.lose(&vec![Loss::OfTheRequest; losses]);
        tell.send(proxy.connect_string()).unwrap();
        let _ = stopped.await;
        let losses = proxy.losses();
        server.stop().await;
        losses
    })
}

/// When a line of a log was written, within its day.
fn moment(line: &Value) -> Duration {
    let text = line["timestamp"].as_str().unwrap();
    let (_, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    let seconds = time.split(':').fold(0.0, |sum, part| {
        sum * 60.0 + part.parse::<f64>().expect("a number")
    });
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_request_that_is_cut_short_is_sent_as_often_and_as_late_as_configured() {
    const ATTEMPTS: usize = 3;
    const LOSSES: usize = 40;
    const PAUSE_MS: u64 = 400;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let folder = TempDir::new().unwrap();
    // With more losses than there are attempts by default, it is given up in any case.
    let way = lossy_way(LOSSES);
    let mut node = start(
        folder.path(),
        &[
            ("NODE__PEERS", "1".into()),
            ("COORDINATION__MODE", "zookeeper".into()),
            ("COORDINATION__CONNECT", way.address().into()),
            ("COORDINATION__RETRY_ATTEMPTS", ATTEMPTS.to_string()),
            ("COORDINATION__RETRY_PAUSE_MIN_MS", PAUSE_MS.to_string()),
            ("COORDINATION__RETRY_PAUSE_MAX_MS", PAUSE_MS.to_string()),
        ],
    );
    let mut cuts = Vec::new();
    // Other requests are cut short and given up as well.
    while cuts.len() < ATTEMPTS {
        let line = node.process().warns();
        assert!(!line.is_empty(), "it has ended after {cuts:?}");
        let line: Value = serde_json::from_str(&line).unwrap();
        let message = line["message"].as_str().unwrap_or_default();
        if message.starts_with("an entry's outcome is unknown") {
            cuts.push(moment(&line));
        }
    }
    let given_up = loop {
        let line: Value = serde_json::from_str(&node.process().warns()).unwrap();
        let message = line["message"].as_str().unwrap_or_default();
        if message.ends_with("given up") {
            break line;
        }
    };
    assert_eq!(given_up["attempt"], ATTEMPTS, "{given_up}");
    // Midnight may have passed between two of them.
    let paused = |pair: &[Duration]| (pair[1] + DAY - pair[0]).as_millis() % DAY.as_millis();
    let pauses: Vec<u128> = cuts.windows(2).map(paused).collect();
    let long_enough = pauses.iter().all(|pause| *pause >= u128::from(PAUSE_MS));
    assert!(long_enough, "{pauses:?}");
    drop(node);
    assert!(way.stop() >= ATTEMPTS as u32);
}
