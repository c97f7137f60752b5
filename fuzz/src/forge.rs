//! Frames with a header that is in order and anything behind it: what only somebody who knows the
//! format could send, and no fuzzer would guess, since there is a checksum.
//!
//! An input is the kind, the flags, and what follows the cluster in a frame.

use onyx::messaging::{Control, Envelope, LinkId, encode_control};

/// The cluster that reads.
pub const CLUSTER: u64 = 0x0123_4567_89ab_cdef;
/// The length of the header.
pub const HEADER_LEN: usize = 88;

const KIND_AT: usize = 3;
const FLAGS: std::ops::Range<usize> = 4..8;
const LENGTH: std::ops::Range<usize> = 8..12;
const CHECKSUM: std::ops::Range<usize> = 12..16;
const CLUSTER_END: usize = 24;
/// The kind and the flags, of an input.
const CHOSEN_LEN: usize = 1 + 4;

/// The frame that an input stands for.
pub fn frame(input: &[u8]) -> Vec<u8> {
    let mut frame = any_frame();
    frame.truncate(CLUSTER_END);
    let mut chosen = [0; CHOSEN_LEN];
    let (given, rest) = input.split_at(input.len().min(CHOSEN_LEN));
    chosen[..given.len()].copy_from_slice(given);
    frame[KIND_AT..FLAGS.end].copy_from_slice(&chosen);
    frame.extend_from_slice(rest);
    frame.resize(frame.len().max(HEADER_LEN), 0);
    let length = frame.len() as u32;
    frame[LENGTH].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&frame);
    frame[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    frame
}

/// The input that stands for a frame.
pub fn input(frame: &[u8]) -> Vec<u8> {
    [&frame[KIND_AT..FLAGS.end], &frame[CLUSTER_END..]].concat()
}

/// Whether the flags of a frame are those that every version knows: none.
pub fn is_plain(frame: &[u8]) -> bool {
    frame[FLAGS] == [0; 4]
}

/// Whether whoever reads a frame is to look beyond its checksum.
pub fn is_whole(frame: &[u8]) -> bool {
    frame.len() >= HEADER_LEN
        && frame[..KIND_AT] == any_frame()[..KIND_AT]
        && frame[LENGTH] == (frame.len() as u32).to_le_bytes()
        && frame[CHECKSUM] == checksum(frame).to_le_bytes()
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CHECKSUM.start]);
    hasher.update(&frame[CHECKSUM.end..]);
    hasher.finalize()
}

/// A frame as this version writes it, with nothing of interest in it.
fn any_frame() -> Vec<u8> {
    let envelope = Envelope {
        cluster: CLUSTER,
        epoch: 0,
        link: LinkId(0),
        sequence: 0,
    };
    let mut frame = Vec::new();
    let control = Control::Leave { link: LinkId(0) };
    encode_control(&envelope, &control, &mut frame).expect("a small frame");
    frame
}
