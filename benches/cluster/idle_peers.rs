//! Many peers in one process: how soon all are joined, and what each holds while it idles.

use crate::report::figure;
use onyx::NodeConfig;
use onyx::node::NodeBuilder;
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::{Duration, Instant};

const FEW: usize = 8;
const MANY: usize = 200;
/// What the start needed is given back by then.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
const LOOKS_EVERY: Duration = Duration::from_millis(5);

pub(crate) fn run() {
    let (few, many) = (measure(FEW), measure(MANY));
    println!("{FEW} peers joined after {:.3} s", few.joined);
    figure(&format!("{MANY} peers joined after"), many.joined, 5.0, "s");
    let each = (many.resident_kib - few.resident_kib) / (MANY - FEW) as f64;
    println!(
        "resident: {:.0} KiB with {FEW}, {:.0} KiB with {MANY}",
        few.resident_kib, many.resident_kib
    );
    figure("each peer while idle", each, 128.0, "KiB");
}

struct Measured {
    joined: f64,
    resident_kib: f64,
}

/// In a process of its own, so that nothing else is in its memory.
fn measure(peers: usize) -> Measured {
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program)
        .args(["child", "idle-peers", &peers.to_string()])
        .output()
        .expect("a second process");
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let mut numbers = text
        .split_whitespace()
        .filter_map(|word| word.parse::<f64>().ok());
    let mut next = || numbers.next().unwrap_or_else(|| panic!("it said {text:?}"));
    Measured {
        joined: next(),
        resident_kib: next(),
    }
}

/// Tells seconds and KiB.
pub(crate) fn child(peers: &str) {
    let peers: NonZeroUsize = peers.parse().expect("a number of peers");
    onyx::run(async {
        let start = Instant::now();
        let builder = NodeBuilder::new(NodeConfig::default()).peers(peers);
        let node = builder.without_http().start().await.expect("a node");
        while node.handle().status().await.expect("a status").peers_joined < peers.get() {
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        let joined = start.elapsed().as_secs_f64();
        let replica = node.handle().snapshot().replica;
        assert_eq!(replica.membership.peers.len(), peers.get());
        tokio::time::sleep(SETTLED_AFTER).await;
        println!("{joined} {}", resident_kib());
        node.stop().await.expect("a clean stop");
    });
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse().ok()).unwrap_or(f64::NAN)
}
