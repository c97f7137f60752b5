//! Jobs that share peers, wait for them, and give them back; peers and nodes that stop.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::{incarnation_of, peer_report};
use crate::virtual_time::time_passes;
use onyx::api::{ApiError, JobOutcome};
use onyx::ids::{IdSource, JobId, PeerId};
use onyx::job::{Job, Task};
use onyx::log::commands::Command;
use onyx::messages::supervision::Child;
use onyx::replica::Replica;
use onyx::task::lifecycles::LifecycleCalls;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Victim, crash};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn running(job: JobId) -> impl Fn(&Replica) -> bool {
    move |replica| replica.peer_count(job) > 0
}

#[test]
fn two_jobs_share_the_peers_fairly() {
    in_virtual_time(async {
        let (source, sink) = slow(300);
        let cluster = cluster_of(1, 10, registry(&source, &sink)).await;
        let first = cluster.submit(line("identity")).await.unwrap();
        assert_eq!(cluster.node(0).snapshot().replica.peer_count(first), 10);
        time_passes(Duration::from_millis(100)).await;
        let begin = tokio::time::Instant::now();
        let second = cluster.submit(line("identity")).await.unwrap();
        let replica = cluster.node(0).snapshot().replica;
        assert_eq!(
            (replica.peer_count(first), replica.peer_count(second)),
            (5, 5)
        );
        for job in [first, second] {
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        }
        // What a peer took along when it changed its job is played again at once.
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "{:?}",
            begin.elapsed()
        );
        let mut written = sink.ints("n");
        assert!(written.len() >= 600);
        written.dedup();
        assert_eq!(written, all(300));
        // A change of tasks costs no membership.
        for index in 0..10 {
            assert_eq!(peer_report(cluster.node(0), index).await.restarts, 0);
        }
        let leaves = |command: &Command| matches!(command, Command::LeaveCluster(_));
        assert!(!cluster.commands().iter().any(leaves));
    });
}

#[test]
fn a_job_that_needs_more_peers_waits_says_so_and_starts_when_they_come() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
        let mut wide = line("identity");
        wide.catalog[1].min_peers = count(3);
        let job = cluster.submit(wide).await.unwrap();
        assert_eq!(cluster.node(0).snapshot().replica.peer_count(job), 0);
        let why = cluster.node(0).explain(job);
        assert_eq!(why, "waits: needs 5 peers, 4 are joined");
        cluster.node(0).start_peers(1).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
    });
}

#[test]
fn a_killed_job_stops_and_its_peers_take_other_work() {
    in_virtual_time(async {
        let (source, sink) = slow(1_000);
        let cluster = cluster_of(1, 3, registry(&source, &sink)).await;
        let job = cluster.submit(line("identity")).await.unwrap();
        let next = cluster.submit(line("identity")).await.unwrap();
        assert_eq!(
            cluster.node(0).snapshot().replica.peer_count(next),
            0,
            "it waits"
        );
        time_passes(Duration::from_millis(500)).await;
        cluster.node(0).kill_job(job).await.unwrap();
        assert_eq!(
            cluster.await_job(job).await.unwrap(),
            JobOutcome::Killed(Some("killed by a client".into()))
        );
        assert!(sink.segments().len() < 1_000);
        cluster.until(running(next)).await.unwrap();
        assert_eq!(
            cluster.await_job(next).await.unwrap(),
            JobOutcome::Completed
        );
        let never = IdSource::from_seed(99).job();
        assert_eq!(
            cluster.node(0).kill_job(never).await,
            Err(ApiError::UnknownJob(never))
        );
    });
}

#[test]
fn a_peer_that_is_stopped_leaves_and_the_job_goes_on() {
    in_virtual_time(async {
        for index in 0..4 {
            let (source, sink) = slow(200);
            let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
            let job = cluster.submit(line("identity")).await.unwrap();
            when_written(&sink, 50).await;
            let peer = incarnation_of(cluster.node(0), index).await.unwrap();
            cluster.node(0).stop_peer(peer).await.unwrap();
            cluster.joined(3).await.unwrap();
            assert_eq!(cluster.server().pulses().len(), 3);
            assert_eq!(
                cluster.node(0).stop_peer(peer).await,
                Err(ApiError::NotMyPeer(peer))
            );
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
            has_every_number(&sink, 200);
            let status = cluster.node(0).status().await.unwrap();
            assert!(status.is_ready(), "{:?}", status.not_ready);
            assert_eq!(status.peers_wanted, 3);
        }
    });
}

#[test]
fn a_peer_that_is_stopping_starts_nothing_whatever_it_reads() {
    in_virtual_time(async {
        let (source, sink) = slow(1_000);
        let mut registry = registry(&source, &sink);
        let starts: Arc<Mutex<Vec<PeerId>>> = Arc::default();
        let started = Arc::clone(&starts);
        let calls = LifecycleCalls {
            before_task_start: Some(Arc::new(move |event| {
                started.lock().unwrap().push(event.peer);
                Ok(())
            })),
            ..LifecycleCalls::default()
        };
        registry.lifecycles.register("note", calls);
        let cluster = cluster_of(1, 3, registry).await;
        let job = with_calls(line("identity"), "in", "note");
        cluster.submit(job).await.unwrap();
        when_written(&sink, 50).await;
        let reader = starts.lock().unwrap()[0];
        // Its last position takes a while to be saved, and others write meanwhile.
        cluster.server().set_delay(Duration::from_millis(100));
        let noise = async {
            for _ in 0..100 {
                cluster.server().append_raw(b"noise".to_vec());
                time_passes(Duration::from_millis(5)).await;
            }
        };
        let stop = async {
            time_passes(Duration::from_millis(250)).await;
            cluster.node(0).stop_peer(reader).await
        };
        let (stopped, ()) = tokio::join!(stop, noise);
        stopped.unwrap();
        assert_eq!(*starts.lock().unwrap(), [reader]);
    });
}

/// The input, a task of three parts, loses a peer: the parts are cut anew, and nothing is left out.
fn in_parts() -> Job {
    let wide = Task {
        min_peers: count(3),
        max_peers: Some(count(3)),
        ..input("in")
    };
    let narrow = Task {
        max_peers: Some(count(1)),
        ..output("out")
    };
    job("in>out", [wide, narrow])
}

#[test]
fn an_input_that_is_read_in_parts_misses_nothing_when_a_peer_comes_or_goes() {
    in_virtual_time(async {
        for index in 0..4 {
            let (source, sink) = slow(600);
            let cluster = cluster_of(1, 4, registry(&source, &sink)).await;
            let job = cluster.submit(in_parts()).await.unwrap();
            when_written(&sink, 200).await;
            // Late enough for positions to be saved.
            time_passes(Duration::from_millis(1_100)).await;
            let begin = tokio::time::Instant::now();
            crash(
                cluster.node(0),
                Victim::Peer {
                    index,
                    child: Child::VirtualPeer,
                },
            )
            .await;
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
            let mut written = sink.ints("n");
            written.dedup();
            assert_eq!(written, all(600), "peer {index}");
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{:?}",
                begin.elapsed()
            );
        }
    });
}

#[test]
fn a_cluster_that_is_stopped_leaves_nothing_behind() {
    in_virtual_time(async {
        let (source, sink) = slow(1_000);
        let cluster = cluster_of(2, 4, registry(&source, &sink)).await;
        cluster.submit(line("identity")).await.unwrap();
        time_passes(Duration::from_millis(500)).await;
        let peers: BTreeSet<_> = cluster.server().pulses().into_iter().collect();
        let (server, census) = (cluster.server().clone(), cluster.census());
        cluster.stop().await;
        time_passes(Duration::from_millis(1)).await;
        assert_eq!(census.living(), 0);
        assert_eq!(server.pulses(), []);
        let entries = onyx::testing::commands(&server);
        let leaves = entries.iter().filter_map(|command| match command {
            Command::LeaveCluster(leave) => Some(leave),
            _ => None,
        });
        let leaves: Vec<_> = leaves.collect();
        assert_eq!(leaves.len(), 2, "one for each node");
        let left = leaves.iter().flat_map(|leave| &leave.also);
        let left: BTreeSet<_> = left.chain(leaves.iter().map(|leave| &leave.id)).collect();
        assert_eq!(left, peers.iter().collect());
    });
}
