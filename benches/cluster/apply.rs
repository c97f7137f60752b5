//! What applying an entry takes, with few peers and with many.

use crate::recorded::Recorder;
use crate::report::{figure, millis, quantile};
use onyx::ids::LogPosition;
use onyx::replica::invariants::violations;

const JOBS: usize = 20;
const ENTRIES: usize = 3_000;

pub(crate) fn run() {
    let (small, _) = measure(100);
    let (large, p99) = measure(1_000);
    println!("100 peers: median {small:.3} ms");
    figure("1,000 peers and 20 jobs: median", large, 1.0, "ms");
    println!("1,000 peers and 20 jobs: p99 {p99:.3} ms");
    println!("growth from 100 to 1,000 peers: {:.1} times", large / small);
}

/// Median and 99th percentile in milliseconds.
fn measure(peers: usize) -> (f64, f64) {
    let mut log = Recorder::new(1);
    log.begin(peers, JOBS);
    let begun = log.entries.len();
    log.live(begun + ENTRIES);
    let position = LogPosition(log.entries.len() as u64);
    assert_eq!(violations(&log.replica, position), []);
    assert_eq!(log.replica.membership.peers.len(), peers);
    let times = &mut log.times[begun..];
    let median = millis(quantile(times, 0.5));
    (median, millis(quantile(times, 0.99)))
}
