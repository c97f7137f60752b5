//! Seeded lives of small clusters: peers join, crash, are accused, read late, jump and write twice;
//! jobs come, run and end. After every entry the invariants of the replica hold, and whoever reads the
//! bytes of the log, from its beginning or from an origin, has the same one; at rest the ring is one
//! cycle of the living and every job that could run is completed.
//!
//! `SIMULATION_SEEDS=n` runs that many seeds, from `SIMULATION_FROM=n` on, and tells how far it is;
//! `SIMULATION_SEED=n` runs one, with its trace.

#[path = "../support/cluster.rs"]
#[allow(dead_code, reason = "log scripts use other parts of it")]
mod cluster;
mod coverage;
mod draw;
mod followers;
mod life;
mod rest;
mod rumours;
mod trouble;

use life::Life;
use std::env;
use std::thread;

const SEEDS: u64 = 2_000;

/// How many seeds are lived before it is told how far it is.
const BETWEEN_TOLD: u64 = 10_000;

/// Seeds whose lives found a mistake once. What they draw changes with the code; they cost nothing.
const FOUND: [u64; 2] = [14_622, 28_646];

/// Says how to see a failing life again.
struct Replay(u64);

impl Drop for Replay {
    #[expect(
        clippy::print_stderr,
        reason = "the seed has to be seen where the test failed"
    )]
    fn drop(&mut self) {
        if thread::panicking() {
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
        Life::new(seed, Some(&mut |line| println!("{line}"))).run();
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let from = number("SIMULATION_FROM").unwrap_or(0);
    let lanes = thread::available_parallelism().map_or(1, |lanes| lanes.get() as u64);
    let lived = thread::scope(|scope| {
        let lane =
            |lane| scope.spawn(move || live_all((lane..from + seeds).step_by(lanes as usize)));
        let lanes: Vec<_> = (from..from + lanes).map(lane).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().expect("a life failed"))
            .collect::<Vec<_>>()
    });
    let entries: usize = lived.iter().map(|(entries, _)| entries).sum();
    let completed: usize = lived.iter().map(|(_, completed)| completed).sum();
    println!("{seeds} lives from seed {from} on: {entries} entries, {completed} jobs completed");
}

/// How many entries were written and how many jobs completed.
#[expect(clippy::print_stdout, reason = "a long run says how far it is")]
fn live_all(seeds: impl Iterator<Item = u64>) -> (usize, usize) {
    let (mut entries, mut completed) = (0, 0);
    for seed in seeds {
        if seed > 0 && seed % BETWEEN_TOLD == 0 {
            println!("at seed {seed}");
        }
        let _replay = Replay(seed);
        let mut life = Life::new(seed, None);
        life.run();
        entries += life.cluster.steps.len();
        completed += life.completed();
    }
    (entries, completed)
}

#[test]
fn lives_that_went_wrong_once_go_well() {
    live_all(FOUND.into_iter());
}

#[test]
fn the_same_seed_is_the_same_life() {
    let trace = |seed| {
        let mut lines = Vec::new();
        Life::new(seed, Some(&mut |line| lines.push(line))).run();
        lines
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
