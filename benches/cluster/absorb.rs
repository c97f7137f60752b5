//! How long an entry takes from a writer in one process to all peers of another.

use crate::report::{figure, millis, quantile};
use onyx::codec::to_payload;
use onyx::config::{ConnectString, CoordinationMode, TenancyId};
use onyx::coordination::Coordination;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::ids::{EntrySource, IdSource, WriterId};
use onyx::log::Entry;
use onyx::log::commands::{Command, KillJob};
use onyx::node::{Node, NodeBuilder};
use onyx::{LogEvent, NodeConfig};
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use zookeeper_embedded::{Config, Server};

const ENTRIES: u64 = 500;
const PEERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(4);
const TENANCY: &str = "absorb";

pub(crate) fn run() {
    onyx::run(async {
        let server = Server::start(Config::default()).await.expect("a server");
        let address = server.connect_string();
        let mut reader = Reader::start(&address).await;
        let connect = Connect::to(address, TENANCY);
        let session = ZooKeeper::connect(&connect).await.expect("a session");
        let mut ids = IdSource::from_seed(3);
        let writer = WriterId(ids.uuid());
        let mut times = Vec::new();
        for sequence in 1..=ENTRIES {
            let source = Some(EntrySource { writer, sequence });
            let entry = Entry {
                source,
                entry_parent: None,
                written_at_ms: None,
                command: Command::KillJob(KillJob::new(ids.job(), None)),
            };
            let payload = to_payload(&entry).expect("it can be written");
            let written = now();
            let position = session.append(payload).await.expect("it is written");
            let absorbed = reader.absorbed(position.0).await;
            times.push(absorbed.saturating_sub(written));
            tokio::time::sleep(PAUSE).await;
        }
        let median = millis(quantile(&mut times, 0.5));
        figure(
            &format!("from one process to {PEERS} peers of another: median"),
            median,
            2.0,
            "ms",
        );
        println!("p99 {:.3} ms", millis(quantile(&mut times, 0.99)));
        reader.end();
        server.stop().await;
    });
}

/// The other process.
struct Reader {
    child: Child,
    /// What it says, read by a thread of its own: the server is served by this one.
    lines: mpsc::UnboundedReceiver<String>,
}

impl Reader {
    async fn start(address: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = std::process::Command::new(program)
            .args(["child", "absorb", address])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let out = child.stdout.take().expect("its output");
        let (said, mut lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines
                .take_while(|line| said.send(line.clone()).is_ok())
                .count()
        });
        assert_eq!(lines.recv().await.as_deref(), Some("ready"));
        Reader { child, lines }
    }

    /// When all of its peers had the entry at a position.
    async fn absorbed(&mut self, position: u64) -> Duration {
        while let Some(line) = self.lines.recv().await {
            let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>());
            if let (Some(Ok(at)), Some(Ok(nanos))) = (numbers.next(), numbers.next())
                && at >= position
            {
                assert_eq!(at, position, "every entry is told of");
                return Duration::from_nanos(nanos);
            }
        }
        panic!("the other process has ended");
    }

    fn end(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it ends");
    }
}

/// Tells of every entry when all peers have absorbed it.
pub(crate) fn child(address: &str) {
    let mut config = NodeConfig::default();
    config.coordination.mode = CoordinationMode::ZooKeeper;
    config.coordination.connect = ConnectString::new(address).expect("an address");
    config.node.tenancy_id = TenancyId::new(TENANCY).expect("a tenancy");
    config.node.peers = NonZeroUsize::new(PEERS).expect("some peers");
    onyx::run(async {
        let node = NodeBuilder::new(config).without_http();
        let node = node.start().await.expect("a node");
        while status(&node).await.0 < PEERS {
            tokio::time::sleep(PAUSE).await;
        }
        println!("ready");
        let mut events = node.handle().subscribe_to_log();
        while let Some(event) = events.next().await {
            let LogEvent::Step(step) = event else {
                continue;
            };
            while status(&node).await.1 > 0 {
                tokio::task::yield_now().await;
            }
            println!("{} {}", step.position, now().as_nanos());
        }
    });
}

/// How many peers are joined, and how far the slowest is behind.
async fn status(node: &Node) -> (usize, u64) {
    let status = node.handle().status().await.expect("a status");
    (status.peers_joined, status.lag_entries)
}

/// The clock that both processes see.
fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
