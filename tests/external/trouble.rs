//! A node with a running job, and something that happens in the middle of it.

use crate::flights::{ROWS, config, flights, joined, passing_slowly, start, written};
use crate::proxy::{Network, Proxy};
use onyx::api::{JobOutcome, NodeHandle};
use onyx::clock::Clock;
use onyx::config::{ConnectString, CoordinationMode, NodeConfig};
use onyx::coordination::Layout;
use onyx::ids::PeerId;
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;
use zookeeper_client::{Client, EventType};

/// What is left of a node's peers after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    /// The session has lived, and with it all peers.
    AreTheSame,
    /// The session has ended; others have taken the places of all.
    AreOthers,
}

/// A configuration for servers, with sessions that end soon enough for a test.
pub(crate) fn at(servers: &str) -> NodeConfig {
    let mut config = config();
    config.node.peers = 4.try_into().unwrap();
    config.coordination.mode = CoordinationMode::ZooKeeper;
    config.coordination.connect = ConnectString::new(servers).unwrap();
    config
}

/// The configuration with sessions of two seconds.
fn with_short_sessions(mut config: NodeConfig) -> NodeConfig {
    config.coordination.session_timeout = Duration::from_secs(2);
    config.coordination.connection_timeout = Duration::from_millis(800);
    config
}

async fn peers(node: &NodeHandle) -> BTreeSet<PeerId> {
    node.status().await.unwrap().peers.into_iter().collect()
}

/// Runs a job, and lets something happen when a quarter of it is done. Afterwards every row is
/// there, and the node has all its peers.
pub(crate) async fn every_row_is_written<F: Future<Output = ()>>(
    config: NodeConfig,
    trouble: impl FnOnce(NodeHandle) -> F,
    expected: Peers,
) {
    let folder = TempDir::new().unwrap();
    let count = config.node.peers.get();
    let (registry, passed) = passing_slowly(ROWS / 4);
    let node = start(config, registry).await;
    joined(node.handle(), count).await;
    let old = peers(node.handle()).await;
    let job = flights(folder.path());
    let job = node.handle().submit_job(job).await.unwrap();
    passed.notified().await;
    let clock = Clock::start();
    trouble(node.handle().clone()).await;
    let over = clock.now().0;
    let outcome = node.handle().await_job_completion(job).await.unwrap();
    let done = clock.now().0;
    assert_eq!(outcome, JobOutcome::Completed);
    let (ids, lines) = written(folder.path());
    assert_eq!(ids, (0..ROWS).collect());
    println!("trouble {over} ms, job done after {done} ms, {lines} lines of {ROWS} rows");
    joined(node.handle(), count).await;
    let new = peers(node.handle()).await;
    match expected {
        Peers::AreTheSame => {
            assert_eq!(old, new);
            assert_eq!(lines as i64, ROWS);
        }
        Peers::AreOthers => assert!(old.is_disjoint(&new)),
    }
    node.stop().await.unwrap();
}

/// The same, when somebody closes the session of a node behind a proxy.
pub(crate) async fn every_row_is_written_when_the_session_is_closed(proxy: &Proxy, servers: &str) {
    let config = at(&proxy.connect_string());
    let trouble = async |node| {
        let session = session_of(&node, servers).await;
        assert!(proxy.end_session(session).await);
    };
    every_row_is_written(config, trouble, Peers::AreOthers).await;
}

/// The same, when a node and the servers hear nothing of each other until the servers have let its
/// session expire, as they do by themselves when its time is up.
pub(crate) async fn every_row_is_written_when_the_session_expires(mut proxy: Proxy, servers: &str) {
    let config = with_short_sessions(at(&proxy.connect_string()));
    let trouble = async |node: NodeHandle| {
        let pulse = pulse_of(&node).await;
        let client = Client::connect(servers).await.unwrap();
        proxy.set(Network::Silent).await;
        let (stat, watch) = client.check_and_watch_stat(&pulse).await.unwrap();
        if stat.is_some() {
            let ended = watch.changed().await;
            assert_eq!(ended.event_type, EventType::NodeDeleted);
        }
        proxy.set(Network::Works).await;
    };
    every_row_is_written(config, trouble, Peers::AreOthers).await;
}

/// The pulse of one of a node's peers, which ends with the session of all of them.
async fn pulse_of(node: &NodeHandle) -> String {
    let peer = node.status().await.unwrap().peers[0];
    Layout::of("default").pulse(peer)
}

/// The session of a node, as the server numbers it.
async fn session_of(node: &NodeHandle, servers: &str) -> i64 {
    let pulse = pulse_of(node).await;
    let client = Client::connect(servers).await.unwrap();
    let stat = client.check_stat(&pulse).await.unwrap().unwrap();
    stat.ephemeral_owner
}
