//! What can be wrong with bytes, with the place where it is wrong.

use super::DEPTH_MAX;

/// Why bytes could not be read, or a value not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A length points beyond the end.
    #[error("byte {at}: {needed} more bytes were announced than the data has")]
    Truncated {
        /// Where the data ended.
        at: usize,
        /// How many bytes are missing.
        needed: usize,
    },
    /// Something follows a complete value.
    #[error("byte {at}: {extra} bytes follow the end of the value")]
    TrailingBytes {
        /// Where the value ended.
        at: usize,
        /// How many bytes follow it.
        extra: usize,
    },
    /// Lists and maps nest too deep.
    #[error("byte {at}: nested deeper than {DEPTH_MAX} levels")]
    TooDeep {
        /// Where the level too many begins.
        at: usize,
    },
    /// An extension type, or the byte that MessagePack never uses.
    #[error("byte {at}: type {marker:#04x} is not one that a segment can hold")]
    UnknownType {
        /// Where.
        at: usize,
        /// The type byte.
        marker: u8,
    },
    /// Something else was expected here.
    #[error("byte {at}: expected {expected}, found {found}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What was expected.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// Text that is not UTF-8.
    #[error("byte {at}: the text is not UTF-8")]
    NotUtf8 {
        /// Where the text begins.
        at: usize,
    },
    /// A map that has a key twice.
    #[error("byte {at}: the key {key:?} occurs twice in one map")]
    DuplicateKey {
        /// Where the second one is.
        at: usize,
        /// The key.
        key: String,
    },
    /// An unsigned integer that does not fit the 64-bit integers of segments.
    #[error("byte {at}: the integer {found} is larger than {}", i64::MAX)]
    IntegerTooLarge {
        /// Where.
        at: usize,
        /// The integer.
        found: u64,
    },
    /// A string, list, map or payload too long for its 32-bit length.
    #[error("a {what} of {length} is longer than a length of 32 bits can say")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes or elements.
        length: usize,
    },
    /// The ends of the segments in a payload do not fit its bytes.
    #[error("segment {index} of the payload ends before it begins or beyond the {bytes} bytes")]
    BadEnds {
        /// The segment.
        index: usize,
        /// How many bytes the payload has.
        bytes: usize,
    },
    /// A payload of another version of this software.
    #[error(
        "the payload has format version {found}, and this software reads version {supported}: \
         run the same version on every node"
    )]
    OtherFormat {
        /// The version found.
        found: u8,
        /// The version that can be read.
        supported: u8,
    },
    /// A payload that serde could not read or write.
    #[error("the payload is not a valid value: {0}")]
    Malformed(String),
}

/// An error inside the codec: a pointer, so that the result of reading a value is no larger than
/// the value and stays in registers.
pub(super) type Fault = Box<CodecError>;
