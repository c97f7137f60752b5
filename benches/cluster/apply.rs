//! What applying an entry takes, with few peers and with many.

use crate::recorded::Recorder;
use crate::report::{figure, millis, quantile};
use onyx::ids::LogPosition;
use onyx::replica::invariants::violations;
use std::collections::BTreeMap;
use std::time::Duration;

const JOBS: usize = 20;
const ENTRIES: usize = 3_000;

pub(crate) fn run() {
    let (small, large) = (measure(100), measure(1_000));
    figure("1,000 peers and 20 jobs: median", large.median, 1.0, "ms");
    println!("1,000 peers and 20 jobs: p99 {:.3} ms", large.p99);
    for (name, median) in &large.medians {
        println!("  {name}: median {median:.4} ms");
    }
    println!(
        "100 peers and 20 jobs: median {:.4} ms, p99 {:.3} ms",
        small.median, small.p99
    );
    let growth = [large.median / small.median, large.p99 / small.p99];
    println!(
        "growth from 100 to 1,000 peers: median {:.1} times, p99 {:.1} times",
        growth[0], growth[1]
    );
}

/// In milliseconds.
struct Measured {
    median: f64,
    p99: f64,
    /// Of each command.
    medians: BTreeMap<&'static str, f64>,
}

fn measure(peers: usize) -> Measured {
    let mut log = Recorder::new(1);
    log.begin(peers, JOBS);
    let begun = log.entries.len();
    log.live(begun + ENTRIES);
    let position = LogPosition(log.entries.len() as u64);
    assert_eq!(violations(&log.replica, position), []);
    assert_eq!(log.replica.membership.peers.len(), peers);
    let mut by_command: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
    for (entry, time) in log.entries[begun..].iter().zip(&log.times[begun..]) {
        by_command
            .entry(entry.command.name())
            .or_default()
            .push(*time);
    }
    let medians = by_command.into_iter();
    let medians = medians.map(|(name, mut times)| (name, millis(quantile(&mut times, 0.5))));
    let times = &mut log.times[begun..];
    Measured {
        medians: medians.collect(),
        median: millis(quantile(times, 0.5)),
        p99: millis(quantile(times, 0.99)),
    }
}
