//! Bugs in the runtime: whichever actor panics, and whenever, the cluster heals and says what was.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::{incarnation_of, peer_report, restarts};
use crate::virtual_time::time_passes;
use onyx::api::{ApiError, JobOutcome, NodeHandle};
use onyx::ids::PeerId;
use onyx::log::commands::{Command, LeaveCluster};
use onyx::messages::supervision::{Child, Exit};
use onyx::replica::Replica;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster, Victim, crash};
use std::time::Duration;

/// When the victim panics.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Everybody is a member, and nothing runs.
    BeforeTheJob,
    /// A task has started, and nothing has been read.
    AtTheStart,
    /// Half of the segments are written.
    InTheMiddle,
    /// Almost all of them are.
    NearTheEnd,
}

const SEGMENTS: i64 = 400;

impl Moment {
    const ALL: [Moment; 4] = [
        Moment::BeforeTheJob,
        Moment::AtTheStart,
        Moment::InTheMiddle,
        Moment::NearTheEnd,
    ];

    fn written(self) -> usize {
        match self {
            Moment::BeforeTheJob | Moment::AtTheStart => 0,
            Moment::InTheMiddle => SEGMENTS as usize / 2,
            Moment::NearTheEnd => SEGMENTS as usize - 5,
        }
    }
}

/// Waits until the peer with an index has died, and its replacement has joined.
async fn replaced(cluster: &TestCluster, index: usize, old: PeerId, peers: usize) {
    let node = cluster.node(0);
    while peer_report(node, index).await.restarts == 0 {
        time_passes(Duration::from_millis(1)).await;
    }
    cluster
        .until(|replica| !replica.membership.members.contains_key(&old))
        .await
        .unwrap();
    cluster.joined(peers).await.unwrap();
}

#[test]
fn peers_that_lost_their_transport_come_back_at_once_however_often() {
    const LOSSES: u64 = 5;
    in_virtual_time(async {
        let (source, sink) = slow(SEGMENTS);
        let cluster = cluster_of(2, 3, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        for loss in 1..=LOSSES {
            when_written(&sink, loss as usize * 20).await;
            let old = cluster.node(0).status().await.unwrap().peers;
            let lost = tokio::time::Instant::now();
            cluster.fail_transport(0);
            let gone = |replica: &Replica| {
                let members = &replica.membership.members;
                old.iter().all(|peer| !members.contains_key(peer))
            };
            cluster.until(gone).await.unwrap();
            cluster.joined(6).await.unwrap();
            // A peer that dies of itself five times waits for up to half a minute.
            let took = lost.elapsed();
            assert!(took < Duration::from_secs(1), "loss {loss}: {took:?}");
        }
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        has_every_number(&sink, SEGMENTS);
        let expected = [("transport", LOSSES * 3)];
        assert_eq!(restarts(cluster.node(0)).await, expected);
    });
}

fn left(cluster: &TestCluster, peer: PeerId) -> bool {
    cluster.commands().iter().any(|command| match command {
        Command::LeaveCluster(leave) => leave.id == peer || leave.also.contains(&peer),
        _ => false,
    })
}

async fn a_panic_is_healed(child: Child, moment: Moment, index: usize) {
    let (source, sink) = slow(SEGMENTS);
    let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
    let old = incarnation_of(cluster.node(0), index).await.unwrap();
    let victim = Victim::Peer { index, child };
    if let Moment::BeforeTheJob = moment {
        assert!(crash(cluster.node(0), victim).await);
    }
    let job = cluster.submit(line("identity")).await.unwrap();
    if !matches!(moment, Moment::BeforeTheJob) {
        when_written(&sink, moment.written()).await;
        assert!(crash(cluster.node(0), victim).await);
    }
    let has_panicked = !matches!((child, moment), (Child::TaskPipeline, Moment::BeforeTheJob));
    if has_panicked {
        replaced(&cluster, index, old, 4).await;
        let report = peer_report(cluster.node(0), index).await;
        let cause = report.last_cause.unwrap();
        assert!(cause.contains("panicked: crashed by a test"), "{cause}");
        assert_eq!(report.restarts, 1);
        assert_eq!(restarts(cluster.node(0)).await, [("panicked", 1)]);
        let new = incarnation_of(cluster.node(0), index).await.unwrap();
        assert_ne!(new, old);
        assert!(left(&cluster, old), "no leave of {old} in the log");
    }
    assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
    has_every_number(&sink, SEGMENTS);
    let pulses = cluster.server().pulses();
    assert!(
        !has_panicked || !pulses.contains(&old),
        "the pulse of {old} is left"
    );
    assert_eq!(pulses.len(), 4);
}

/// Every moment, and every peer of the job: input, function, output, and one more of these.
fn panics_are_healed(child: Child) {
    for moment in Moment::ALL {
        for index in 0..4 {
            println!("{child} of peer {index}, {moment:?}");
            in_virtual_time(a_panic_is_healed(child, moment, index));
        }
    }
}

#[test]
fn a_panic_of_an_outbox_is_healed() {
    panics_are_healed(Child::Outbox);
}

#[test]
fn a_panic_of_a_pulse_watcher_is_healed() {
    panics_are_healed(Child::PulseWatcher);
}

#[test]
fn a_panic_of_an_acking_daemon_is_healed() {
    panics_are_healed(Child::AckingDaemon);
}

#[test]
fn a_panic_of_a_log_reader_is_healed() {
    panics_are_healed(Child::LogReader);
}

#[test]
fn a_panic_of_a_task_pipeline_is_healed() {
    panics_are_healed(Child::TaskPipeline);
}

#[test]
fn a_panic_of_a_virtual_peer_is_healed() {
    panics_are_healed(Child::VirtualPeer);
}

#[test]
fn the_end_of_the_group_ends_the_node_with_its_cause_and_leaves_nobody_behind() {
    in_virtual_time(async {
        let (source, sink) = slow(SEGMENTS);
        let mut cluster = cluster_of(1, 4, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        when_written(&sink, 100).await;
        crash(cluster.node(0), Victim::Group).await;
        // Whoever waits for a job there does not wait for ever.
        let outcome = cluster.node(0).await_job_completion(job).await;
        assert_eq!(outcome, Err(ApiError::NodeEnded));
        let Exit::Panicked(cause) = cluster.failed(0).await else {
            panic!("it has panicked")
        };
        assert!(cause.contains("crashed by a test"), "{cause}");
        time_passes(Duration::from_secs(60)).await;
        assert_eq!(cluster.living_actors(), 0);
        assert!(sink.segments().len() < SEGMENTS as usize);
    });
}

#[test]
fn a_group_whose_outbox_panics_goes_on_with_another() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(50), Sink::default());
        let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
        assert!(crash(cluster.node(0), Victim::GroupOutbox).await);
        // A request barrier: the death notice is ahead of it.
        time_passes(Duration::from_millis(1)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(50));
    });
}

#[test]
fn what_the_panicked_outbox_of_a_group_had_to_write_is_written_by_the_next() {
    in_virtual_time(async {
        // The only peer of the cluster: nobody else could say that it is gone.
        let cluster = TestCluster::start(Setup {
            peers: 1,
            ..Setup::default()
        });
        cluster.joined(1).await.unwrap();
        let old = incarnation_of(cluster.node(0), 0).await.unwrap();
        let before = cluster.commands().len();
        // Its outbox cannot write the leave before it dies itself.
        cluster.server().interrupt();
        let child = Child::LogReader;
        crash(cluster.node(0), Victim::Peer { index: 0, child }).await;
        time_passes(Duration::from_millis(1)).await;
        crash(cluster.node(0), Victim::GroupOutbox).await;
        time_passes(Duration::from_millis(1)).await;
        cluster.server().restore();
        replaced(&cluster, 0, old, 1).await;
        // And not because the next incarnation found nobody to join.
        let first = &cluster.commands()[before];
        assert_eq!(*first, Command::LeaveCluster(LeaveCluster::of(old)));
    });
}

async fn budget_is_spent(node: &NodeHandle) {
    for _ in 0..6 {
        crash(node, Victim::GroupOutbox).await;
        time_passes(Duration::from_millis(1)).await;
    }
}

#[test]
fn an_outbox_that_panics_too_often_ends_the_group_with_the_cause() {
    in_virtual_time(async {
        let mut cluster = TestCluster::start(Setup::default());
        cluster.joined(4).await.unwrap();
        budget_is_spent(cluster.node(0)).await;
        let Exit::Failed(cause) = cluster.failed(0).await else {
            panic!("it gave up")
        };
        assert!(
            cause.contains("too often") && cause.contains("crashed by a test"),
            "{cause}"
        );
        assert_eq!(cluster.living_actors(), 0);
    });
}
