//! What is fuzzed: one module for each kind of bytes that others hand us, each with a `check` that
//! asserts what holds whatever the bytes are. The fuzzer calls it with what it makes up,
//! `tests/corpus.rs` with what was kept.

pub mod acks;
pub mod entries;
pub mod forge;
pub mod frames;
pub mod jobs;
pub mod replicas;
pub mod segments;

/// One kind of bytes: its name, which is that of its folder in `tests/corpus`, and what holds.
pub type Target = (&'static str, fn(&[u8]));

/// All kinds.
pub const TARGETS: [Target; 6] = [
    ("frames", frames::check),
    ("segments", segments::check),
    ("acks", acks::check),
    ("entries", entries::check),
    ("jobs", jobs::check),
    ("replicas", replicas::check),
];

/// The parts of an input that stands for several things one after another: each with its length of
/// 16 bits before it. What follows a length that is too long is one part.
pub fn parts(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (part, rest) = rest.split_at(length);
        parts.push(part);
        data = rest;
    }
    parts
}

/// The input that stands for these parts.
pub fn joined<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let with_length = |part: &[u8]| {
        let length = u16::try_from(part.len()).expect("a short part");
        [&length.to_le_bytes(), part].concat()
    };
    parts.into_iter().flat_map(with_length).collect()
}
