//! Coordination that answers late, answers nothing, loses sessions, or holds garbage.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::{incarnation_of, peer_report, restarts};
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::coordination::memory::AppendFault;
use onyx::ids::IdSource;
use onyx::messages::supervision::Exit;
use onyx::replica::Replica;
use onyx::testing::{Setup, TestCluster};
use std::time::Duration;

#[test]
fn garbage_in_the_log_stops_nobody() {
    in_virtual_time(async {
        let (source, sink) = slow(200);
        let registry = registry(&source, &sink);
        let cluster = TestCluster::start(Setup {
            nodes: 2,
            registry,
            ..Setup::default()
        });
        cluster.server().append_raw(b"not an entry".to_vec());
        cluster.joined(8).await.unwrap();
        let job = cluster.submit(line("identity")).await.unwrap();
        let garbage: [&[u8]; 4] = [b"", b"\xc1", &[1, 0x80], &[0xff; 300]];
        for payload in garbage {
            cluster.server().append_raw(payload.to_vec());
            time_passes(Duration::from_millis(30)).await;
        }
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(200));
        for node in 0..2 {
            let report = cluster.node(node).observe().await.unwrap();
            assert_eq!(report.detail["unreadable-entries"], 5);
            assert!(report.children.iter().all(|peer| peer.restarts == 0));
        }
    });
}

/// Outcomes of appends, drawn from a seed.
fn outcomes(seed: u64, n: usize) -> Vec<AppendFault> {
    let mut draws = IdSource::from_seed(seed);
    let mut outcome = || match draws.bits() % 3 {
        0 => AppendFault::None,
        1 => AppendFault::UnknownButStored,
        _ => AppendFault::UnknownAndLost,
    };
    (0..n).map(|_| outcome()).collect()
}

#[test]
fn entries_of_unknown_outcome_are_applied_once_and_not_lost() {
    for seed in 0..20 {
        println!("seed {seed}");
        in_virtual_time(async move {
            let (source, sink) = slow(100);
            let setup = Setup {
                nodes: 2,
                registry: registry(&source, &sink),
                seed,
                ..Setup::default()
            };
            let cluster = TestCluster::start(setup);
            cluster.server().fail_appends(outcomes(seed, 60));
            cluster.joined(8).await.unwrap();
            cluster.server().fail_appends(outcomes(seed + 1_000, 30));
            let job = cluster.submit(line("identity")).await.unwrap();
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
            assert_eq!(sink.ints("n"), all(100));
            let replica = cluster.node(0).snapshot().replica;
            assert_eq!(replica.jobs.completed, [job]);
            assert_eq!(replica.membership.peers.len(), 8);
        });
    }
}

#[test]
fn coordination_that_answers_late_delays_and_breaks_nothing() {
    in_virtual_time(async {
        let (source, sink) = slow(200);
        let registry = registry(&source, &sink);
        let cluster = TestCluster::start(Setup {
            nodes: 2,
            registry,
            ..Setup::default()
        });
        cluster.server().set_delay(Duration::from_millis(300));
        cluster.joined(8).await.unwrap();
        let job = cluster.submit(line("identity")).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(200));
    });
}

#[test]
fn an_interrupted_connection_is_nobodys_death() {
    in_virtual_time(async {
        let (source, sink) = slow(400);
        let cluster = cluster_of(2, 4, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        for written in [0, 100, 390] {
            when_written(&sink, written).await;
            cluster.server().interrupt();
            time_passes(Duration::from_secs(3)).await;
            cluster.server().restore();
        }
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(400));
        for (node, index) in [(0, 0), (0, 3), (1, 1), (1, 2)] {
            assert_eq!(peer_report(cluster.node(node), index).await.restarts, 0);
        }
    });
}

#[test]
fn peers_join_through_interruptions() {
    in_virtual_time(async {
        let cluster = TestCluster::start(Setup {
            nodes: 2,
            ..Setup::default()
        });
        for _ in 0..30 {
            cluster.server().interrupt();
            time_passes(Duration::from_millis(70)).await;
            cluster.server().restore();
            time_passes(Duration::from_millis(60)).await;
        }
        cluster.joined(8).await.unwrap();
        assert_eq!(cluster.server().pulses().len(), 8);
    });
}

#[test]
fn a_node_that_lost_its_session_comes_back_with_other_peers_and_the_job_finishes() {
    for delay in [0, 40] {
        in_virtual_time(async move {
            let (source, sink) = slow(400);
            let cluster = cluster_of(2, 3, registry(&source, &sink)).await;
            cluster.server().set_delay(Duration::from_millis(delay));
            let job = cluster.submit(line("identity")).await.unwrap();
            when_written(&sink, 100).await;
            let old = cluster.node(0).status().await.unwrap().peers;
            cluster.expire_session(0).await;
            let gone = |replica: &Replica| {
                old.iter()
                    .all(|peer| !replica.membership.members.contains_key(peer))
            };
            cluster.until(gone).await.unwrap();
            cluster.joined(6).await.unwrap();
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
            has_every_number(&sink, 400);
            let report = cluster.node(0).observe().await.unwrap();
            assert_eq!(report.detail["session-restarts"], 1);
            let cause = peer_report(cluster.node(0), 1).await.last_cause.unwrap();
            assert!(cause.contains("session"), "{cause}");
            assert_eq!(restarts(cluster.node(0)).await, [("session", 3)]);
            let new = incarnation_of(cluster.node(0), 0).await.unwrap();
            assert!(!old.contains(&new));
            assert_eq!(cluster.server().pulses().len(), 6);
        });
    }
}

#[test]
fn a_lone_node_recovers_from_the_loss_of_its_session() {
    in_virtual_time(async {
        let (source, sink) = slow(200);
        let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        for written in [20, 60, 120] {
            when_written(&sink, written).await;
            cluster.expire_session(0).await;
        }
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        has_every_number(&sink, 200);
    });
}

#[test]
fn a_session_that_is_lost_too_often_ends_the_node() {
    in_virtual_time(async {
        let mut cluster = TestCluster::start(Setup::default());
        for _ in 0..6 {
            cluster.joined(4).await.unwrap();
            cluster.expire_session(0).await;
            time_passes(Duration::from_millis(10)).await;
        }
        let Exit::Failed(cause) = cluster.failed(0).await else {
            panic!("it gave up")
        };
        assert!(cause.contains("the session was lost too often"), "{cause}");
        assert_eq!(cluster.living_actors(), 0);
    });
}

#[test]
fn the_work_of_a_node_that_is_killed_goes_on_elsewhere() {
    in_virtual_time(async {
        let (source, sink) = slow(400);
        let mut cluster = cluster_of(3, 3, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        when_written(&sink, 100).await;
        cluster.kill_node(0).await;
        cluster.joined(6).await.unwrap();
        cluster.add_node();
        cluster.joined(9).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        has_every_number(&sink, 400);
    });
}

#[test]
fn a_peer_that_lags_behind_the_ring_of_steps_jumps() {
    in_virtual_time(async {
        let (source, sink) = slow(100);
        let mut setup = Setup {
            nodes: 2,
            peers: 6,
            registry: registry(&source, &sink),
            ..Setup::default()
        };
        setup.config.peer.step_ring_entries = std::num::NonZeroUsize::new(2).unwrap();
        let cluster = TestCluster::start(setup);
        // Watches take time to place, and meanwhile others write.
        cluster.server().set_delay(Duration::from_millis(100));
        for _ in 0..50 {
            cluster.server().append_raw(b"noise".to_vec());
            time_passes(Duration::from_millis(7)).await;
        }
        cluster.joined(12).await.unwrap();
        let job = cluster.submit(line("identity")).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
        let peer = peer_report(cluster.node(0), 0).await;
        let reader = peer
            .children
            .iter()
            .find(|child| child.detail.get("jumps").is_some());
        assert!(
            reader.unwrap().detail["jumps"].as_u64() > Some(1),
            "it has never lagged"
        );
    });
}

#[test]
fn a_group_that_cannot_prove_its_session_writes_nothing_until_it_can() {
    in_virtual_time(async {
        let (source, sink) = slow(400);
        let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        when_written(&sink, 100).await;
        cluster.server().interrupt();
        // As long as the session lives without a word, nobody else can have the work.
        time_passes(Duration::from_secs(6)).await;
        let written = sink.segments().len();
        assert!(written > 100);
        time_passes(Duration::from_secs(10)).await;
        assert_eq!(sink.segments().len(), written);
        let lease = cluster.node(0).observe().await.unwrap().detail["session-lease"].clone();
        assert_eq!(lease, "ran out");
        cluster.server().restore();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(400));
        for index in 0..4 {
            assert_eq!(peer_report(cluster.node(0), index).await.restarts, 0);
        }
    });
}
