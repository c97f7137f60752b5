//! Messaging: how segments, acks, completions and retries get from one virtual peer to another.
//!
//! A transport hands out inboxes and links to them. Both are bounded: a link that is full says so,
//! and its owner waits; nothing is dropped. A link keeps the order of what was sent on it.

#[cfg(feature = "aeron")]
pub mod aeron;
mod altered;
#[cfg(test)]
mod contract;
mod frames;
mod held;
mod inbox;
mod links;
mod local;
mod threshold;

pub(crate) use altered::Altered;
pub use frames::{
    Cargo, Control, Envelope, FRAME_BYTES_MAX, FrameError, LinkId, Open, RefuseReason,
    decode_frame, deflate_frame, encode_control, encode_frame,
};
pub use inbox::{Inbox, InboxCounts};
pub use links::Links;
pub use local::LocalTransport;

use crate::acking::{AckMessage, Completions, Inquiry, Progress, Retries};
use crate::codec::{Batch, BatchMeta};
use crate::ids::{AllocationVersion, GroupId, JobId, PeerId, TaskName};
use crate::replica::{Member, SharedMap, Site};
use futures_util::future::BoxFuture;
use std::fmt;
use tokio::sync::watch;

/// What virtual peers say to each other while a job runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Segments for a task.
    Segments(SegmentsMessage),
    /// Acks for an acking daemon.
    Acks(AckMessage),
    /// From an acking daemon to the source: these roots are complete.
    Completions(Completions),
    /// From any task to the source: these roots could not be brought to an end.
    Retries(Retries),
    /// From the source to an acking daemon: are these roots alive?
    Inquiry(Inquiry),
    /// The answer.
    Progress(Progress),
}

/// Segments on their way to the next task.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentsMessage {
    /// The job.
    pub job: JobId,
    /// The task they are for.
    pub task: TaskName,
    /// Who sends them.
    pub sender: PeerId,
    /// The allocation that the sender routed by.
    pub version: AllocationVersion,
    /// The segments.
    pub batch: Batch,
}

/// Every virtual peer has two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboxKind {
    /// Of the task it runs.
    Task,
    /// Of its acking daemon.
    Acker,
}

/// An inbox has places of so many bytes.
pub const PLACE_BYTES: usize = 64 << 10;
/// A root takes so many bytes, and an ack of one.
const ROOT_BYTES: usize = 8;
const ACK_BYTES: usize = 16;

impl Message {
    /// How many places of an inbox it takes: one, or as many as its bytes fill. So what an inbox may
    /// hold is bounded in bytes, whatever the size of segments. Both ends of a link count alike.
    pub fn places(&self) -> u64 {
        let bytes = match self {
            Message::Segments(it) => it.batch.wire_len(),
            Message::Acks(it) => it.groups.iter().map(|it| it.acks.len() * ACK_BYTES).sum(),
            about_roots => about_roots.roots().len() * ROOT_BYTES,
        };
        bytes.div_ceil(PLACE_BYTES).max(1) as u64
    }

    /// The roots of which it says something; none when it carries something for each.
    pub fn roots(&self) -> &[u64] {
        match self {
            Message::Segments(_) | Message::Acks(_) => &[],
            Message::Completions(it) => &it.roots,
            Message::Retries(it) => &it.roots,
            Message::Inquiry(it) => &it.roots,
            Message::Progress(it) => &it.alive,
        }
    }

    /// Which of a peer's inboxes this is for.
    pub fn inbox(&self) -> InboxKind {
        match self {
            Message::Acks(_) | Message::Inquiry(_) => InboxKind::Acker,
            Message::Segments(_)
            | Message::Completions(_)
            | Message::Retries(_)
            | Message::Progress(_) => InboxKind::Task,
        }
    }
}

impl fmt::Display for InboxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InboxKind::Task => "task",
            InboxKind::Acker => "acker",
        })
    }
}

/// Where inboxes and links come from.
pub trait Transport: Send + Sync {
    /// Opens an inbox of a peer of this process with so many places of [`PLACE_BYTES`]. Dropping the
    /// inbox closes it.
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError>;

    /// A link to the inbox that is open now. When that inbox closes, so does the link, even if
    /// another is opened under the same name.
    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError>;

    /// The longest segment, encoded, that can be sent at all.
    fn segment_bytes_max(&self) -> usize;

    /// Which of these roots of a source and its epoch a peer of this process has segments of: its
    /// task has them in its inbox, or has not come to an end with them.
    fn held(&self, by: PeerId, of: (PeerId, u64), roots: &[u64]) -> Vec<u64>;

    /// Closes the inboxes of a dead peer of this process for every sender, although they may still
    /// be held. What is sent to it after its death is told as closed, not lost.
    fn shut(&self, peer: PeerId);

    /// Closes one inbox of a peer of this process for every sender, although an abandoned task may still
    /// hold it: the name is free for the inbox of the next task.
    fn shut_inbox(&self, peer: PeerId, kind: InboxKind);

    /// Where this process is reached, in the transport's own words: what its peers tell the cluster.
    fn site(&self, group: GroupId) -> Site;

    /// Takes over who is in the cluster, whenever that has changed: a transport that leaves the
    /// process finds their sites there.
    fn learn_sites(&self, members: &SharedMap<PeerId, Member>);

    /// What arrived and was not taken, by reason, since the start.
    fn refused(&self) -> Vec<(&'static str, u64)>;

    /// Whether the transport works, or why not.
    fn alive(&self) -> Result<(), String>;

    /// A number that grows whenever everything was lost that was under way on all links.
    fn losses(&self) -> u64;

    /// Changes whenever a link has broken. Whoever has links looks then what they have lost.
    fn broken(&self) -> watch::Receiver<()>;
}

/// One way to one inbox.
pub trait Link: Send {
    /// Sends, or gives back what was not sent: the message, or the rest of its batch.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError>;

    /// Waits until there is room. Somebody else may take it before it is used.
    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>>;

    /// Of a link that has broken: what it does not know to have been taken, once. Links within a
    /// process do not break.
    fn take_lost(&mut self) -> Vec<Lost> {
        Vec::new()
    }
}

/// What was on a link that broke. Some of it may have been taken all the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Lost {
    /// Segments. Their sources have them, and play them again.
    Segments(BatchMeta),
    /// A word about roots, that can be said twice.
    Word(Message),
}

/// What has to be known of a message if the link breaks that it was sent on.
impl From<Message> for Lost {
    fn from(sent: Message) -> Self {
        match sent {
            Message::Segments(segments) => Lost::Segments(segments.batch.into_parts().0),
            word => Lost::Word(word),
        }
    }
}

/// The message was not sent, and this is it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrySendError {
    /// The inbox is full: wait until the link is ready.
    #[error("the inbox is full")]
    Full(Message),
    /// The inbox is closed for good.
    #[error("the inbox is closed")]
    Closed(Message),
    /// It is larger than what the transport can carry, and will never be sent. What could be sent of
    /// a batch was; the segment that could not is the first of the message.
    #[error("{bytes} bytes are more than the transport can carry at once, {limit}")]
    TooLarge {
        /// What was not sent.
        message: Message,
        /// How large it would be, or its first segment.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
}

/// The inbox at the other end is closed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the inbox is closed")]
pub struct LinkClosed;

/// Why there is no inbox or no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No such inbox is open.
    #[error("peer {peer} has no open {kind} inbox: it has not started, or is gone")]
    UnknownPeer {
        /// The peer.
        peer: PeerId,
        /// Which of its inboxes.
        kind: InboxKind,
    },
    /// The inbox is open already.
    #[error("the {kind} inbox of peer {peer} is open already: drop it before it is opened again")]
    AlreadyOpen {
        /// The peer.
        peer: PeerId,
        /// Which of its inboxes.
        kind: InboxKind,
    },
}
