//! The tree: actors that sequence, own and restart, and decide nothing.
//!
//! ```text
//! PeerGroup                      one for one over its peers; the session, the log tail, the steps
//! ├─ Outbox                      leaves of dead peers, entries of clients
//! └─ VirtualPeer × m             one for all: a death is a new incarnation with a new id
//!     1 Outbox                   writes entries in order; pause and resume; bounded
//!     2 PulseWatcher             owns the pulse; keeps the wanted watches
//!     3 AckingDaemon             owns the XOR ledger and its sweep
//!     4 LogReader                the inbox: steps in order, pulled one by one
//!     5 TaskPipeline (0..1)      runs the phases of the task the replica gives this peer
//! ```

pub mod acking_daemon;
mod effects;
pub mod held_tasks;
mod interruption;
pub mod log_reader;
pub mod outbox;
pub mod peer_group;
#[cfg(test)]
mod probe;
pub mod pulse_watcher;
pub mod running_task;
pub mod services;
pub mod supervision;
mod task_pace;
pub mod task_pipeline;
pub mod task_restarts;
pub mod task_threads;
pub mod virtual_peer;
#[cfg(test)]
mod virtual_time;
