//! The sending ends of links to other processes.
//!
//! A link is opened by asking for it, and asked about once a second from then on: so it is noticed
//! when messages were lost, or when nobody at the other end knows of it any more.

use super::Channels;
use super::site::AeronSite;
use super::words::Words;
use crate::clock::Millis;
use crate::ids::PeerId;
use crate::messaging::{Control, InboxKind, LinkId, Open};
use rusteron_client::AeronPublication;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How often an unanswered wish for a link is repeated, and how often an open link is asked about.
const ASK_AGAIN: Duration = Duration::from_millis(250);
const ASK_ABOUT: Duration = Duration::from_secs(1);

/// The sending end of one link. The thread that sends and the courier share it.
pub(super) struct OutLink {
    pub(super) id: LinkId,
    pub(super) peer: PeerId,
    pub(super) inbox: InboxKind,
    pub(super) site: AeronSite,
    /// What the receiver calls it; 0 before it answered.
    far: AtomicU64,
    epoch: AtomicU64,
    sent: AtomicU64,
    limit: AtomicU64,
    blocked: AtomicBool,
    closed: AtomicBool,
    /// Where to send; there from the first grant until the link has closed. Whoever sends holds it
    /// meanwhile, so that it is never closed under them.
    publication: Mutex<Option<AeronPublication>>,
    room: Notify,
}

/// Whether a link can send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Wait,
    Closed,
}

/// Who a message is from and for, as its frame says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading {
    pub(super) link: LinkId,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
}

impl OutLink {
    pub(super) fn new(id: LinkId, peer: PeerId, inbox: InboxKind, site: AeronSite) -> Self {
        OutLink {
            id,
            peer,
            inbox,
            site,
            far: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            publication: Mutex::new(None),
            room: Notify::new(),
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        if self.closed.load(Ordering::SeqCst) {
            return Readiness::Closed;
        }
        let granted = self.sent.load(Ordering::SeqCst) < self.limit.load(Ordering::SeqCst);
        if granted && !self.blocked.load(Ordering::SeqCst) {
            Readiness::Ready
        } else {
            Readiness::Wait
        }
    }

    /// Of the next message.
    pub(super) fn heading(&self) -> Heading {
        Heading {
            link: LinkId(self.far.load(Ordering::SeqCst)),
            epoch: self.epoch.load(Ordering::SeqCst),
            sequence: self.sent.load(Ordering::SeqCst),
        }
    }

    pub(super) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// The stream is full: the link waits until the courier finds that it is not.
    pub(super) fn block(&self) {
        self.blocked.store(true, Ordering::SeqCst);
    }

    pub(super) fn publication(&self) -> MutexGuard<'_, Option<AeronPublication>> {
        // Who panicked while sending left the publication as it was.
        self.publication
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(self.publication().take());
        self.room.notify_waiters();
    }

    /// Waits until the link is worth another look.
    pub(super) async fn changed(&self) -> Readiness {
        loop {
            let mut changed = std::pin::pin!(self.room.notified());
            changed.as_mut().enable();
            match self.readiness() {
                Readiness::Wait => changed.await,
                known => return known,
            }
        }
    }

    /// Whether the courier should look at it again later.
    pub(super) fn still_blocked(&self) -> bool {
        if self.closed.load(Ordering::SeqCst) {
            return false;
        }
        let full = match &*self.publication() {
            Some(publication) => {
                let limit = publication.position_limit();
                // A closed one is found closed by who sends.
                limit >= 0 && publication.position() >= limit
            }
            None => false,
        };
        if !full {
            self.blocked.store(false, Ordering::SeqCst);
            self.room.notify_waiters();
        }
        full
    }

    fn is_answered(&self) -> bool {
        self.far.load(Ordering::SeqCst) != 0
    }
}

impl fmt::Debug for OutLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "OutLink({} of {} at {})",
            self.inbox, self.peer, self.site
        )
    }
}

/// All links out of this process. When it goes, they close.
#[derive(Debug, Default)]
pub(super) struct Departures {
    links: BTreeMap<LinkId, Departure>,
}

#[derive(Debug)]
struct Departure {
    link: Arc<OutLink>,
    asked: Millis,
}

impl Departures {
    /// Asks for the inbox at the end of a new link.
    pub(super) fn open(
        &mut self,
        link: Arc<OutLink>,
        now: Millis,
        own: AeronSite,
        words: &mut Words,
    ) {
        words.say(link.site, LinkId::default(), wish(&link, own));
        let departure = Departure { link, asked: now };
        self.links.insert(departure.link.id, departure);
    }

    /// Takes over what a link may send, and answers with a word to a receiver whose link is gone.
    pub(super) fn granted(
        &mut self,
        id: LinkId,
        (far, limit): (LinkId, u64),
        epoch: u64,
        channels: &impl Channels,
    ) {
        let Some(Departure { link, .. }) = self.links.get(&id) else {
            // It has left, and said so.
            return;
        };
        let known = link.far.load(Ordering::SeqCst);
        if known == 0 {
            let Some(publication) = channels.publication(link.site) else {
                // The way there was lost meanwhile: it is asked for again.
                return;
            };
            *link.publication() = Some(publication);
            link.epoch.store(epoch, Ordering::SeqCst);
            link.far.store(far.0, Ordering::SeqCst);
        } else if known != far.0 {
            // The receiver has forgotten the link that it had, and with it what was sent.
            return self.end(id);
        }
        link.limit.fetch_max(limit, Ordering::SeqCst);
        link.room.notify_waiters();
    }

    /// The link has ended at the other end.
    pub(super) fn end(&mut self, id: LinkId) {
        if let Some(departure) = self.links.remove(&id) {
            departure.link.close();
        }
    }

    /// Nobody here needs the link any more.
    pub(super) fn leave(&mut self, id: LinkId, words: &mut Words) {
        if let Some(Departure { link, .. }) = self.links.remove(&id) {
            link.close();
            words.say(link.site, LinkId::default(), Control::Leave { link: id });
        }
    }

    /// The way to a site is lost, and what was sent with it. Links that were not answered yet go on
    /// asking.
    pub(super) fn lost(&mut self, site: Option<AeronSite>) {
        self.links.retain(|_, departure| {
            let link = &departure.link;
            let lost = link.is_answered() && site.is_none_or(|site| site == link.site);
            if lost {
                link.close();
            }
            !lost
        });
    }

    /// Asks again, and closes links to peers of whom is said that they are gone.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        own: AeronSite,
        gone: impl Fn(PeerId) -> bool,
        words: &mut Words,
    ) {
        self.links.retain(|_, departure| {
            let link = &departure.link;
            let wait = if link.is_answered() {
                ASK_ABOUT
            } else {
                ASK_AGAIN
            };
            if now.since(departure.asked) >= wait {
                if gone(link.peer) {
                    link.close();
                    return false;
                }
                departure.asked = now;
                words.ask(link.site, wish(link, own));
            }
            true
        });
    }

    /// Whether a link goes there.
    pub(super) fn any_to(&self, site: AeronSite) -> bool {
        self.links
            .values()
            .any(|departure| departure.link.site == site)
    }
}

fn wish(link: &OutLink, own: AeronSite) -> Control {
    Control::Open(Open {
        link: link.id,
        sent: link.sent.load(Ordering::SeqCst),
        inbox: link.inbox,
        peer: link.peer,
        site: own.to_string(),
    })
}

impl Drop for Departures {
    fn drop(&mut self) {
        for departure in self.links.values() {
            departure.link.close();
        }
    }
}
