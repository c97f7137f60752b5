//! MessagePack: segments by hand for speed, everything else through serde. The only module that
//! knows the format.

mod batch;
mod columns;
mod decode;
mod encode;
mod entry;
mod error;
#[cfg(test)]
mod forms;
mod payload;
mod reader;
mod wire;

pub use batch::{Batch, BatchError, BatchMeta, BatchRoots, Children, Origin, Row};
pub use columns::{ColumnReader, put_column, put_count, put_text};
pub use decode::Decoder;
pub use encode::encode;
pub use entry::{FORMAT_VERSION, from_payload, to_payload};
pub use error::CodecError;
pub use payload::{Encoded, EncodedBuilder};
pub use wire::WireError;

/// How deep lists and maps may nest, the segment itself included. What arrives is decoded by
/// recursion, and a stack is finite.
pub const DEPTH_MAX: usize = 64;
