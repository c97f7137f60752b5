//! Nodes that run jobs of every kind for an hour, and hold no more memory, descriptors, threads and disk
//! at the end than after the warm-up. `./dev soak` sets `SOAK_SECONDS`; without it, as in `./dev test`,
//! each client runs each kind of job twice and nothing is judged.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says where, and one that measures says what"
)]

mod client;
mod jobs;
#[path = "../support/process.rs"]
mod process;
mod sample;
mod subject;
mod trend;

use jobs::{KINDS, Rows};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use subject::{LogKept, Subject};
use tempfile::TempDir;

/// Clients that submit to one node at the same time.
const CLIENTS: usize = 2;
/// How often each client runs each kind of job when no time is given.
const SHORT_ROUNDS: usize = 2;
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Fewer rows of the table than this show no trend.
const LINES_MIN: u32 = 12;
const LINE_INTERVAL_MAX: Duration = Duration::from_secs(60);

#[test]
fn jobs_of_every_kind_leave_memory_descriptors_threads_and_disk_as_they_were() {
    let folder = TempDir::new().unwrap();
    let rows = Rows::prepare(folder.path());
    let mut subjects = [
        Subject::start("durable", folder.path(), LogKept::OnDisk),
        Subject::start("memory", folder.path(), LogKept::InMemory),
    ];
    match seconds() {
        None => {
            std::thread::scope(|scope| {
                for subject in &subjects {
                    start_clients(scope, subject, &rows, &|rounds| rounds < SHORT_ROUNDS);
                }
            });
        }
        Some(length) => soak(&mut subjects, &rows, length),
    }
    for subject in &mut subjects {
        subject.stops_in_order();
    }
    let grown: Vec<_> = subjects.iter().flat_map(Subject::growth).collect();
    assert!(grown.is_empty(), "grown:\n  {}", grown.join("\n  "));
}

/// Runs jobs for this long, with a line of the table for each minute, or for less in a shorter soak.
fn soak(subjects: &mut [Subject], rows: &Rows, length: Duration) {
    let line_interval = (length / LINES_MIN).min(LINE_INTERVAL_MAX);
    let lines = length.div_duration_f64(line_interval).round() as u32;
    let is_over = AtomicBool::new(false);
    let goes_on = |_| !is_over.load(Ordering::Relaxed);
    sample::print_head();
    std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for subject in &*subjects {
            clients.extend(start_clients(scope, subject, rows, &goes_on));
        }
        let started = now();
        for line in 1..=lines {
            while started.elapsed() < line_interval * line {
                process::pause(SAMPLE_INTERVAL);
                for subject in &mut *subjects {
                    subject.sample();
                }
            }
            for subject in &mut *subjects {
                subject.print_line(started.elapsed());
            }
            // A client ends before its time only by a failed assertion.
            if clients.iter().any(ScopedJoinHandle::is_finished) {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn start_clients<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    subject: &Subject,
    rows: &'env Rows,
    goes_on: &'env (impl Fn(usize) -> bool + Sync),
) -> Vec<ScopedJoinHandle<'scope, ()>> {
    let clients = (0..CLIENTS).map(|number| {
        let client = subject.client();
        let is_collected_by_clients = subject.is_collected_by_clients();
        let folder = subject.folder().join(format!("client-{number}"));
        scope.spawn(move || {
            for round in (0..).take_while(|round| goes_on(*round)) {
                for kind in KINDS {
                    jobs::run(
                        kind,
                        &client,
                        rows,
                        &folder.join(format!("{kind:?}-{round}")),
                    );
                }
                if is_collected_by_clients {
                    client.collect_log();
                }
            }
        })
    });
    clients.collect()
}

fn seconds() -> Option<Duration> {
    let given = std::env::var("SOAK_SECONDS").ok()?;
    let seconds = given.parse().ok().filter(|seconds| *seconds > 0);
    Some(Duration::from_secs(
        seconds.expect("SOAK_SECONDS is a whole number of seconds above 0"),
    ))
}

#[expect(clippy::disallowed_methods, reason = "a soak takes real time")]
fn now() -> Instant {
    Instant::now()
}
