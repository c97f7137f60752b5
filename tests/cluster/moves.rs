//! Peers that are moved to other jobs while a job runs: nothing is played again, and every row comes
//! exactly once; and with deaths in the middle nothing is lost.
//!
//! `CLUSTER_SEEDS=n` runs that many seeds, `CLUSTER_SEED=n` one.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::ACTORS;
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::ids::{IdSource, JobId};
use onyx::job::{Job, Task};
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster, Victim, crash};
use std::env;
use std::time::Duration;

const SEEDS: u64 = 12;
const SEGMENTS: i64 = 2_000;
const SMALL: i64 = 60;

/// A long job that uses every peer, small ones that take some of them away, and what they write.
struct Moves {
    cluster: TestCluster,
    draws: IdSource,
    long: Sink,
    small: Sink,
}

impl Moves {
    async fn start(seed: u64) -> Self {
        let mut draws = IdSource::from_seed(seed);
        let pause = Duration::from_millis(1 + draws.bits() % 10);
        let (source, long) = (Source::numbers(SEGMENTS).pausing(pause), Sink::default());
        let mut registry = registry(&source, &long);
        let pause = Duration::from_millis(draws.bits() % 20);
        Source::numbers(SMALL)
            .pausing(pause)
            .register(&mut registry, "few");
        let small = Sink::default();
        small.register(&mut registry, "small-sink");
        let mut setup = Setup {
            nodes: 1 + (seed % 2) as usize,
            peers: 8,
            registry,
            seed,
            ..Setup::default()
        };
        // An inbox that is full most of the time, or one that has room.
        let batches = [2, 64][(draws.bits() % 2) as usize];
        setup.config.messaging.inbox_batches = std::num::NonZeroUsize::new(batches).unwrap();
        setup.config.infrastructure.restarts_max = 1_000;
        let peers = setup.nodes * setup.peers;
        let cluster = TestCluster::start(setup);
        cluster.joined(peers).await.unwrap();
        Moves {
            cluster,
            draws,
            long,
            small,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.draws.bits() % limit
    }

    /// A job with two functions in a row, of which every task but the input takes what peers there are.
    fn long_job(&mut self) -> Job {
        let read = Task {
            batch_size: count(1 + self.below(20) as u32),
            min_peers: count(2),
            max_peers: Some(count(2)),
            ..input("in")
        };
        let mut long = job(
            "in>one one>two two>out",
            [
                read,
                function("one", "identity"),
                function("two", "identity"),
                output("out"),
            ],
        );
        long.ackers.percentage =
            [None, onyx::job::percent::Percent::whole(30)][self.below(2) as usize];
        long
    }

    async fn submit_small(&mut self) -> JobId {
        let read = Task {
            plugin: Some("few".into()),
            ..input("in")
        };
        let write = Task {
            plugin: Some("small-sink".into()),
            ..output("out")
        };
        let small = job(
            "in>work work>out",
            [read, function("work", "identity"), write],
        );
        self.cluster.submit(small).await.unwrap()
    }

    async fn pause(&mut self, longest_ms: u64) {
        let pause = Duration::from_millis(self.below(longest_ms));
        time_passes(pause).await;
    }

    /// The long job, and three small ones within two seconds of it, with something in between.
    async fn run(&mut self, between: impl AsyncFn(&mut Moves)) -> JobId {
        let long = self.long_job();
        let long = self.cluster.submit(long).await.unwrap();
        when_written(&self.long, 1).await;
        let mut jobs = vec![long];
        for _ in 0..3 {
            self.pause(600).await;
            jobs.push(self.submit_small().await);
            between(self).await;
        }
        for job in jobs {
            let outcome = self.cluster.await_job(job).await.unwrap();
            assert_eq!(outcome, JobOutcome::Completed);
        }
        long
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |variable| {
        env::var(variable)
            .ok()
            .and_then(|text: String| text.parse().ok())
    };
    match number("CLUSTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLUSTER_SEEDS").unwrap_or(SEEDS),
    }
}

#[test]
fn a_planned_move_of_peers_repeats_nothing() {
    for seed in seeds() {
        println!("CLUSTER_SEED={seed}");
        in_virtual_time(async {
            let mut moves = Moves::start(seed).await;
            let job = moves.run(async |_: &mut Moves| {}).await;
            let mut retried = 0;
            for node in 0..1 + (seed % 2) as usize {
                let told = moves.cluster.node(node).job(job).await.unwrap();
                retried += told.totals().retried;
            }
            assert_eq!(retried, 0);
            assert_eq!(moves.long.ints("n"), all(SEGMENTS));
            assert_eq!(moves.small.segments().len() as i64, 3 * SMALL);
        });
    }
}

#[test]
fn deaths_in_the_middle_of_moves_lose_nothing() {
    for seed in seeds() {
        println!("CLUSTER_SEED={seed}");
        in_virtual_time(async {
            let mut moves = Moves::start(seed).await;
            let die = async |moves: &mut Moves| {
                moves.pause(30).await;
                let (node, index) = (moves.below(1 + seed % 2), moves.below(8) as usize);
                let child = ACTORS[moves.below(6) as usize];
                crash(
                    moves.cluster.node(node as usize),
                    Victim::Peer { index, child },
                )
                .await;
            };
            moves.run(die).await;
            has_every_number(&moves.long, SEGMENTS);
            let mut small = moves.small.ints("n");
            small.dedup();
            assert_eq!(small, all(SMALL));
        });
    }
}
