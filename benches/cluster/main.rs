//! `./dev bench cluster`: what the cluster layer costs: applying an entry, sharing out peers anew,
//! replaying a log, many peers in one process, an entry on its way between processes. Each figure
//! stands beside its target, and what was measured is verified.
//!
//! `./dev bench cluster -- apply replay` measures only these.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod absorb;
mod apply;
#[path = "../support/cpu.rs"]
mod cpu;
mod idle_peers;
mod reallocate;
mod recorded;
mod replay;
mod report;

const PARTS: [(&str, fn()); 5] = [
    ("apply", apply::run),
    ("reallocate", reallocate::run),
    ("replay", replay::run),
    ("idle-peers", idle_peers::run),
    ("absorb", absorb::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Some parts need a second process, which is this program once more.
    match words.as_slice() {
        ["child", "idle-peers", peers, ..] => return idle_peers::child(peers),
        ["child", "absorb", address, ..] => return absorb::child(address),
        _ => {}
    }
    let named = |name: &str| words.contains(&name);
    let all = !PARTS.iter().any(|(name, _)| named(name));
    for (name, run) in PARTS {
        if all || named(name) {
            println!("== {name}");
            run();
        }
    }
}
