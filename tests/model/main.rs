//! Joining and leaving explored, not sampled: every order in which a few peers can read, write,
//! crash and be missed, for a bounded number of entries, with the functions that nodes run.
//!
//! `./dev model` explores more peers and crashes; it sets `MODEL=large`.

#![allow(clippy::print_stdout, reason = "what was searched is to be seen")]

mod broken;
#[path = "../support/cluster.rs"]
#[allow(
    dead_code,
    reason = "log scripts and the simulation use other parts of it"
)]
mod cluster;
mod rest;
mod ring;

use cluster::Rules;
use ring::{Act, Ring};
use stateright::{Checker, Expectation, Model};
use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::thread;

/// What a search came to.
struct Findings {
    states: usize,
    /// The way to each property that does not hold.
    broken: BTreeMap<&'static str, Vec<Act>>,
    /// What should have happened somewhere and did not.
    never: Vec<&'static str>,
}

fn explore(ring: Ring) -> Findings {
    let properties = ring.properties();
    let shown = format!(
        "{} joined, {} joining, {} crash and {} return, {} entries",
        ring.joined, ring.joiners, ring.crashes, ring.returns, ring.entries
    );
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let checker = ring.checker().threads(lanes).spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let mut findings = Findings {
        states: checker.unique_state_count(),
        broken: BTreeMap::new(),
        never: Vec::new(),
    };
    for property in properties {
        let found = discoveries.remove(property.name);
        match (property.expectation, found) {
            (Expectation::Sometimes, None) => findings.never.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => {
                findings.broken.insert(property.name, path.into_actions());
            }
        }
    }
    println!(
        "{shown}: {} states, {} transitions, at most {} deep",
        findings.states,
        checker.state_count(),
        checker.max_depth()
    );
    findings
}

fn check(ring: Ring) -> usize {
    let findings = explore(ring);
    for (property, way) in &findings.broken {
        println!("{property}: not after");
        way.iter().for_each(|act| println!("  {act:?}"));
    }
    assert!(findings.broken.is_empty(), "see the way there above");
    assert_eq!(findings.never, [""; 0], "this never happened");
    findings.states
}

fn ring(joined: u32, joiners: u32, (crashes, returns): (u32, u32), entries: usize) -> Ring {
    Ring {
        joined,
        joiners,
        crashes,
        returns,
        entries,
        rules: Rules::default(),
    }
}

#[test]
fn three_peers_join_and_one_crashes() {
    let states = [
        ring(0, 3, (1, 0), 22),
        ring(0, 3, (1, 1), 9),
        ring(1, 2, (1, 1), 9),
    ];
    let states: usize = states.into_iter().map(check).sum();
    assert!(states > 100_000, "only {states} states");
    // Unlike what `println!` says this is seen of a test that passes, too.
    let told = writeln!(io::stdout(), "the model: {states} states explored");
    told.expect("standard output is open");
}

/// What a ring of three does about a fourth and two deaths is a small search; to build the ring too
/// is a large one, which a debug build would take an hour for.
#[test]
fn four_peers_join_and_two_crash() {
    check(ring(3, 1, (2, 0), 24));
    if env::var("MODEL").as_deref() == Ok("large") {
        check(ring(3, 1, (2, 1), 18));
        check(ring(2, 2, (2, 0), 18));
        check(ring(1, 3, (2, 0), 14));
        check(ring(0, 4, (2, 0), 14));
    }
}

#[test]
fn each_broken_rule_is_found() {
    let two = || ring(2, 1, (1, 0), 14);
    let one = || ring(1, 1, (1, 0), 14);
    let mistakes: [(&str, Rules, Ring); 5] = [
        (
            "a watch is not handed over",
            broken::leave_without_inheritance(),
            two(),
        ),
        ("any accept is believed", broken::accept_of_anybody(), two()),
        (
            "a leave keeps the join",
            broken::leave_that_keeps_the_join(),
            two(),
        ),
        (
            "a joiner does not look",
            broken::joiner_that_does_not_look(),
            one(),
        ),
        (
            "an observer does not look",
            broken::observer_that_does_not_look(),
            two(),
        ),
    ];
    for (mistake, rules, ring) in mistakes {
        assert!(
            !explore(Ring { rules, ..ring }).broken.is_empty(),
            "{mistake}"
        );
    }
}

#[test]
fn without_a_mistake_the_same_searches_find_nothing() {
    check(ring(2, 1, (1, 0), 14));
    check(ring(1, 1, (1, 0), 14));
}
