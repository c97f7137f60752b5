//! Masterless distributed data processing.

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

pub mod functions;

pub mod coordination;

pub mod plugins;

pub use segment::{Segment, Value};
