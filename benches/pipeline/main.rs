//! `./dev bench pipeline`: how fast segments go from a source through two maps to a sink, and how close
//! that is to the floor, which is the same work without a runtime.
//!
//! | argument | what is measured |
//! |---|---|
//! | none | all of the following but the growth |
//! | `--over local` | in process, against the floor |
//! | `--over aeron` | two processes, every hop over Aeron IPC, against the floor |
//! | `--latency` | how long a segment takes at 10,000 a second |
//! | `--growth` | the rate against tasks, peers and the size of segments |
//! | `--segments N` | with so many segments a run |
//! | `--runs N` | so many runs, in turn with the floor; medians are told |

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod chain;
#[path = "../support/cpu.rs"]
mod cpu;
mod floor;
mod growth;
mod latency;
#[cfg(feature = "aeron")]
mod processes;
mod runtime;

use chain::Chain;
use runtime::RuntimeResult;

const SEGMENTS: u64 = 5_000_000;
const RUNS: u64 = 3;
/// The least that is wanted of the runtime, as a part of the floor.
const TARGET_LOCAL: f64 = 0.65;
#[cfg(feature = "aeron")]
const TARGET_AERON: f64 = 0.45;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(feature = "aeron")]
    if let [role, place, connect] = &words[..]
        && role == processes::ROLE
    {
        return processes::second(place.as_ref(), connect);
    }
    let number = |name: &str, default| match number(&words, name, default) {
        Ok(number) => number,
        Err(message) => {
            println!("{message}");
            std::process::exit(2);
        }
    };
    let (chain, runs) = (
        Chain::standard(number("--segments", SEGMENTS)),
        number("--runs", RUNS),
    );
    let named = |name: &str| words.iter().any(|word| word == name);
    if named("--growth") {
        return growth::run();
    }
    let all = !["local", "aeron", "--latency"].into_iter().any(named);
    if all || named("local") {
        compare("in process", TARGET_LOCAL, chain, runs, runtime::run);
    }
    #[cfg(feature = "aeron")]
    if all || named("aeron") {
        let name = "two processes over Aeron IPC";
        compare(name, TARGET_AERON, chain, runs, processes::run);
    }
    if all || named("--latency") {
        latency::run();
    }
}

/// The floor and something else, in turn.
fn compare(
    name: &str,
    target: f64,
    chain: Chain,
    runs: u64,
    other: impl Fn(Chain) -> RuntimeResult,
) {
    println!("== {name}: {} segments, {runs} runs", chain.segments);
    let mut ratios = Vec::new();
    for _ in 0..runs {
        let floor = floor::run(chain);
        let per_cpu = |seconds: f64| chain.segments as f64 / seconds / 1e6;
        print!("floor {:.2} M/s", floor.rate() / 1e6);
        print!(" ({:.2} M per CPU s), ", per_cpu(floor.cpu_seconds));
        let result = other(chain);
        let bytes = result.rate() * floor::ENCODED_BYTES as f64;
        print!("runtime {:.2} M/s, ", result.rate() / 1e6);
        print!("{:.0} MB/s a hop ", bytes / 1e6);
        print!("({:.2} M per CPU s), ", per_cpu(result.cpu_seconds));
        let ratio = result.rate() / floor.rate();
        println!("{} retried, ratio {ratio:.2}", result.retried);
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    println!("ratio to the floor, {name}: {ratio:.2}, of {target:.2} wanted; sums right");
}

/// The number after a word. Cargo adds arguments of its own, which mean nothing here.
fn number(words: &[String], name: &str, default: u64) -> Result<u64, String> {
    let Some(at) = words.iter().position(|word| word == name) else {
        return Ok(default);
    };
    let number = words.get(at + 1).map(String::as_str).unwrap_or_default();
    match number.replace('_', "").parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!(
            "{name}: expected a number above 0, found {number:?}"
        )),
    }
}
