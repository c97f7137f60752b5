//! Masterless distributed data processing.

pub mod clock;
pub mod ids;
pub mod segment;

pub mod codec;

pub mod job;

pub mod acking;
pub mod functions;

pub mod messaging;
pub mod plugins;

pub use segment::{Segment, Value};
