//! Masterless distributed data processing.

pub mod clock;
pub mod ids;
pub mod nearest;
pub mod segment;

pub mod config;

pub mod job;

pub mod functions;

pub mod plugins;

pub use segment::{Segment, Value};
