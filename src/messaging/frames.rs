//! A message as bytes, for transports that leave the process.
//!
//! Every number is little-endian. Whoever reads checks in this order: length, magic, version,
//! checksum, kind, flags, cluster; then the body.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | magic |
//! | 2 | 1 | version of this layout |
//! | 3 | 1 | kind: 1 segments, 2 acks, 3 completions, 4 retries |
//! | 4 | 4 | flags, none so far |
//! | 8 | 4 | length of the whole frame |
//! | 12 | 4 | CRC-32 of everything but this field |
//! | 16 | 8 | cluster: the hash of cluster and tenancy id |
//! | 24 | 8 | sequence of the frame on its link |
//! | 32 | 8 | allocation version, of segments |
//! | 40 | 16 | sender, of segments and acks |
//! | 56 | 16 | job, of segments |
//! | 72 | 16 | destination peer |
//! | 88 | | body |
//!
//! | kind | body |
//! |---|---|
//! | segments | task (length 4, text), batch (its own table) |
//! | acks | epoch 8, sequence 8, groups 4 × (source 16, epoch 8, acks 4 × (root 8, value 8)) |
//! | completions, retries | source 16, epoch 8, roots 4 × 8 |

use super::{Message, Retries, SegmentsMessage};
use crate::acking::{Ack, AckGroup, AckMessage, Completions};
use crate::codec::{Batch, CodecError, ColumnReader, WireError, put_column, put_count, put_text};
use crate::ids::{JobId, LogPosition, PeerId, TaskName};
use bytes::Bytes;
use uuid::Uuid;

/// No frame is longer.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 2] = *b"Ox";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 88;
const LENGTH_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const CHECKSUM_END: usize = CHECKSUM_AT + 4;

const SEGMENTS: u8 = 1;
const ACKS: u8 = 2;
const COMPLETIONS: u8 = 3;
const RETRIES: u8 = 4;

/// What a frame says beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The hash of cluster and tenancy id: frames of another cluster are refused.
    pub cluster: u64,
    /// The peer it is for; which of its inboxes, the message says.
    pub destination: PeerId,
    /// The how-manieth frame of its link it is.
    pub sequence: u64,
}

/// Why bytes are not a frame for us, or a message does not make one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not even a header.
    #[error("{0} bytes are shorter than the header of a frame, {HEADER_LEN} bytes")]
    TooShort(usize),
    /// Longer than any frame may be.
    #[error("a frame of {0} bytes is longer than {FRAME_BYTES_MAX}: split the batch")]
    TooLong(usize),
    /// Not a frame of ours.
    #[error("the frame begins with {0:02x?} instead of {MAGIC:02x?}: it is not one of ours")]
    Magic([u8; 2]),
    /// A frame of other software.
    #[error("the frame has version {0}, and this software reads version {VERSION}")]
    Version(u8),
    /// Cut off, or followed by something.
    #[error("the frame says that it has {said} bytes, and {found} arrived")]
    Length {
        /// What the frame says.
        said: u32,
        /// What arrived.
        found: usize,
    },
    /// Damaged on its way.
    #[error("the frame's checksum is {said:#010x}, and that of its bytes is {found:#010x}")]
    Checksum {
        /// What the frame says.
        said: u32,
        /// What its bytes give.
        found: u32,
    },
    /// An unknown kind of message.
    #[error("messages of kind {0} are not known")]
    Kind(u8),
    /// Flags that this version does not know.
    #[error("the frame has unknown flags {0:#010x}")]
    Flags(u32),
    /// From another cluster or tenancy.
    #[error("the frame is from cluster {found:#018x}, and this is {own:#018x}")]
    Cluster {
        /// Where it is from.
        found: u64,
        /// What we are.
        own: u64,
    },
    /// The body does not fit the kind.
    #[error("the body of the frame: {0}")]
    Body(#[from] WireError),
}

impl From<CodecError> for FrameError {
    fn from(error: CodecError) -> Self {
        FrameError::Body(error.into())
    }
}

/// Appends a frame. When it fails, nothing was appended.
pub fn encode_frame(
    envelope: &Envelope,
    message: &Message,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = out.len();
    let written = write(envelope, message, out);
    let length = out.len() - start;
    if let Err(error) = written {
        out.truncate(start);
        return Err(error);
    }
    if length > FRAME_BYTES_MAX {
        out.truncate(start);
        return Err(FrameError::TooLong(length));
    }
    let frame = &mut out[start..];
    frame[LENGTH_AT..CHECKSUM_AT].copy_from_slice(&(length as u32).to_le_bytes());
    let checksum = checksum(frame).to_le_bytes();
    frame[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&checksum);
    Ok(())
}

/// The message of exactly one frame of this cluster. Segments share the memory of the frame.
pub fn decode_frame(frame: Bytes, cluster: u64) -> Result<(Envelope, Message), FrameError> {
    let found = frame.len();
    if found < HEADER_LEN {
        return Err(FrameError::TooShort(found));
    }
    if found > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(found));
    }
    let computed = checksum(&frame);
    let mut reader = ColumnReader::new(frame);
    let magic = reader.number()?;
    let (version, kind) = (reader.u8()?, reader.u8()?);
    let (flags, length, said) = (reader.u32()?, reader.u32()?, reader.u32()?);
    if magic != MAGIC {
        return Err(FrameError::Magic(magic));
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    if length as usize != found {
        let said = length;
        return Err(FrameError::Length { said, found });
    }
    if said != computed {
        let found = computed;
        return Err(FrameError::Checksum { said, found });
    }
    if flags != 0 {
        return Err(FrameError::Flags(flags));
    }
    read(kind, cluster, reader)
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CHECKSUM_AT]);
    hasher.update(&frame[CHECKSUM_END..]);
    hasher.finalize()
}

fn write(envelope: &Envelope, message: &Message, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let nil = Uuid::nil();
    let (kind, version, sender, job) = match message {
        Message::Segments(it) => (SEGMENTS, it.version.0, it.sender.0, it.job.0),
        Message::Acks(it) => (ACKS, 0, it.sender.0, nil),
        Message::Completions(_) => (COMPLETIONS, 0, nil, nil),
        Message::Retries(_) => (RETRIES, 0, nil, nil),
    };
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind]);
    // Flags; the length and the checksum are filled in when they are known.
    out.extend_from_slice(&[0; CHECKSUM_END - 4]);
    put_u64(out, envelope.cluster);
    put_u64(out, envelope.sequence);
    put_u64(out, version);
    for id in [sender, job, envelope.destination.0] {
        out.extend_from_slice(id.as_bytes());
    }
    match message {
        Message::Segments(message) => {
            put_text(out, message.task.as_str())?;
            message.batch.write_to(out)?;
        }
        Message::Acks(message) => write_acks(message, out)?,
        Message::Completions(Completions {
            source,
            epoch,
            roots,
        })
        | Message::Retries(Retries {
            source,
            epoch,
            roots,
        }) => {
            out.extend_from_slice(source.0.as_bytes());
            put_u64(out, *epoch);
            put_count(out, "list of roots", roots.len())?;
            put_column(out, roots.iter().map(|root| root.to_le_bytes()));
        }
    }
    Ok(())
}

fn write_acks(message: &AckMessage, out: &mut Vec<u8>) -> Result<(), CodecError> {
    put_u64(out, message.epoch);
    put_u64(out, message.sequence);
    put_count(out, "list of groups", message.groups.len())?;
    for group in &message.groups {
        out.extend_from_slice(group.source.0.as_bytes());
        put_u64(out, group.epoch);
        put_count(out, "list of acks", group.acks.len())?;
        let pairs = group.acks.iter().flat_map(|ack| [ack.root, ack.value]);
        put_column(out, pairs.map(u64::to_le_bytes));
    }
    Ok(())
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Reads from the cluster on.
fn read(kind: u8, own: u64, mut reader: ColumnReader) -> Result<(Envelope, Message), FrameError> {
    let cluster = reader.u64()?;
    if cluster != own {
        let found = cluster;
        return Err(FrameError::Cluster { found, own });
    }
    let sequence = reader.u64()?;
    let version = LogPosition(reader.u64()?);
    let sender = PeerId(reader.id()?);
    let job = JobId(reader.id()?);
    let destination = PeerId(reader.id()?);
    let message = match kind {
        SEGMENTS => Message::Segments(SegmentsMessage {
            job,
            task: TaskName::from(reader.text()?),
            sender,
            version,
            batch: Batch::read_from(reader.rest())?,
        }),
        ACKS => Message::Acks(read_acks(sender, &mut reader)?),
        COMPLETIONS => Message::Completions(Completions {
            source: PeerId(reader.id()?),
            epoch: reader.u64()?,
            roots: read_roots(&mut reader)?,
        }),
        RETRIES => Message::Retries(Retries {
            source: PeerId(reader.id()?),
            epoch: reader.u64()?,
            roots: read_roots(&mut reader)?,
        }),
        _ => return Err(FrameError::Kind(kind)),
    };
    reader.end()?;
    let envelope = Envelope {
        cluster,
        destination,
        sequence,
    };
    Ok((envelope, message))
}

fn read_roots(reader: &mut ColumnReader) -> Result<Vec<u64>, CodecError> {
    let count = reader.count()?;
    reader.column(count, u64::from_le_bytes)
}

fn read_acks(sender: PeerId, reader: &mut ColumnReader) -> Result<AckMessage, CodecError> {
    let epoch = reader.u64()?;
    let sequence = reader.u64()?;
    let mut groups = Vec::new();
    for _ in 0..reader.count()? {
        let source = PeerId(reader.id()?);
        let epoch = reader.u64()?;
        let count = reader.count()?;
        let acks = reader.column(count, |pair: [u8; 16]| {
            let pair = u128::from_le_bytes(pair);
            Ack {
                root: pair as u64,
                value: (pair >> 64) as u64,
            }
        })?;
        groups.push(AckGroup {
            source,
            epoch,
            acks,
        });
    }
    Ok(AckMessage {
        sender,
        epoch,
        sequence,
        groups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{BatchMeta, EncodedBuilder, Origin, Row};
    use crate::ids::IdSource;
    use crate::segment::Segment;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const CLUSTER: u64 = 0x0123_4567_89ab_cdef;

    fn peer(seed: u64) -> PeerId {
        IdSource::from_seed(seed).peer()
    }

    fn envelope() -> Envelope {
        Envelope {
            cluster: CLUSTER,
            destination: peer(9),
            sequence: 77,
        }
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut frame = Vec::new();
        encode_frame(&envelope(), message, &mut frame).unwrap();
        frame
    }

    fn decoded(frame: &[u8]) -> Result<(Envelope, Message), FrameError> {
        decode_frame(Bytes::copy_from_slice(frame), CLUSTER)
    }

    fn segments(rows: Vec<(u16, u64, u64)>) -> Message {
        let mut payload = EncodedBuilder::default();
        for (index, _) in rows.iter().enumerate() {
            let segment: Segment = [("n", index as i64)].into_iter().collect();
            payload.push(&segment).unwrap();
        }
        let origins = [1, 2].map(|seed| Origin {
            source: peer(seed),
            acker: peer(seed + 10),
            epoch: seed,
        });
        let rows = rows.into_iter().map(|(origin, root, ack_value)| Row {
            origin,
            root,
            ack_value,
        });
        let meta = BatchMeta::from_rows(origins.into(), rows).unwrap();
        Message::Segments(SegmentsMessage {
            job: IdSource::from_seed(3).job(),
            task: "enrich".into(),
            sender: peer(4),
            version: LogPosition(5),
            batch: Batch::new(meta, payload.finish()).unwrap(),
        })
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let acks = vec((any::<u64>(), any::<u64>()), 0..20)
            .prop_map(|acks| acks.into_iter().map(|(root, value)| Ack { root, value }));
        let groups = vec((0..3_u64, any::<u64>(), acks), 0..4);
        let roots = || (0..9_u64, any::<u64>(), vec(any::<u64>(), 0..20));
        prop_oneof![
            vec((0..2_u16, any::<u64>(), any::<u64>()), 0..20).prop_map(segments),
            (any::<u64>(), any::<u64>(), groups).prop_map(|(epoch, sequence, groups)| {
                let group = |(source, epoch, acks): (u64, u64, _)| AckGroup {
                    source: peer(source),
                    epoch,
                    acks: Iterator::collect(acks),
                };
                Message::Acks(AckMessage {
                    sender: peer(8),
                    epoch,
                    sequence,
                    groups: groups.into_iter().map(group).collect(),
                })
            }),
            roots().prop_map(|(source, epoch, roots)| Message::Completions(Completions {
                source: peer(source),
                epoch,
                roots,
            })),
            roots().prop_map(|(source, epoch, roots)| Message::Retries(Retries {
                source: peer(source),
                epoch,
                roots,
            })),
        ]
    }

    proptest! {
        #[test]
        fn every_message_reads_back(message in any_message()) {
            prop_assert_eq!(decoded(&encoded(&message)), Ok((envelope(), message)));
        }

        #[test]
        fn bodies_that_lie_never_panic(
            message in any_message(),
            place in any::<prop::sample::Index>(),
            damage in vec(any::<u8>(), 1..9),
        ) {
            let mut frame = encoded(&message);
            let place = HEADER_LEN - 20 + place.index(frame.len() - HEADER_LEN + 20);
            for (byte, damage) in frame[place..].iter_mut().zip(damage) {
                *byte = damage;
            }
            let checksum = checksum(&frame).to_le_bytes();
            frame[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&checksum);
            let _ = decoded(&frame);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        for message in [segments(vec![(0, 1, 2), (1, 3, 4)]), segments(vec![])] {
            let frame = encoded(&message);
            for bit in 0..8 * frame.len() {
                let mut flipped = frame.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decoded(&flipped).is_err(), "bit {bit}");
            }
            for length in 0..frame.len() {
                assert!(decoded(&frame[..length]).is_err(), "{length} bytes");
            }
            assert!(decoded(&[&frame[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let frame = encoded(&segments(vec![(0, 1, 2)]));
        let with = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[at] = byte;
            let checksum = checksum(&frame).to_le_bytes();
            frame[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&checksum);
            decoded(&frame).unwrap_err()
        };
        assert_eq!(with(0, b'A'), FrameError::Magic(*b"Ax"));
        assert_eq!(with(2, 9), FrameError::Version(9));
        assert_eq!(with(3, 9), FrameError::Kind(9));
        assert_eq!(with(4, 1), FrameError::Flags(1));
        let (said, found) = (255, frame.len());
        assert_eq!(with(LENGTH_AT, 255), FrameError::Length { said, found });
        assert!(matches!(
            with(16, 0),
            FrameError::Cluster { own: CLUSTER, .. }
        ));
        let mut damaged = frame.clone();
        damaged[HEADER_LEN] ^= 1;
        assert!(matches!(
            decoded(&damaged),
            Err(FrameError::Checksum { .. })
        ));
        assert_eq!(decoded(&[1; 5]), Err(FrameError::TooShort(5)));
    }

    #[test]
    fn a_message_that_is_too_long_leaves_nothing_behind() {
        let message = Message::Retries(Retries {
            source: peer(1),
            epoch: 1,
            roots: vec![0; FRAME_BYTES_MAX / 8],
        });
        let mut out = vec![1, 2, 3];
        let refused = encode_frame(&envelope(), &message, &mut out);
        assert!(matches!(refused, Err(FrameError::TooLong(_))));
        assert_eq!(out, [1, 2, 3]);
    }
}
