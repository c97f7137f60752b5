//! A message as bytes, for transports that leave the process.
//!
//! Every number is little-endian. Whoever reads checks in this order: length, magic, version,
//! checksum, flags, cluster, kind; then the body.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | magic |
//! | 2 | 1 | version of this layout |
//! | 3 | 1 | kind: 1 segments, 2 acks, 3 completions, 4 retries, 5 inquiry, 6 progress; 16 open, 17 grant, 18 refuse, 19 leave |
//! | 4 | 4 | flags: 1, the body is compressed |
//! | 8 | 4 | length of the whole frame |
//! | 12 | 4 | CRC-32 of everything but this field |
//! | 16 | 8 | cluster: a hash of the number of its log and the tenancy id |
//! | 24 | 8 | epoch: the life of the sending transport |
//! | 32 | 8 | link: the short id that whoever receives it gave it |
//! | 40 | 8 | sequence of the frame on its link, of messages |
//! | 48 | 8 | allocation version, of segments |
//! | 56 | 16 | sender, of segments and acks |
//! | 72 | 16 | job, of segments |
//! | 88 | | body |
//!
//! | kind | body |
//! |---|---|
//! | segments | task (length 4, text), batch (its own table) |
//! | roots, in those below | source 16, epoch 8, word 1, width 1, first root 8, count 4, count × offset from the first in 2, 4 or 8 bytes |
//! | acks | epoch 8, sequence 8, groups 4 × (roots, count × value 8); the word: whether something was written |
//! | completions | roots; the word: whether something was written |
//! | retries | roots, reason (length 4, text); the word: the cause |
//! | inquiry | roots, number 8, quiet 4 |
//! | progress | roots, number 8, peer 16 |
//! | open | link 8, sent 8, limit 8, heard 8, inbox 1, peer 16, site (length 4, text) |
//! | grant | link 8, limit 8, taken 8, number 8 |
//! | refuse | link 8, reason 1 |
//! | leave | link 8 |
//! | any, compressed | length of the body 4, the body as a stream of DEFLATE |

mod bodies;
mod control;
mod deflate;

pub use control::{Control, LinkId, Open, RefuseReason};
pub use deflate::deflate_frame;

use super::Message;
use crate::codec::{Batch, CodecError, ColumnReader, WireError, put_text};
use crate::ids::{JobId, LogPosition, PeerId, TaskName};
use crate::messaging::SegmentsMessage;
use bytes::Bytes;
use uuid::Uuid;

/// No frame is longer.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 2] = *b"Ox";
const VERSION: u8 = 4;
pub(super) const HEADER_LEN: usize = 88;
const FLAGS_AT: usize = 4;
const FLAG_DEFLATED: u8 = 1;
const LENGTH_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const CHECKSUM_END: usize = CHECKSUM_AT + 4;

const SEGMENTS: u8 = 1;
const ACKS: u8 = 2;
const COMPLETIONS: u8 = 3;
const RETRIES: u8 = 4;
const INQUIRY: u8 = 5;
const PROGRESS: u8 = 6;

/// What a frame says beside what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// A hash of the number of its log and the tenancy id: frames of another cluster are refused.
    pub cluster: u64,
    /// The life of the transport that sends it. What an earlier life said is refused.
    pub epoch: u64,
    /// The link it belongs to, as its receiver calls it; 0 for what opens a link.
    pub link: LinkId,
    /// The how-manieth message of its link it is, from 0; 0 for what is no message.
    pub sequence: u64,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Cargo {
    /// Something for an inbox.
    Message(Message),
    /// Something that transports say to each other.
    Control(Control),
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
    /// An unknown kind.
    #[error("frames of kind {0} are not known")]
    Kind(u8),
    /// The compressed body is not what it says.
    #[error("the compressed body of the frame cannot be read: {0}")]
    Inflate(String),
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
    /// A word about a link or about roots that this version does not know.
    #[error("the frame says {0} of a link or of roots, which is not known")]
    Word(u8),
    /// Roots in another form than the one in which they are written.
    #[error(
        "the frame's roots are not counted from the least of them, in as few bytes as they need"
    )]
    Roots,
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
    enclose(out, |out| write_message(envelope, message, out))
}

/// Appends a frame of what transports say to each other. When it fails, nothing was appended.
pub fn encode_control(
    envelope: &Envelope,
    control: &Control,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    enclose(out, |out| {
        put_header(out, envelope, control.kind(), Subject::default());
        Ok(control.write(out)?)
    })
}

/// What exactly one frame of this cluster carries. Segments share the memory of the frame.
pub fn decode_frame(frame: Bytes, cluster: u64) -> Result<(Envelope, Cargo), FrameError> {
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
    let form = match flags {
        0 => Form::Plain,
        flags if flags == u32::from(FLAG_DEFLATED) => Form::Deflated,
        flags => return Err(FrameError::Flags(flags)),
    };
    read((kind, form), cluster, reader)
}

fn enclose(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), FrameError>,
) -> Result<(), FrameError> {
    let start = out.len();
    let written = write(out);
    let length = out.len() - start;
    if let Err(error) = written {
        out.truncate(start);
        return Err(error);
    }
    if length > FRAME_BYTES_MAX {
        out.truncate(start);
        return Err(FrameError::TooLong(length));
    }
    seal(&mut out[start..]);
    Ok(())
}

/// Fills in what depends on the whole frame.
fn seal(frame: &mut [u8]) {
    let length = frame.len() as u32;
    frame[LENGTH_AT..CHECKSUM_AT].copy_from_slice(&length.to_le_bytes());
    put_checksum(frame);
}

fn put_checksum(frame: &mut [u8]) {
    let checksum = checksum(frame).to_le_bytes();
    frame[CHECKSUM_AT..CHECKSUM_END].copy_from_slice(&checksum);
}

/// How the body of a frame is written.
enum Form {
    Plain,
    Deflated,
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CHECKSUM_AT]);
    hasher.update(&frame[CHECKSUM_END..]);
    hasher.finalize()
}

/// Allocation version, sender and job of a message; nil where its kind does not say.
#[derive(Default)]
struct Subject(u64, Uuid, Uuid);

fn put_header(out: &mut Vec<u8>, envelope: &Envelope, kind: u8, subject: Subject) {
    let Subject(version, sender, job) = subject;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind]);
    // Flags; the length and the checksum are filled in when they are known.
    out.extend_from_slice(&[0; CHECKSUM_END - 4]);
    for number in [
        envelope.cluster,
        envelope.epoch,
        envelope.link.0,
        envelope.sequence,
        version,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(sender.as_bytes());
    out.extend_from_slice(job.as_bytes());
}

fn write_message(
    envelope: &Envelope,
    message: &Message,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let (kind, subject) = match message {
        Message::Segments(it) => (SEGMENTS, Subject(it.version.0, it.sender.0, it.job.0)),
        Message::Acks(it) => (ACKS, Subject(0, it.sender.0, Uuid::nil())),
        Message::Completions(_) => (COMPLETIONS, Subject::default()),
        Message::Retries(_) => (RETRIES, Subject::default()),
        Message::Inquiry(_) => (INQUIRY, Subject::default()),
        Message::Progress(_) => (PROGRESS, Subject::default()),
    };
    put_header(out, envelope, kind, subject);
    match message {
        Message::Segments(message) => {
            put_text(out, message.task.as_str())?;
            message.batch.write_to(out)?;
        }
        Message::Acks(message) => bodies::write_acks(message, out)?,
        Message::Completions(it) => bodies::write_completions(it, out)?,
        Message::Retries(it) => bodies::write_retries(it, out)?,
        Message::Inquiry(it) => bodies::write_inquiry(it, out)?,
        Message::Progress(it) => bodies::write_progress(it, out)?,
    }
    Ok(())
}

/// Reads from the cluster on.
fn read(
    (kind, form): (u8, Form),
    own: u64,
    mut reader: ColumnReader,
) -> Result<(Envelope, Cargo), FrameError> {
    let cluster = reader.u64()?;
    if cluster != own {
        let found = cluster;
        return Err(FrameError::Cluster { found, own });
    }
    let envelope = Envelope {
        cluster,
        epoch: reader.u64()?,
        link: LinkId(reader.u64()?),
        sequence: reader.u64()?,
    };
    let version = LogPosition(reader.u64()?);
    let sender = PeerId(reader.id()?);
    let job = JobId(reader.id()?);
    if let Form::Deflated = form {
        reader = ColumnReader::new(deflate::inflated(&reader.rest())?);
    }
    let message = match kind {
        SEGMENTS => Message::Segments(SegmentsMessage {
            job,
            task: TaskName::from(reader.text()?),
            sender,
            version,
            batch: Batch::read_from(reader.rest())?,
        }),
        ACKS => Message::Acks(bodies::read_acks(sender, &mut reader)?),
        COMPLETIONS => Message::Completions(bodies::read_completions(&mut reader)?),
        RETRIES => Message::Retries(bodies::read_retries(&mut reader)?),
        INQUIRY => Message::Inquiry(bodies::read_inquiry(&mut reader)?),
        PROGRESS => Message::Progress(bodies::read_progress(&mut reader)?),
        _ => {
            let control = Control::read(kind, &mut reader)?;
            reader.end()?;
            return Ok((envelope, Cargo::Control(control)));
        }
    };
    reader.end()?;
    Ok((envelope, Cargo::Message(message)))
}

#[cfg(test)]
mod tests;
