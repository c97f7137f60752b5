//! Masterless distributed data processing.

pub mod clock;
pub mod ids;
pub mod segment;

pub mod codec;

pub mod job;

pub mod functions;

pub mod plugins;

pub use segment::{Segment, Value};
