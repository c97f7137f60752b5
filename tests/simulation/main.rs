//! Seeded lives of small clusters: peers join, crash, are accused, read late, jump and write twice;
//! jobs come, run and end. After every entry the invariants of the replica hold; at rest the ring is
//! one cycle of the living and every job that could run is completed.
//!
//! `SIMULATION_SEEDS=n` runs that many seeds, `SIMULATION_SEED=n` one, with its trace.

#[path = "../support/cluster.rs"]
#[allow(dead_code, reason = "log scripts use other parts of it")]
mod cluster;
mod life;
mod rest;

use life::Life;
use std::env;

const SEEDS: u64 = 500;

/// Says how to see a failing life again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("seed {seed} failed; replay it with its trace:");
            eprintln!("  SIMULATION_SEED={seed} cargo test --test simulation -- --nocapture");
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")),
    )
}

#[test]
fn clusters_of_every_seed_live_well() {
    if let Some(seed) = number("SIMULATION_SEED") {
        let _replay = Replay(seed);
        Life::new(seed, |line| println!("{line}")).run();
        return;
    }
    let mut entries = 0;
    let mut completed = 0;
    for seed in 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS) {
        let _replay = Replay(seed);
        let mut life = Life::new(seed, |_| {});
        life.run();
        entries += life.cluster.steps.len();
        completed += life.cluster.replica().jobs.completed.len();
    }
    println!("{entries} entries, {completed} jobs completed");
}

#[test]
fn the_same_seed_is_the_same_life() {
    let trace = |seed| {
        let mut lines = Vec::new();
        let mut life = Life::new(seed, |line| lines.push(line));
        life.run();
        drop(life);
        lines
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
