//! Seeded misfortune: panics, lost sessions, interruptions, unknown outcomes, garbage, stopped and
//! added peers, all while jobs run. Every job completes, with every segment at least once.
//!
//! `CLUSTER_SEEDS=n` runs that many seeds, `CLUSTER_SEED=n` one.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::ACTORS;
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::coordination::memory::AppendFault;
use onyx::ids::{IdSource, PeerId};
use onyx::job::Task;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster, Victim, crash};
use std::collections::BTreeSet;
use std::env;
use std::time::Duration;

const SEEDS: u64 = 25;
const SEGMENTS: i64 = 300;
const MISFORTUNES: u64 = 20;

struct Life {
    cluster: TestCluster,
    draws: IdSource,
}

impl Life {
    fn below(&mut self, limit: u64) -> u64 {
        self.draws.bits() % limit
    }

    async fn misfortune(&mut self) {
        let node = self.below(2) as usize;
        let index = self.below(4) as usize;
        match self.below(12) {
            0..5 => {
                let child = ACTORS[self.below(6) as usize];
                crash(self.cluster.node(node), Victim::Peer { index, child }).await;
            }
            5 => {
                crash(self.cluster.node(node), Victim::GroupOutbox).await;
            }
            6 => self.cluster.expire_session(node).await,
            7 => {
                self.cluster.server().interrupt();
                let outage = Duration::from_millis(self.below(3_000));
                time_passes(outage).await;
                self.cluster.server().restore();
            }
            8 => self.cluster.server().append_raw(vec![0xc1; 3]),
            9 => {
                let faults = [AppendFault::UnknownAndLost, AppendFault::UnknownButStored];
                let faults: Vec<_> = (0..6).map(|_| faults[self.below(2) as usize]).collect();
                self.cluster.server().fail_appends(faults);
            }
            10 => {
                let delay = Duration::from_millis(self.below(60));
                self.cluster.server().set_delay(delay);
            }
            _ => {
                let mut wanted = 0;
                let peers = self.cluster.node(node).status().await.unwrap().peers;
                if let Some(peer) = peers.first() {
                    let stopped = self.cluster.node(node).stop_peer(*peer).await;
                    // It may have died a moment ago.
                    wanted = usize::from(stopped.is_ok());
                }
                self.cluster.node(node).start_peers(wanted).await.unwrap();
            }
        }
    }
}

async fn live(seed: u64) {
    let source = Source::numbers(SEGMENTS).pausing(Duration::from_millis(250));
    let sink = Sink::default();
    let mut setup = Setup {
        nodes: 2,
        registry: registry(&source, &sink),
        seed,
        ..Setup::default()
    };
    // Misfortune is what is tested here, not patience with it.
    setup.config.infrastructure.restarts_max = 1_000;
    if seed.is_multiple_of(3) {
        setup.config.peer.step_ring_entries = std::num::NonZeroUsize::new(4).unwrap();
    }
    let cluster = TestCluster::start(setup);
    let mut life = Life {
        cluster,
        draws: IdSource::from_seed(seed),
    };
    let parts = Task {
        min_peers: count(2),
        max_peers: Some(count(2)),
        ..input("in")
    };
    let catalog = [parts, function("work", "identity"), output("out")];
    let job = life
        .cluster
        .submit(job("in>work work>out", catalog))
        .await
        .unwrap();
    // Some lives have time to recover in between.
    let longest_pause = [40, 400][(seed % 2) as usize];
    for _ in 0..MISFORTUNES {
        let pause = Duration::from_millis(life.below(longest_pause));
        time_passes(pause).await;
        life.misfortune().await;
    }
    let begin = tokio::time::Instant::now();
    assert_eq!(
        life.cluster.await_job(job).await.unwrap(),
        JobOutcome::Completed
    );
    has_every_number(&sink, SEGMENTS);
    println!("{:?} after the last misfortune", begin.elapsed());
    at_rest(&life.cluster).await;
}

/// Waits until the members are the living, on either node.
async fn at_rest(cluster: &TestCluster) {
    let is_at_rest = |node: usize| {
        let pulses: BTreeSet<PeerId> = cluster.server().pulses().into_iter().collect();
        let replica = cluster.node(node).snapshot().replica;
        let members: BTreeSet<PeerId> = replica.membership.members.keys().copied().collect();
        pulses.len() == 8 && pulses == members && replica.membership.pairs.len() == 8
    };
    while !(is_at_rest(0) && is_at_rest(1)) {
        time_passes(Duration::from_millis(10)).await;
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn jobs_complete_whatever_happens() {
    let seeds = match number("CLUSTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CLUSTER_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        println!("CLUSTER_SEED={seed}");
        in_virtual_time(live(seed));
    }
}
