//! Attacks on a running node: jobs that block, clients that hold connections, readers that stall, files
//! that grow. Each module is one attack. `./dev test` runs them in small, `./dev attack` in full.

#![expect(clippy::unwrap_used, reason = "a test that is not answered has failed")]

mod absent_coordination;
mod blocked_job;
mod coordination_port;
mod dns_rebinding;
mod expressions;
mod file_access;
mod hoarded_connections;
mod many_ended_jobs;
mod many_files;
#[path = "../support/process.rs"]
mod process;
mod scale;
mod stalled_log_reader;
