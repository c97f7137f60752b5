//! Nodes, media drivers and servers die at random moments of running jobs, and no row is lost.
//!
//! The tests kill five nodes, pause one and kill the media driver. `./dev chaos` sets `CHAOS=full`, for everything that can happen; see
//! docs/proof.md. `CHAOS_SEED` repeats the random choices, `CHAOS_ONLY` names the one trouble to try,
//! `CHAOS_FLIGHTS` a file of flights, `CHAOS_LOG` how much the nodes log.

#![cfg(feature = "aeron")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says where, and one that measures says what"
)]

mod flights;
mod namespace;
#[path = "../support/process.rs"]
mod process;
mod report;
mod round;
mod stage;
mod trouble;
#[path = "../support/zookeeper_server.rs"]
mod zookeeper_server;

use flights::Flights;
use namespace::Namespace;
use report::Report;
use stage::{Log, Stage};
use std::path::PathBuf;
use tempfile::TempDir;
use trouble::Trouble;

#[test]
fn five_kills_of_nodes_a_pause_and_a_lost_driver_lose_no_row() {
    if is_full() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let flights = Flights::prepare(folder.path(), None, 10);
    let mut stage = Stage::set(folder.path(), Log::OneServer, None);
    let mut random = trouble::random();
    let mut report = Report::default();
    let kills = [Trouble::NodeKilled; 5].into_iter();
    let troubles = kills.chain([Trouble::NodePaused, Trouble::DriverKilled]);
    for (trouble, number) in troubles.zip(0..) {
        report.add(round::run(
            &mut stage,
            &flights,
            trouble,
            number,
            &mut random,
        ));
    }
    report.proves_that_no_row_was_lost();
}

#[test]
fn whatever_dies_no_row_is_lost() {
    if !is_full() {
        eprintln!("skipped: takes many minutes; `./dev chaos` runs it");
        return;
    }
    let folder = TempDir::new().unwrap();
    let given = std::env::var_os("CHAOS_FLIGHTS").map(PathBuf::from);
    let flights = Flights::prepare(folder.path(), given.as_deref(), 74);
    println!("{} rows in each job", flights.rows);
    let mut random = trouble::random();
    let mut report = Report::default();
    // First, since it needs most: what cannot be done is told at once.
    let namespace = Namespace::create().unwrap();
    let mut numbers = 0..;
    let only = std::env::var("CHAOS_ONLY").ok();
    let is_tried = |trouble: Trouble| {
        let name = format!("{trouble:?}");
        only.as_ref().is_none_or(|only| *only == name)
    };
    let mut rounds = |stage: &mut Stage, trouble, count| {
        let count = if is_tried(trouble) { count } else { 0 };
        for number in numbers.by_ref().take(count) {
            report.add(round::run(stage, &flights, trouble, number, &mut random));
        }
    };
    let mut stage = Stage::set(folder.path(), Log::Ensemble, Some(namespace));
    rounds(&mut stage, Trouble::NodeCutOff, 2);
    drop(stage);
    let mut stage = Stage::set(folder.path(), Log::Ensemble, None);
    rounds(&mut stage, Trouble::NodeKilled, 20);
    rounds(&mut stage, Trouble::NodePaused, 5);
    rounds(&mut stage, Trouble::DriverKilled, 3);
    rounds(&mut stage, Trouble::LeaderKilled, 3);
    drop(stage);
    report.proves_that_no_row_was_lost();
    report.proves_that_recovery_is_quick();
}

fn is_full() -> bool {
    std::env::var("CHAOS").is_ok_and(|value| value == "full")
}
