//! What transports say to each other about links: who wants one, how much it may send, when it ends.

use super::FrameError;
use crate::codec::{CodecError, ColumnReader, put_text};
use crate::ids::PeerId;
use crate::messaging::InboxKind;

/// The short id of a link. Each end gives its own, and is called by it. No end gives one twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// A word about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// To the receiver: a link is wanted, or is it still there? Said again until it is answered.
    Open(Open),
    /// To the sender: its messages may begin at places below the limit.
    Grant {
        /// What the receiver calls the link.
        link: LinkId,
        /// The limit. It falls only to what the sender has said that it keeps.
        limit: u64,
        /// How many places were left again, since their messages were taken.
        taken: u64,
        /// The how-manieth grant of the link this is, from 1.
        number: u64,
    },
    /// To the sender: the link has ended, or there is none.
    Refuse {
        /// What the sender calls the link.
        link: LinkId,
        /// Why.
        reason: RefuseReason,
    },
    /// To the receiver: the sender does not need the link any more.
    Leave {
        /// What the sender calls the link.
        link: LinkId,
    },
}

/// A wish for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// What the sender calls the link.
    pub link: LinkId,
    /// How many messages it has sent on it: who knows of fewer has lost some.
    pub sent: u64,
    /// The limit that it keeps: less than it was granted when it has sent nothing for a while.
    pub limit: u64,
    /// How many grants it has heard: the receiver may have said another meanwhile.
    pub heard: u64,
    /// To which inbox.
    pub inbox: InboxKind,
    /// Of which peer.
    pub peer: PeerId,
    /// Where the sender is to be answered.
    pub site: String,
}

/// Why a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// No such inbox is open, or it has closed.
    NoInbox,
    /// Messages on the link were lost.
    Gap,
    /// More was sent than had been granted.
    BeyondLimit,
}

const OPEN: u8 = 16;
const GRANT: u8 = 17;
const REFUSE: u8 = 18;
const LEAVE: u8 = 19;

impl Control {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Control::Open(_) => OPEN,
            Control::Grant { .. } => GRANT,
            Control::Refuse { .. } => REFUSE,
            Control::Leave { .. } => LEAVE,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let link = match self {
            Control::Open(open) => open.link,
            Control::Grant { link, .. }
            | Control::Refuse { link, .. }
            | Control::Leave { link } => *link,
        };
        out.extend_from_slice(&link.0.to_le_bytes());
        match self {
            Control::Open(open) => {
                for figure in [open.sent, open.limit, open.heard] {
                    out.extend_from_slice(&figure.to_le_bytes());
                }
                out.push(match open.inbox {
                    InboxKind::Task => 0,
                    InboxKind::Acker => 1,
                });
                out.extend_from_slice(open.peer.0.as_bytes());
                put_text(out, &open.site)?;
            }
            Control::Grant {
                limit,
                taken,
                number,
                ..
            } => {
                for figure in [limit, taken, number] {
                    out.extend_from_slice(&figure.to_le_bytes());
                }
            }
            Control::Refuse { reason, .. } => out.push(match reason {
                RefuseReason::NoInbox => 0,
                RefuseReason::Gap => 1,
                RefuseReason::BeyondLimit => 2,
            }),
            Control::Leave { .. } => {}
        }
        Ok(())
    }

    pub(super) fn read(kind: u8, reader: &mut ColumnReader) -> Result<Control, FrameError> {
        if !(OPEN..=LEAVE).contains(&kind) {
            return Err(FrameError::Kind(kind));
        }
        let link = LinkId(reader.u64()?);
        Ok(match kind {
            OPEN => Control::Open(Open {
                link,
                sent: reader.u64()?,
                limit: reader.u64()?,
                heard: reader.u64()?,
                inbox: match reader.u8()? {
                    0 => InboxKind::Task,
                    1 => InboxKind::Acker,
                    other => return Err(FrameError::Word(other)),
                },
                peer: PeerId(reader.id()?),
                site: reader.text()?,
            }),
            GRANT => Control::Grant {
                link,
                limit: reader.u64()?,
                taken: reader.u64()?,
                number: reader.u64()?,
            },
            REFUSE => Control::Refuse {
                link,
                reason: match reader.u8()? {
                    0 => RefuseReason::NoInbox,
                    1 => RefuseReason::Gap,
                    2 => RefuseReason::BeyondLimit,
                    other => return Err(FrameError::Word(other)),
                },
            },
            _ => Control::Leave { link },
        })
    }
}
