//! What actors say to each other: one file per receiver, no logic.
//!
//! Orders are imperative, facts are in the past tense, questions are nouns. Asks go down the tree,
//! tells go up, so that no two actors can wait for each other.

pub mod log_reader;
pub mod outbox;
pub mod peer_group;
pub mod pulse_watcher;
pub mod supervision;
pub mod task_pipeline;
pub mod virtual_peer;
