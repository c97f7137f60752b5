//! A link to an inbox of another process, in the hands of who sends on it.

use super::bell::{Bell, Wish};
use super::departures::{OutLink, Readiness};
use super::pieces::{is_longer, parts, pieces, rest};
use crate::config::Compression;
use crate::messaging::{
    Envelope, FrameError, Link, LinkClosed, Lost, Message, TrySendError, deflate_frame,
    encode_frame,
};
use futures_util::future::BoxFuture;
use rusteron_client::AeronOfferError;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// The link. Dropping it tells the other end.
pub(super) struct AeronLink {
    out: Arc<OutLink>,
    /// What was sent and is not known to be taken, with the place behind it.
    under_way: VecDeque<(u64, Lost)>,
    settings: FrameSettings,
    bell: Bell,
}

/// How links of a transport write their frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameSettings {
    pub(super) cluster: u64,
    pub(super) bytes_max: usize,
    pub(super) compression: Compression,
}

/// What became of one frame.
enum Offered {
    /// Up to this place.
    Sent(u64),
    Wait,
    Closed,
    TooLong(usize),
}

thread_local! {
    // One for each thread that sends, not for each of its links.
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How often an offer is repeated while the log changes to its next term, which takes microseconds.
const ADMIN_TRIES: usize = 3;

impl AeronLink {
    pub(super) fn new(out: Arc<OutLink>, settings: FrameSettings, bell: Bell) -> Self {
        AeronLink {
            out,
            under_way: VecDeque::new(),
            settings,
            bell,
        }
    }

    fn offer(&self, message: &Message) -> Offered {
        match self.out.readiness() {
            Readiness::Ready => {}
            Readiness::Wait => return Offered::Wait,
            Readiness::Closed => return Offered::Closed,
        }
        FRAME.with_borrow_mut(|frame| {
            frame.clear();
            match self.encode(message, frame) {
                Ok(()) if frame.len() <= self.settings.bytes_max => {
                    self.offer_frame(frame, message.places())
                }
                Ok(()) => Offered::TooLong(frame.len()),
                Err(FrameError::TooLong(length)) => Offered::TooLong(length),
                // A list or a text with more than 2³² parts.
                Err(_) => Offered::TooLong(usize::MAX),
            }
        })
    }

    fn encode(&self, message: &Message, frame: &mut Vec<u8>) -> Result<(), FrameError> {
        let heading = self.out.heading();
        let envelope = Envelope {
            cluster: self.settings.cluster,
            epoch: heading.epoch,
            link: heading.link,
            sequence: heading.sequence,
        };
        encode_frame(&envelope, message, frame)?;
        if self.settings.compression == Compression::Deflate {
            deflate_frame(frame);
        }
        Ok(())
    }

    fn offer_frame(&self, frame: &[u8], places: u64) -> Offered {
        let publication = self.out.publication();
        let Some(stream) = &*publication else {
            return Offered::Closed;
        };
        let mut offered = stream.offer(frame);
        for _ in 1..ADMIN_TRIES {
            if offered != Err(AeronOfferError::AdminAction) {
                break;
            }
            offered = stream.offer(frame);
        }
        match offered {
            Ok(_) => Offered::Sent(self.out.count_sent(places)),
            // Not connected: the courier finds out whether that lasts.
            Err(error) if error.is_retryable() => {
                self.out.block();
                self.bell.say(Wish::Blocked(self.out.clone()));
                Offered::Wait
            }
            Err(error) => {
                drop(publication);
                tracing::debug!(link = ?self.out, ?error, "a link cannot send any more");
                self.out.break_off();
                Offered::Closed
            }
        }
    }

    /// Sends a message that does not fit into one frame, as far as there is room.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    fn send_in_pieces(&mut self, message: Message) -> Result<(), TrySendError> {
        let mut sent = 0;
        for piece in pieces(&message, self.settings.bytes_max) {
            match self.offer(&piece) {
                Offered::Sent(end) => {
                    sent += parts(&piece);
                    self.remember(end, piece);
                }
                Offered::Wait => return Err(TrySendError::Full(rest(message, sent))),
                Offered::Closed => return Err(TrySendError::Closed(rest(message, sent))),
                Offered::TooLong(bytes) => {
                    return Err(TrySendError::TooLarge {
                        message: rest(message, sent),
                        bytes,
                        limit: self.settings.bytes_max,
                    });
                }
            }
        }
        Ok(())
    }

    /// Keeps of a message what is to be known if the link breaks, and forgets what was taken. The
    /// credits of the link bound it.
    fn remember(&mut self, end: u64, message: Message) {
        let taken = self.out.taken();
        while self.under_way.front().is_some_and(|(end, _)| *end <= taken) {
            self.under_way.pop_front();
        }
        self.under_way.push_back((end, message.into()));
    }
}

impl Link for AeronLink {
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        if self.out.readiness() == Readiness::Ready && is_longer(&message, self.settings.bytes_max)
        {
            return self.send_in_pieces(message);
        }
        match self.offer(&message) {
            Offered::Sent(end) => {
                self.remember(end, message);
                Ok(())
            }
            Offered::Wait => Err(TrySendError::Full(message)),
            Offered::Closed => Err(TrySendError::Closed(message)),
            Offered::TooLong(_) => self.send_in_pieces(message),
        }
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>> {
        Box::pin(async {
            match self.out.changed().await {
                Readiness::Closed => Err(LinkClosed),
                Readiness::Ready | Readiness::Wait => Ok(()),
            }
        })
    }

    fn take_lost(&mut self) -> Vec<Lost> {
        if !self.out.is_broken() {
            return Vec::new();
        }
        let taken = self.out.taken();
        let under_way = self.under_way.drain(..);
        let lost = under_way.filter(|(end, _)| *end > taken);
        lost.map(|(_, lost)| lost).collect()
    }
}

impl Drop for AeronLink {
    fn drop(&mut self) {
        self.bell.say(Wish::Leave(self.out.id));
    }
}
