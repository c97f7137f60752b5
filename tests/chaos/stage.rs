//! What the jobs run on: servers of the log, a media driver, and three nodes, all processes.

use crate::namespace::Namespace;
use crate::process::{Errors, Node, Process, onyx, onyx_within, pause};
use crate::zookeeper_server::{Ensemble, free_port};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

pub(crate) const NODES: usize = 3;
/// So that two nodes have one for each of the job's tasks.
const PEERS: u64 = 3;
pub(crate) const SESSION: Duration = Duration::from_secs(4);
pub(crate) const CHECKPOINT: Duration = Duration::from_millis(200);

/// Servers, driver and nodes. They end with the value.
pub(crate) struct Stage {
    nodes: Vec<Option<Node>>,
    driver: Option<Process>,
    pub(crate) servers: Servers,
    namespace: Option<Namespace>,
    folder: PathBuf,
    address: IpAddr,
}

/// Who keeps the log.
pub(crate) enum Servers {
    /// `onyx-node coordination`.
    One { _process: Process, connect: String },
    /// Three of Apache ZooKeeper.
    Three {
        ensemble: Ensemble,
        runtime: Runtime,
    },
}

/// Which servers a stage gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    OneServer,
    Ensemble,
}

impl Stage {
    /// A stage with every node joined. With a namespace, the last node is alone in there, as on a
    /// machine of its own.
    pub(crate) fn set(folder: &Path, log: Log, namespace: Option<Namespace>) -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = namespace.as_ref().map_or(loopback, Namespace::outside);
        let servers = match log {
            Log::OneServer => Servers::one(folder, address),
            Log::Ensemble => Servers::three(namespace.as_ref()),
        };
        let mut stage = Stage {
            nodes: (0..NODES).map(|_| None).collect(),
            driver: None,
            servers,
            namespace,
            folder: folder.to_owned(),
            address,
        };
        stage.start_driver();
        for number in 0..NODES {
            stage.start_node(number);
        }
        stage.is_whole();
        stage
    }

    pub(crate) fn start_driver(&mut self) {
        let log = self.folder.join("driver.log");
        let mut driver = Process::start(
            onyx(&["media-driver"]).envs(self.options()),
            Errors::In(&log),
        );
        driver.says();
        self.driver = Some(driver);
    }

    pub(crate) fn kill_driver(&mut self) {
        self.driver.take().expect("it runs").kill();
    }

    pub(crate) fn start_node(&mut self, number: usize) {
        let log = self.log_of(number);
        let mut options = self.options();
        let around = match &self.namespace {
            Some(namespace) if number == NODES - 1 => {
                options.extend(namespace.options());
                namespace.inside()
            }
            _ => Vec::new(),
        };
        let around: Vec<_> = around.iter().map(String::as_str).collect();
        self.nodes[number] = Some(Node::start(
            onyx_within(&around, &["start"]).envs(options),
            Errors::In(&log),
        ));
    }

    pub(crate) fn kill_node(&mut self, number: usize) {
        let mut node = self.nodes[number].take().expect("it runs");
        node.process().kill();
    }

    pub(crate) fn node(&mut self, number: usize) -> &mut Node {
        self.nodes[number].as_mut().expect("it runs")
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.namespace.as_ref().expect("the stage was set with one")
    }

    /// Waits until every node has all its peers, and every node knows all of them. A process that
    /// has ended by itself needs a human, which is what must not happen.
    pub(crate) fn is_whole(&mut self) {
        for number in 0..NODES {
            self.node(number).listens();
            loop {
                let node = self.node(number);
                let health = node.get("/health/ready").unwrap_or_default();
                let known = node.get("/replica/peers").unwrap_or_default();
                let known = known["peers"].as_array().map_or(0, Vec::len);
                if health["peers-joined"] == PEERS && known as u64 == PEERS * NODES as u64 {
                    break;
                }
                let process = self.node(number).process();
                assert!(
                    process.is_alive(),
                    "node {number} has ended:\n{}",
                    process.end_of_log()
                );
                pause(Duration::from_millis(20));
            }
        }
    }

    /// What a node says of a job.
    pub(crate) fn job(&mut self, number: usize, job: &str) -> Value {
        self.node(number).listens();
        let report = self.node(number).get(&format!("/jobs/{job}"));
        report.unwrap_or_default()
    }

    /// Where in the log peers of a job were last lost, as a node sees it.
    pub(crate) fn last_loss(&mut self, number: usize, job: &str) -> Option<u64> {
        let replica = self.node(number).get("/replica/allocations")?;
        replica["last-loss"][job].as_u64()
    }

    fn log_of(&self, number: usize) -> PathBuf {
        self.folder.join(format!("node-{number}.log"))
    }

    fn options(&self) -> Vec<(String, String)> {
        let number = |value: Duration| value.as_millis().to_string();
        let level = std::env::var("CHAOS_LOG").unwrap_or_else(|_| "info".into());
        [
            ("LOG__LEVEL", level),
            ("NODE__PEERS", PEERS.to_string()),
            ("HTTP__PORT", "0".into()),
            ("COORDINATION__MODE", "zookeeper".into()),
            ("COORDINATION__CONNECT", self.servers.connect()),
            ("COORDINATION__SESSION_TIMEOUT_MS", number(SESSION)),
            ("COORDINATION__CONNECTION_TIMEOUT_MS", "1000".into()),
            ("MESSAGING__TRANSPORT", "aeron".into()),
            ("MESSAGING__DRIVER", "external".into()),
            ("MESSAGING__DRIVER_DIRECTORY", driver_directory()),
            ("MESSAGING__ADDRESS", self.address.to_string()),
            ("MESSAGING__TERM_BYTES", "1048576".into()),
            ("TASK__CHECKPOINT_INTERVAL_MS", number(CHECKPOINT)),
            // Servers may be beyond loopback.
            ("FILES__READ", self.folder.display().to_string()),
            ("FILES__WRITE", self.folder.display().to_string()),
        ]
        .map(|(name, value)| (format!("ONYX_{name}"), value))
        .to_vec()
    }
}

fn driver_directory() -> String {
    format!("/dev/shm/onyx-chaos-{}", std::process::id())
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.nodes.clear();
        self.driver = None;
        // A driver that is killed leaves its directory for the next one.
        let _ = std::fs::remove_dir_all(driver_directory());
    }
}

impl Servers {
    fn one(folder: &Path, address: IpAddr) -> Self {
        let port = free_port(address);
        let listen = format!("{address}:{port}");
        let data = folder.join("coordination").display().to_string();
        let mut words = vec!["coordination", "--listen", &listen, "--data-dir", &data];
        if !address.is_loopback() {
            // Its nodes are in other networks, where no secret is left for them.
            words.extend(["--allow-non-loopback", "--access", "open"]);
        }
        let log = folder.join("coordination.log");
        let mut process = Process::start(&mut onyx(&words), Errors::In(&log));
        process.says();
        Servers::One {
            _process: process,
            connect: listen,
        }
    }

    fn three(namespace: Option<&Namespace>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let loopback = [1, 2, 3].map(|last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
        let addresses = namespace.map_or(loopback, Namespace::servers);
        let ensemble = runtime.block_on(Ensemble::start_at(addresses));
        Servers::Three { ensemble, runtime }
    }

    fn connect(&self) -> String {
        match self {
            Servers::One { connect, .. } => connect.clone(),
            Servers::Three { ensemble, .. } => ensemble.connect_string(),
        }
    }

    /// Kills the server that leads; answers with its number.
    pub(crate) fn kill_leader(&mut self) -> usize {
        let Servers::Three { ensemble, runtime } = self else {
            panic!("one server has no leader");
        };
        runtime.block_on(async {
            let leader = ensemble.leader().await;
            leader.kill();
            let address = leader.address();
            let at =
                |server: &crate::zookeeper_server::ZooKeeperServer| server.address() == address;
            ensemble
                .servers
                .iter()
                .position(at)
                .expect("it is one of them")
        })
    }

    /// Starts a server again.
    pub(crate) fn restart(&mut self, number: usize) {
        let Servers::Three { ensemble, runtime } = self else {
            panic!("the one server was not killed");
        };
        runtime.block_on(ensemble.servers[number].restart());
    }
}
