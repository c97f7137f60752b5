//! How the rate grows, and falls, with the number of tasks, of peers and of bytes.

use crate::chain::Chain;
use crate::{floor, runtime};

/// So many bytes go through each chain, but no more segments than this.
const BYTES: usize = 256 << 20;
const SEGMENTS: usize = 2_000_000;
const RUNS: usize = 3;

/// Prints the three tables of docs/performance.md.
pub(crate) fn run() {
    println!("| maps between source and sink | segments/s | ratio to the floor |\n|---|---|---|");
    for maps in 1..=8 {
        let chain = Chain {
            maps,
            ..chain(floor::TEXT_MIN)
        };
        row(&maps.to_string(), chain);
    }
    println!(
        "\n| peers per task | segments/s | ratio to the floor of one thread per task |\n|---|---|---|"
    );
    for peers in 1..=4 {
        let chain = Chain {
            peers,
            ..chain(floor::TEXT_MIN)
        };
        row(&peers.to_string(), chain);
    }
    println!("\n| bytes of a segment | segments/s | ratio to the floor |\n|---|---|---|");
    for bytes in [50, 200, 1_000, 4_000, 16_000, 64_000] {
        let text = bytes - (floor::ENCODED_BYTES - floor::TEXT_MIN);
        row(&bytes.to_string(), chain(text));
    }
}

fn chain(text: usize) -> Chain {
    let segments = (BYTES / text).min(SEGMENTS) as u64;
    Chain {
        text,
        ..Chain::standard(segments)
    }
}

/// The medians of some runs in turn.
fn row(name: &str, chain: Chain) {
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let floor = floor::run(chain).rate();
        let rate = runtime::run(chain).rate();
        rates.push(rate);
        ratios.push(rate / floor);
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let (rate, ratio) = (median(&mut rates), median(&mut ratios));
    println!("| {name} | {rate:.0} | {ratio:.2} |");
}
