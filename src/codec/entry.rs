//! Payloads of the log and of stored job data: a format version, then named MessagePack.
//!
//! Fields are written with their names, so that a field added later does not shift the others.

use super::reader::Reader;
use super::{CodecError, DEPTH_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Cursor;

/// The first byte of every payload. It changes when an old reader would misunderstand a new writer.
pub const FORMAT_VERSION: u8 = 2;

/// The payload of a value.
pub fn to_payload<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut payload = vec![FORMAT_VERSION];
    rmp_serde::encode::write_named(&mut payload, value)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    Ok(payload)
}

/// The value of a payload. Another format version is told apart from garbage, because the way out
/// is another: the same software on every node.
pub fn from_payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    let Some((&found, value)) = payload.split_first() else {
        return Err(CodecError::Truncated { at: 0, needed: 1 });
    };
    if found != FORMAT_VERSION {
        return Err(CodecError::OtherFormat {
            found,
            supported: FORMAT_VERSION,
        });
    }
    // Serde reserves memory for what a length announces, up to a mebibyte at each level.
    let whole = Reader::new(value).skip();
    whole.map_err(|fault| CodecError::Malformed(fault.to_string()))?;
    let mut deserializer = rmp_serde::Deserializer::new(Cursor::new(value));
    // Deep nesting would otherwise end the process: a stack overflow cannot be caught.
    deserializer.set_max_depth(DEPTH_MAX);
    let read = T::deserialize(&mut deserializer)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    let end = usize::try_from(deserializer.position()).unwrap_or(usize::MAX);
    match value.len().saturating_sub(end) {
        0 => Ok(read),
        extra => Err(CodecError::TrailingBytes { at: end + 1, extra }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Segment, Value};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Entry {
        position: u64,
        command: Command,
        note: Option<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Command {
        Join { peers: Vec<String> },
        Leave,
    }

    fn entry() -> Entry {
        Entry {
            position: u64::MAX,
            command: Command::Join {
                peers: vec!["a".into(), "b".into()],
            },
            note: None,
        }
    }

    #[test]
    fn a_value_reads_back() {
        let payload = to_payload(&entry()).unwrap();
        assert_eq!(payload[0], FORMAT_VERSION);
        assert_eq!(from_payload::<Entry>(&payload), Ok(entry()));
        let leave = to_payload(&Command::Leave).unwrap();
        assert_eq!(from_payload::<Command>(&leave), Ok(Command::Leave));
    }

    #[test]
    fn fields_are_named_so_that_another_order_and_new_ones_do_no_harm() {
        #[derive(Serialize)]
        struct Newer {
            added_later: bool,
            note: Option<String>,
            command: Command,
            position: u64,
        }
        let newer = Newer {
            added_later: true,
            note: None,
            command: Command::Leave,
            position: 7,
        };
        let read: Entry = from_payload(&to_payload(&newer).unwrap()).unwrap();
        assert_eq!((read.position, read.command), (7, Command::Leave));
    }

    #[test]
    fn another_format_is_not_garbage() {
        let mut payload = to_payload(&entry()).unwrap();
        payload[0] = 9;
        let error = from_payload::<Entry>(&payload).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the payload has format version 9, and this software reads version 2: \
             run the same version on every node"
        );
        let garbage = from_payload::<Entry>(&[FORMAT_VERSION, 0xc1]);
        assert!(matches!(garbage, Err(CodecError::Malformed(_))));
        assert!(from_payload::<Entry>(&[]).is_err());
    }

    #[test]
    fn nothing_may_follow_the_value() {
        let mut payload = to_payload(&7_u8).unwrap();
        payload.push(0);
        let refused = CodecError::TrailingBytes { at: 2, extra: 1 };
        assert_eq!(from_payload::<u8>(&payload), Err(refused));
    }

    #[test]
    fn deep_nesting_and_vast_lengths_are_errors() {
        let mut deep = vec![FORMAT_VERSION];
        deep.extend(std::iter::repeat_n(0x91, 100_000));
        deep.push(0xc0);
        assert!(from_payload::<Value>(&deep).is_err());
        let vast = [FORMAT_VERSION, 0xdd, 0xff, 0xff, 0xff, 0xff];
        assert!(from_payload::<Value>(&vast).is_err());
        assert!(from_payload::<Vec<u64>>(&vast).is_err());
    }

    #[test]
    fn lengths_are_not_believed_at_any_level_before_the_values_are_there() {
        let nested = [&[FORMAT_VERSION][..], &[0xdc, 0x0f, 0xff].repeat(60)].concat();
        let refused = from_payload::<Value>(&[&nested[..], &[0xc0; 4095]].concat());
        let CodecError::Malformed(reason) = refused.unwrap_err() else {
            panic!("not refused for its lengths");
        };
        assert_eq!(
            reason,
            "byte 4275: 1 more bytes were announced than the data has"
        );
        let large = to_payload(&vec![u64::MAX]).unwrap();
        assert_eq!(from_payload(&large), Ok(vec![u64::MAX]));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let payload = [&[FORMAT_VERSION], bytes.as_slice()].concat();
            let _ = from_payload::<Entry>(&payload);
            let _ = from_payload::<Segment>(&payload);
        }
    }
}
