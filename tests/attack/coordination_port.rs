//! A local user without the secret at the coordination port: idle connections keep no client out, and
//! nothing is read or deleted.

use crate::process::{Errors, Node, Process, onyx};
use crate::scale::scaled;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Builder;
use zookeeper_client::{Client, Error, SessionState};

/// A coordination server, and a node that has found its secret by itself.
struct Cluster {
    _server: Process,
    address: String,
    node: Node,
    folder: TempDir,
}

impl Cluster {
    fn start(words: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data").display().to_string();
        let fixed = [
            "coordination",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &data,
        ];
        let log = folder.path().join("coordination.log");
        let mut command = onyx(&[&fixed, words].concat());
        let mut server = Process::start(&mut command, Errors::In(&log));
        let said = server.says();
        let address = said.split([' ', ',']).nth(3).unwrap().to_owned();

        let mut command = onyx(&["start", "--log-level", "warn"]);
        command.env("ONYX_HTTP__PORT", "0");
        command.env("ONYX_COORDINATION__MODE", "zookeeper");
        command.env("ONYX_COORDINATION__CONNECT", &address);
        let mut node = Node::start(&mut command, Errors::In(&folder.path().join("node.log")));
        node.listens();
        Cluster {
            _server: server,
            address,
            node,
            folder,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("coordination.log")).unwrap()
    }

    /// What `onyx-node log tail` of the user of the server prints.
    fn tail(&self) -> String {
        let words = ["log", "tail", "--no-follow", "--connect", &self.address];
        let shown = onyx(&words).output().unwrap();
        assert!(shown.status.success(), "{shown:?}");
        String::from_utf8(shown.stdout).unwrap()
    }

    /// Runs a job to its end.
    fn run_job(&self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        fs::write(path("in"), "a line\n").unwrap();
        let job = format!(
            "workflow: [[read, write]]\ncatalog:\n  - {{ name: read, type: input, plugin: \
             file/lines, path: {} }}\n  - {{ name: write, type: output, plugin: file/json-lines, \
             path: {} }}\n",
            path("in"),
            path("out")
        );
        let id = self.node.submit(&job);
        loop {
            let job = self.node.get(&format!("/jobs/{id}?wait-ms=1000")).unwrap();
            match job["state"].as_str() {
                Some("completed") => return,
                Some("killed") => panic!("{job}"),
                _ => {}
            }
        }
    }
}

#[test]
fn idle_connections_to_the_coordination_port_keep_no_client_out() {
    let cluster = Cluster::start(&["--handshake-ms", "600000"]);
    let idle: Vec<TcpStream> = (0..scaled(300, 1000))
        .map(|_| TcpStream::connect(&cluster.address).unwrap())
        .collect();
    // Half of a handshake is no session either.
    for mut stream in &idle {
        // The server may have closed it already.
        let _ = stream.write_all(&[0, 0, 0, 45, 0]);
    }
    assert!(!cluster.tail().is_empty());
    cluster.run_job();
    let log = cluster.log();
    assert!(log.contains("turned connections away"), "{log}");
    assert!(log.contains("address=127.0.0.1"), "{log}");
    let lines = log.matches("turned connections away").count();
    assert!(lines < idle.len() / 10, "{lines} lines:\n{log}");
}

#[test]
fn a_connection_that_says_nothing_is_closed_within_seconds() {
    let cluster = Cluster::start(&["--handshake-ms", "200"]);
    let mut idle: Vec<TcpStream> = (0..scaled(30, 90))
        .map(|_| TcpStream::connect(&cluster.address).unwrap())
        .collect();
    for stream in &mut idle {
        // The end of the stream, or a reset.
        let _ = stream.read(&mut [0]);
    }
    assert!(!cluster.tail().is_empty());
    let log = cluster.log();
    assert!(
        log.contains("it asked for no session within 200ms"),
        "{log}"
    );
}

/// Tries what a client of the log does, without its secret.
async fn trespass(address: &str, login: Option<&str>) {
    let connector = Client::connector().with_session_timeout(Duration::from_secs(10));
    let connector = match login {
        Some(login) => connector.with_auth("digest", login.as_bytes()),
        None => connector,
    };
    let Ok(client) = connector.connect(address).await else {
        return;
    };
    let is_refused = |error: Option<Error>| {
        let error = error.expect("it is refused");
        let known = [Error::NoAuth, Error::AuthFailed];
        let is_over = client.state() == SessionState::AuthFailed;
        assert!(known.contains(&error) || is_over, "{error}");
    };
    is_refused(client.list_children("/").await.err());
    for path in ["/onyx", "/onyx/default", "/onyx/default/log"] {
        is_refused(client.list_children(path).await.err());
        is_refused(client.get_data(path).await.err());
        is_refused(client.delete(path, None).await.err());
        is_refused(client.set_data(path, b"mine", None).await.err());
    }
    let mut deletes = client.new_multi_writer();
    deletes.add_delete("/onyx/default", None).unwrap();
    assert!(deletes.commit().await.is_err());
}

#[test]
fn without_the_secret_nothing_of_the_log_is_read_or_deleted() {
    let cluster = Cluster::start(&[]);
    cluster.run_job();
    let before = cluster.tail();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for login in [None, Some("onyx:guess"), Some("mallory:mine")] {
            trespass(&cluster.address, login).await;
        }
    });
    assert!(cluster.tail().starts_with(&before));
    cluster.run_job();
    assert_eq!(mode(&cluster.folder.path().join("data")), 0o700);
    assert_eq!(mode(&cluster.folder.path().join("data/secret")), 0o600);
}

#[test]
fn what_an_operator_may_ask_without_the_secret_tells_only_that_it_lives() {
    let cluster = Cluster::start(&[]);
    for (word, expected) in [("ruok", "imok"), ("stat", "stat is not executed")] {
        let mut stream = TcpStream::connect(&cluster.address).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(expected), "{word}: {answer}");
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
