//! Masterless distributed data processing.

pub mod clock;
pub mod ids;
pub mod job;
pub mod segment;

pub use segment::{Segment, Value};
