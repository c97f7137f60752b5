//! Whole clusters: nodes with all their actors, in virtual time over coordination in memory; and some
//! in real time, over an embedded server and, with `ONYX_TEST_ZOOKEEPER`, Apache ZooKeeper.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says where"
)]

mod acking;
mod catching_up;
mod chaos;
mod collection;
mod crashes;
mod everywhere;
mod exceptions;
mod faults;
mod ground;
mod inputs;
mod jobs;
mod living;
mod membership;
mod moves;
mod node;
mod placement;
mod reports;
mod sharing;
mod standing;

#[path = "../support/flights.rs"]
mod flights;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../../src/actors/virtual_time.rs"]
mod virtual_time;
#[path = "../support/zookeeper_server.rs"]
mod zookeeper_server;

/// Runs a test in virtual time: the clock goes on whenever everybody waits.
fn in_virtual_time(test: impl Future<Output = ()>) {
    onyx::run(async {
        tokio::time::pause();
        test.await;
    });
}
