//! Masterless distributed data processing.

// In layer order: a module imports only from lines above its own, see `tests/tidy.rs`.
pub mod clock;
pub mod ids;
pub mod nearest;
pub mod segment;

pub mod codec;
pub mod config;

pub mod job;

pub mod replica;

pub mod scheduler;

pub mod log;

pub mod acking;
pub mod functions;

pub mod coordination;
pub mod messaging;
pub mod plugins;

pub mod task;

pub mod messages;

pub mod actors;

pub mod api;

pub mod http;

pub mod node;

pub mod testing;


pub use node::run;
pub use segment::{Segment, Value};
