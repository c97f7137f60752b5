//! What a healthy cluster does.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::virtual_time::time_passes;
use onyx::Segment;
use onyx::api::JobOutcome;
use onyx::job::Task;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::time::Duration;

#[test]
fn peers_of_several_nodes_join_one_ring() {
    in_virtual_time(async {
        let cluster = TestCluster::start(Setup {
            nodes: 3,
            peers: 4,
            ..Setup::default()
        });
        cluster.joined(12).await.unwrap();
        // The others have read what one has read, a moment later.
        while cluster.node(2).snapshot().replica.membership.peers.len() < 12 {
            time_passes(Duration::from_millis(1)).await;
        }
        let replica = cluster.node(2).snapshot().replica;
        let pairs = &replica.membership.pairs;
        let first = replica.membership.peers[0];
        let mut ring = vec![first];
        while pairs[ring.last().unwrap()] != first {
            ring.push(pairs[ring.last().unwrap()]);
        }
        assert_eq!(ring.len(), 12);
        assert_eq!(cluster.server().pulses().len(), 12);
    });
}

#[test]
fn every_segment_of_a_wide_job_arrives_exactly_once() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(1_000), Sink::default());
        let setup = Setup {
            nodes: 2,
            peers: 6,
            registry: registry(&source, &sink),
            ..Setup::default()
        };
        let cluster = TestCluster::start(setup);
        cluster.joined(12).await.unwrap();
        let wide = |task: Task| Task {
            max_peers: None,
            min_peers: count(2),
            ..task
        };
        let catalog = [
            wide(input("a")),
            wide(input("b")),
            wide(function("work", "identity")),
            wide(output("x")),
            wide(output("y")),
        ];
        let job = job("a>work b>work work>x work>y", catalog);
        let job = cluster.submit(job).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        // Two inputs read the same numbers, and two outputs write them.
        let each_four_times: Vec<i64> = all(1_000).into_iter().flat_map(|n| [n; 4]).collect();
        assert_eq!(sink.ints("n"), each_four_times);
        assert!(sink.seals().len() >= 2, "{:?}", sink.seals());
    });
}

#[test]
fn a_function_gives_none_one_or_many_segments() {
    in_virtual_time(async {
        let (source, sink) = (
            Source::numbers(90).pausing(Duration::from_millis(1)),
            Sink::default(),
        );
        let mut registry = registry(&source, &sink);
        registry
            .functions
            .function("n mod 3 times", |segment: Segment| {
                vec![segment.clone(); n(&segment) as usize % 3]
            });
        let cluster = TestCluster::start(Setup {
            registry,
            ..Setup::default()
        });
        let job = cluster.submit(line("n mod 3 times")).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        let expected: Vec<i64> = all(90)
            .into_iter()
            .flat_map(|n| vec![n; n as usize % 3])
            .collect();
        assert_eq!(sink.ints("n"), expected);
        let report = cluster.node(0).job(job).await.unwrap();
        let totals = report.totals();
        assert_eq!(
            (totals.read, totals.completed, totals.in_flight),
            (90, 90, 0)
        );
        assert_eq!((totals.retried, totals.misdirected), (0, 0));
    });
}
