//! The contract between ZooKeeper and its clients, as far as this project relies on it.
//!
//! Runs against the server that `ZOOKEEPER_CONNECT` names (with TTL nodes allowed), with `apache`
//! against Apache ZooKeeper that it starts, or else against an embedded one that writes to a
//! folder. It asserts only what is true of Apache ZooKeeper.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail with the tests")]

mod access;
mod ground;
mod multi;
mod nodes;
mod payloads;
mod sessions;
mod stats;
mod watches;

#[path = "../../../../tests/support/zookeeper_server.rs"]
mod zookeeper_server;
