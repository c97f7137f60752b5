//! Whole nodes on Apache ZooKeeper, one server or three: what happens to servers, sessions and
//! connections while a job runs costs no row of it.
//!
//! The tests run with `ONYX_TEST_ZOOKEEPER=one` or `=ensemble`, which `./dev test` sets.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says where, and one that measures says what"
)]

mod ensemble;
mod killed_node;
mod one_server;
mod trouble;

#[path = "../support/flights.rs"]
mod flights;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/zookeeper_server.rs"]
mod zookeeper_server;
