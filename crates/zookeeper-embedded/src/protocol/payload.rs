//! What a node holds.

use std::sync::Arc;

use crate::jute::{Decoder, Encoder, Garbled};

/// The bytes of a node, or nothing at all, which clients can tell from no bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload(Option<Arc<[u8]>>);

impl Payload {
    pub(crate) const EMPTY: &'static [u8] = &[];

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.len())
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Garbled> {
        Ok(Self(decoder.nullable_buffer()?.map(Arc::from)))
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        match &self.0 {
            Some(bytes) => encoder.buffer(bytes),
            None => encoder.null(),
        }
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(Arc::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_no_bytes_differ() {
        for payload in [
            Payload::default(),
            Payload::from(Payload::EMPTY),
            Payload::from(b"x".as_slice()),
        ] {
            let mut bytes = Vec::new();
            Encoder::frame(&mut bytes, |encoder| payload.encode(encoder));
            let decoded = Payload::decode(&mut Decoder::new(&bytes[4..]));
            assert_eq!(decoded, Ok(payload));
        }
    }
}
