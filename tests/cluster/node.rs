//! A node as it runs: its own threads, real time, files, and an embedded coordination server over
//! loopback.

use crate::flights::{ROWS, config, flights, joined, passing, start, written};
use crate::reports::{ACTORS, peer_report, restarts};
use onyx::Segment;
use onyx::actors::held_tasks::Hold;
use onyx::api::{JobOutcome, NodeHandle};
use onyx::config::{ConnectString, CoordinationMode, NodeConfig};
use onyx::coordination::Layout;
use onyx::ids::{JobId, PeerId};
use onyx::job::{Job, Lifecycle, LifecycleTarget};
use onyx::messages::supervision::{Child, Exit};
use onyx::node::Node;
use onyx::task::lifecycles::LifecycleCalls;
use onyx::task::registry::Registry;
use onyx::testing::{Victim, crash};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Notify;
use zookeeper_embedded::Server;

/// A node that has done a quarter of a job.
struct Working {
    node: Node,
    job: JobId,
    folder: TempDir,
}

impl Working {
    async fn start(config: NodeConfig) -> Self {
        let folder = TempDir::new().unwrap();
        let (registry, passed) = passing(ROWS / 4);
        let node = start(config, registry).await;
        joined(node.handle(), 4).await;
        let job = flights(folder.path());
        let job = node.handle().submit_job(job).await.unwrap();
        passed.notified().await;
        Working { node, job, folder }
    }

    /// The node; the ids that its job has written once it is completed, and how many lines.
    async fn completes(self) -> (Node, BTreeSet<i64>, usize) {
        completes(&self.node, self.job).await;
        let (ids, lines) = written(self.folder.path());
        (self.node, ids, lines)
    }
}

async fn completes(node: &Node, job: JobId) {
    let outcome = node.handle().await_job_completion(job).await.unwrap();
    assert_eq!(outcome, JobOutcome::Completed);
}

/// A server of its own, and a node's way to it.
async fn on_a_server() -> (Server, NodeConfig) {
    let server = Server::start(zookeeper_embedded::Config::default());
    let server = server.await.unwrap();
    let mut config = config();
    config.coordination.mode = CoordinationMode::ZooKeeper;
    config.coordination.connect = ConnectString::new(&server.connect_string()).unwrap();
    (server, config)
}

async fn peers(node: &Node) -> BTreeSet<PeerId> {
    let status = node.handle().status().await.unwrap();
    status.peers.into_iter().collect()
}

/// Why the peers of a node were last restarted.
async fn causes(node: &Node, peers: usize) -> Vec<String> {
    let mut causes = Vec::new();
    for index in 0..peers {
        causes.extend(peer_report(node.handle(), index).await.last_cause);
    }
    causes
}

async fn a_panic_is_healed(child: Child, index: usize) {
    let working = Working::start(config()).await;
    assert!(crash(working.node.handle(), Victim::Peer { index, child }).await);
    let (node, ids, lines) = working.completes().await;
    assert_eq!(ids, (0..ROWS).collect());
    assert!(lines >= ids.len());
    joined(node.handle(), 4).await;
    let report = peer_report(node.handle(), index).await;
    assert_eq!(report.restarts, 1);
    let cause = report.last_cause.unwrap();
    assert!(cause.contains("panicked: crashed by a test"), "{cause}");
    node.stop().await.unwrap();
}

#[test]
fn a_running_node_heals_a_panic_of_each_of_its_actors() {
    for (at, child) in ACTORS.into_iter().enumerate() {
        println!("{child} of peer {}", at % 4);
        onyx::run(a_panic_is_healed(child, at % 4));
    }
}

#[test]
fn a_node_without_faults_writes_every_row_once() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let (registry, _) = passing(1);
        let node = start(config(), registry).await;
        let job = flights(folder.path());
        let job = node.handle().submit_job(job).await.unwrap();
        completes(&node, job).await;
        assert_eq!(written(folder.path()), ((0..ROWS).collect(), ROWS as usize));
        node.stop().await.unwrap();
    });
}

#[test]
fn the_end_of_the_group_of_a_running_node_is_told_with_its_cause() {
    onyx::run(async {
        let mut node = start(config(), Registry::with_built_in()).await;
        crash(node.handle(), Victim::Group).await;
        let Exit::Panicked(cause) = node.failed().await else {
            panic!("it has panicked")
        };
        assert!(cause.contains("crashed by a test"), "{cause}");
    });
}

#[test]
fn a_cut_connection_is_nobodys_death() {
    onyx::run(async {
        let (server, config) = on_a_server().await;
        let working = Working::start(config).await;
        server.cut_connections();
        let (node, ids, lines) = working.completes().await;
        assert_eq!((ids, lines), ((0..ROWS).collect(), ROWS as usize));
        for index in 0..4 {
            assert_eq!(peer_report(node.handle(), index).await.restarts, 0);
        }
        node.stop().await.unwrap();
        server.stop().await;
    });
}

/// Ends the session of a node on a server, as if its time were up.
async fn expire_session(node: &NodeHandle, server: &Server) {
    let peer = node.status().await.unwrap().peers[0];
    let pulse = Layout::of("default").pulse(peer);
    let client = zookeeper_client::Client::connect(&server.connect_string())
        .await
        .unwrap();
    let stat = client.check_stat(&pulse).await.unwrap().unwrap();
    assert!(server.expire_session(stat.ephemeral_owner));
}

#[test]
fn a_running_node_that_loses_its_session_finishes_the_job_with_other_peers() {
    onyx::run(async {
        let (server, config) = on_a_server().await;
        let working = Working::start(config).await;
        let old = peers(&working.node).await;
        expire_session(working.node.handle(), &server).await;
        let (node, ids, _) = working.completes().await;
        assert_eq!(ids, (0..ROWS).collect());
        joined(node.handle(), 4).await;
        assert!(old.is_disjoint(&peers(&node).await));
        node.stop().await.unwrap();
        server.stop().await;
    });
}

#[test]
fn a_node_whose_log_is_lost_ends_and_says_so() {
    onyx::run(async {
        let (server, mut config) = on_a_server().await;
        let address = server.address();
        config.coordination.session_timeout = Duration::from_secs(1);
        let mut node = start(config, Registry::with_built_in()).await;
        joined(node.handle(), 4).await;
        server.stop().await;
        // It comes back where it was, with nothing of what it had.
        let empty = zookeeper_embedded::Config {
            address,
            ..zookeeper_embedded::Config::default()
        };
        let server = Server::start(empty).await.unwrap();
        let exit = node.failed().await.to_string();
        assert!(exit.contains("coordination lost its data"), "{exit}");
        server.stop().await;
    });
}

#[test]
fn a_log_subscription_ends_when_its_node_stops_although_a_handle_lives() {
    onyx::run(async {
        let node = start(config(), Registry::with_built_in()).await;
        joined(node.handle(), 4).await;
        let handle = node.handle().clone();
        let mut log = handle.subscribe_to_log();
        node.stop().await.unwrap();
        while log.next().await.is_some() {}
        assert!(handle.observe().await.is_err());
    });
}

/// What hangs the first time that it is called, until the other end is gone.
fn hang_once() -> (mpsc::Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (release, released) = mpsc::channel::<()>();
    let (released, hung) = (std::sync::Mutex::new(released), AtomicBool::new(false));
    let hang = move || {
        if !hung.swap(true, Ordering::SeqCst) {
            let _ = released.lock().map(|released| released.recv());
        }
    };
    (release, hang)
}

/// A job in which a task hangs is completed by those who come after it.
async fn goes_on(registry: Registry, change: impl FnOnce(&mut Job), release: mpsc::Sender<()>) {
    let folder = TempDir::new().unwrap();
    let mut config = config();
    config.peer.stuck_after = Duration::from_millis(500);
    // One for each task: with another peer the job would complete without the one that hangs.
    config.node.peers = NonZeroUsize::new(4).unwrap();
    let node = start(config, registry).await;
    joined(node.handle(), 4).await;
    let mut job = flights(folder.path());
    change(&mut job);
    let job = node.handle().submit_job(job).await.unwrap();
    completes(&node, job).await;
    assert_eq!(written(folder.path()).0, (0..ROWS).collect());
    let restarts = restarts(node.handle()).await;
    assert!(
        restarts.iter().any(|(reason, _)| *reason == "stuck"),
        "{restarts:?}"
    );
    let causes = causes(&node, 4).await;
    let abandoned = "a task was stuck in user code; it is abandoned";
    assert!(causes.iter().any(|cause| cause == abandoned), "{causes:?}");
    drop(release);
    node.stop().await.unwrap();
}

#[test]
fn a_task_that_hangs_while_its_job_runs_is_abandoned_and_the_job_goes_on() {
    onyx::run(async {
        let (mut registry, _) = passing(1);
        let (release, hang) = hang_once();
        let functions = &mut registry.functions;
        functions.function("hangs-once", move |segment: Segment| {
            hang();
            segment
        });
        let hangs = |job: &mut Job| job.catalog[1].function = Some("hangs-once".into());
        goes_on(registry, hangs, release).await;
    });
}

#[test]
fn a_task_that_hangs_before_it_starts_is_abandoned_and_the_job_goes_on() {
    onyx::run(async {
        let (mut registry, _) = passing(1);
        let (release, hang) = hang_once();
        let calls = LifecycleCalls {
            before_task_start: Some(Arc::new(move |_| {
                hang();
                Ok(())
            })),
            ..LifecycleCalls::default()
        };
        registry.lifecycles.register("hangs-once", calls);
        let hangs = |job: &mut Job| {
            job.lifecycles.push(Lifecycle {
                task: LifecycleTarget::Task(job.catalog[1].name.clone()),
                calls: "hangs-once".into(),
            });
        };
        goes_on(registry, hangs, release).await;
    });
}

/// A node whose function `stuck` does not return before the other end is gone, and tells when it is
/// called.
async fn with_stuck_function(mut config: NodeConfig) -> (Node, Arc<Notify>, mpsc::Sender<()>) {
    let (mut registry, _) = passing(1);
    let (release, released) = mpsc::channel::<()>();
    let (released, called) = (std::sync::Mutex::new(released), Arc::new(Notify::new()));
    let notify = Arc::clone(&called);
    registry
        .functions
        .function("stuck", move |segment: Segment| {
            notify.notify_one();
            let _ = released.lock().map(|released| released.recv());
            segment
        });
    config.node.peers = NonZeroUsize::new(4).unwrap();
    let node = start(config, registry).await;
    joined(node.handle(), 4).await;
    (node, called, release)
}

fn stuck(folder: &TempDir) -> Job {
    let mut job = flights(folder.path());
    job.catalog[1].function = Some("stuck".into());
    job
}

/// Kills a job with a stuck task, and waits until its peer has gone on without it.
async fn kills(node: &Node, job: JobId) -> String {
    node.handle().kill_job(job).await.unwrap();
    loop {
        let report = node.handle().job(job).await.unwrap();
        let mut held = report.held_tasks.iter();
        if held.any(|held| held.hold == Hold::Abandoned) {
            return report.summary.why;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_killed_task_that_does_not_return_leaves_its_peer_to_the_next_job() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        // The default of `stuck_after` is two minutes, and a job needs all four peers.
        let (node, called, release) = with_stuck_function(config()).await;
        let before = peers(&node).await;
        let job = node.handle().submit_job(stuck(&folder)).await.unwrap();
        called.notified().await;
        let why = kills(&node, job).await;
        let next = node.handle().submit_job(flights(folder.path())).await;
        completes(&node, next.unwrap()).await;
        assert_eq!(written(folder.path()).0, (0..ROWS).collect());
        let expected = "killed by a client; task pass (slot 0) has been in function stuck for ";
        assert!(why.starts_with(expected), "{why}");
        // The peer goes on under its id: its death would be a loss for the next job.
        assert_eq!(peers(&node).await, before);
        assert_eq!(restarts(node.handle()).await, []);
        let measured = || async { node.handle().measurements().await.unwrap().abandoned_tasks };
        assert_eq!(measured().await, 1);
        let tree = node.handle().observe().await.unwrap().detail;
        assert_eq!(tree["held-tasks"][0]["call"], "in function stuck", "{tree}");
        drop(release);
        while measured().await > 0 {
            tokio::task::yield_now().await;
        }
        node.stop().await.unwrap();
    });
}

#[test]
fn a_node_with_too_many_abandoned_tasks_is_not_ready_and_abandons_no_more() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let mut config = config();
        config.peer.abandoned_tasks_max = NonZeroUsize::MIN;
        let (node, called, release) = with_stuck_function(config).await;
        let submit = || async { node.handle().submit_job(stuck(&folder)).await.unwrap() };
        let first = submit().await;
        called.notified().await;
        kills(&node, first).await;
        let reasons = node.handle().status().await.unwrap().not_ready;
        assert!(
            reasons[0].contains("peer.abandoned-tasks-max = 1"),
            "{reasons:?}"
        );
        // The peer of the second has no other task before that one returns.
        let second = submit().await;
        called.notified().await;
        node.handle().kill_job(second).await.unwrap();
        let third = node
            .handle()
            .submit_job(flights(folder.path()))
            .await
            .unwrap();
        let held = |hold: Hold| {
            let node = &node;
            async move {
                let report = node.handle().job(second).await.unwrap();
                report.held_tasks.iter().any(|held| held.hold == hold)
            }
        };
        while !held(Hold::Running).await {
            tokio::task::yield_now().await;
        }
        assert!(!held(Hold::Abandoned).await);
        drop(release);
        completes(&node, third).await;
        assert!(node.handle().status().await.unwrap().is_ready());
        node.stop().await.unwrap();
    });
}

#[test]
fn a_node_with_a_stuck_task_stops_in_order() {
    onyx::run(async {
        let folder = TempDir::new().unwrap();
        let (node, called, release) = with_stuck_function(config()).await;
        node.handle().submit_job(stuck(&folder)).await.unwrap();
        called.notified().await;
        // It would say which peers did not drain within `shutdown.drain-ms`.
        node.stop().await.unwrap();
        drop(release);
    });
}
