//! Frames whose body is compressed: after the header the length of the body as it was, and then the
//! body as a stream of DEFLATE.

use super::{FLAG_DEFLATED, FLAGS_AT, FRAME_BYTES_MAX, FrameError, HEADER_LEN, seal};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read, Write};

/// Shorter bodies are not worth the time.
const BODY_BYTES_MIN: usize = 512;
const LENGTH_LEN: usize = 4;

/// Compresses the body of a frame, unless that makes it no shorter.
pub fn deflate_frame(frame: &mut Vec<u8>) {
    let Some(body) = frame.get(HEADER_LEN..) else {
        return;
    };
    if body.len() < BODY_BYTES_MIN || frame[FLAGS_AT] & FLAG_DEFLATED != 0 {
        return;
    }
    let mut short = Vec::with_capacity(frame.len());
    short.extend_from_slice(&frame[..HEADER_LEN]);
    short.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let mut encoder = DeflateEncoder::new(short, Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    // Writing to memory does not fail; if it did, the frame goes as it is.
    let Ok(mut short) = written else { return };
    if short.len() >= frame.len() {
        return;
    }
    short[FLAGS_AT] |= FLAG_DEFLATED;
    seal(&mut short);
    *frame = short;
}

/// The body of a compressed frame. No more memory is taken than a frame may have.
pub(super) fn inflated(body: &Bytes) -> Result<Bytes, FrameError> {
    let Some((length, deflated)) = body.split_first_chunk::<LENGTH_LEN>() else {
        return Err(FrameError::Inflate("its length is missing".into()));
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut inflated = Vec::new();
    let mut decoder = DeflateDecoder::new(deflated).take(length as u64 + 1);
    let read = decoder.read_to_end(&mut inflated);
    let read = read.map_err(|error| FrameError::Inflate(error.to_string()))?;
    if read != length {
        let message = format!("it says {length} bytes and is others");
        return Err(FrameError::Inflate(message));
    }
    Ok(inflated.into())
}
