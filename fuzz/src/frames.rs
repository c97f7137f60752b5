//! Frames: what arrives from other processes, or from anybody.

use super::forge::{self, CLUSTER};
use bytes::Bytes;
use onyx::codec::{Batch, Decoder};
use onyx::messaging::{
    Cargo, Envelope, FRAME_BYTES_MAX, FrameError, Message, decode_frame, encode_control,
    encode_frame,
};

/// An input is a frame, and stands for a second one with a header that is in order.
pub fn check(data: &[u8]) {
    read(data);
    read(&forge::frame(data));
}

/// Reads a frame. What it carries is no larger than the frame and reads back; the frame is refused
/// as soon as a bit of it differs. Otherwise the reason is the right one.
pub fn read(frame: &[u8]) -> Option<(Envelope, Cargo)> {
    match decode(frame) {
        Ok((envelope, cargo)) => {
            assert!(forge::is_whole(frame), "taken, and not in order");
            assert_eq!(envelope.cluster, CLUSTER);
            if let Cargo::Message(Message::Segments(message)) = &cargo {
                is_bounded(&message.batch, frame);
            }
            reads_back(&envelope, &cargo);
            is_refused_when_damaged(frame);
            Some((envelope, cargo))
        }
        Err(error) => {
            is_the_right_reason(&error, frame);
            None
        }
    }
}

/// The frame of what was read.
pub fn written(envelope: &Envelope, cargo: &Cargo) -> Vec<u8> {
    let mut frame = Vec::new();
    let written = match cargo {
        Cargo::Message(message) => encode_frame(envelope, message, &mut frame),
        Cargo::Control(control) => encode_control(envelope, control, &mut frame),
    };
    written.expect("what was read can be written");
    frame
}

fn decode(frame: &[u8]) -> Result<(Envelope, Cargo), FrameError> {
    decode_frame(Bytes::copy_from_slice(frame), CLUSTER)
}

fn reads_back(envelope: &Envelope, cargo: &Cargo) {
    let again = decode(&written(envelope, cargo)).expect("what was written can be read");
    assert_eq!(again, (*envelope, cargo.clone()));
}

/// Nothing that a frame says of a batch makes it larger than the frame, or than a frame may be when
/// it is packed. A segment of it that lies is noticed when it is decoded.
fn is_bounded(batch: &Batch, frame: &[u8]) {
    let rows = batch.len() * (8 + 4);
    let origins = batch.meta().origins().len() * 40;
    let bytes = batch.payload().byte_len();
    let limit = match forge::is_plain(frame) {
        true => frame.len(),
        false => FRAME_BYTES_MAX,
    };
    assert!(rows + origins + bytes <= limit, "larger than its frame");
    let mut segments = Vec::new();
    let decoded = batch
        .payload()
        .decode_all_over(&mut Decoder::default(), &mut segments);
    assert!(decoded.is_err() || segments.len() == batch.len());
}

fn is_refused_when_damaged(frame: &[u8]) {
    // A few places of every part; where is decided by the bytes, so that it is the same each time.
    let draw = frame.iter().fold(frame.len(), |sum, byte| {
        sum.wrapping_mul(31) ^ usize::from(*byte)
    });
    let places = [0, 8, 16, draw % frame.len(), frame.len() - 1];
    for (count, place) in places.into_iter().enumerate() {
        let mut damaged = frame.to_vec();
        damaged[place] ^= 1 << ((draw >> count) % 8);
        assert!(decode(&damaged).is_err(), "byte {place} was altered");
    }
    assert!(decode(&frame[..draw % frame.len()]).is_err(), "cut off");
}

/// Senders are told apart by these reasons: those who are damaged, older, or strangers.
fn is_the_right_reason(error: &FrameError, frame: &[u8]) {
    assert!(!error.to_string().is_empty());
    match error {
        FrameError::TooShort(length) => assert!(*length == frame.len()),
        FrameError::TooLong(_) => assert!(frame.len() > FRAME_BYTES_MAX || !forge::is_plain(frame)),
        FrameError::Magic(found) => assert_eq!(frame[..2], *found),
        FrameError::Version(found) => assert_eq!(frame[2], *found),
        FrameError::Length { said, found } => {
            assert_eq!(*found, frame.len());
            assert_ne!(*said as usize, frame.len());
        }
        FrameError::Checksum { said, found } => assert_ne!(said, found),
        FrameError::Cluster { found, own } => assert_ne!(found, own),
        _ => assert!(forge::is_whole(frame), "{error}, but the frame is damaged"),
    }
}
