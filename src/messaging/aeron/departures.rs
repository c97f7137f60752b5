//! The sending ends of links to other processes.
//!
//! A link is opened by asking for it, and asked about once a second from then on: so it is noticed
//! when messages were lost, or when nobody at the other end knows of it any more.

use super::Channels;
use super::site::AeronSite;
use super::window::SHARE_MIN;
use super::words::Words;
use crate::clock::Millis;
use crate::ids::PeerId;
use crate::messaging::{Control, InboxKind, LinkId, Open};
use rusteron_client::AeronPublication;
use std::collections::{BTreeMap, BTreeSet};
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
    /// How many messages were sent, and how many places they have.
    sent: AtomicU64,
    used: AtomicU64,
    limit: AtomicU64,
    /// How many places of its messages are known to be left again.
    taken: AtomicU64,
    blocked: AtomicBool,
    closed: AtomicBool,
    /// Closed, and what was not taken is lost.
    broken: AtomicBool,
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
            used: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            publication: Mutex::new(None),
            room: Notify::new(),
        }
    }

    pub(super) fn readiness(&self) -> Readiness {
        if self.closed.load(Ordering::SeqCst) {
            return Readiness::Closed;
        }
        let granted = self.used.load(Ordering::SeqCst) < self.limit.load(Ordering::SeqCst);
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

    /// A message of so many places was sent. Answers with the place behind it.
    pub(super) fn count_sent(&self, places: u64) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.used.fetch_add(places, Ordering::SeqCst) + places
    }

    /// Gives back what was granted and is not used: others send to the same inbox.
    fn keep_little(&self) {
        let little = self.used.load(Ordering::SeqCst) + SHARE_MIN;
        self.limit.fetch_min(little, Ordering::SeqCst);
    }

    /// The messages up to this place were taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Whether it has closed, and what was not taken is lost.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Closes, with what was not taken lost.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.close();
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

/// What the receiver of a link has said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    /// What it calls the link.
    pub(super) far: LinkId,
    pub(super) limit: u64,
    pub(super) taken: u64,
    pub(super) number: u64,
}

#[derive(Debug)]
struct Departure {
    link: Arc<OutLink>,
    made: Millis,
    asked: Millis,
    /// How many messages it had sent then.
    sent_then: u64,
    /// How many grants were heard.
    grants: u64,
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
        words.say(link.site, LinkId::default(), wish(&link, 0, own));
        let departure = Departure {
            link,
            made: now,
            asked: now,
            sent_then: 0,
            grants: 0,
        };
        self.links.insert(departure.link.id, departure);
    }

    /// Takes over what a link may send. Answers with how many links broke by it.
    pub(super) fn granted(
        &mut self,
        id: LinkId,
        Granted {
            far,
            limit,
            taken,
            number,
        }: Granted,
        epoch: u64,
        channels: &impl Channels,
    ) -> usize {
        let Some(departure) = self.links.get_mut(&id) else {
            // It has left, and said so.
            return 0;
        };
        let link = &departure.link;
        let known = link.far.load(Ordering::SeqCst);
        if known == 0 {
            let Some(publication) = channels.publication(link.site) else {
                // The way there was lost meanwhile: it is asked for again.
                return 0;
            };
            *link.publication() = Some(publication);
            link.epoch.store(epoch, Ordering::SeqCst);
            link.far.store(far.0, Ordering::SeqCst);
        } else if known != far.0 {
            // The receiver has forgotten the link that it had, and with it what was sent.
            return self.broke(id);
        }
        link.taken.fetch_max(taken, Ordering::SeqCst);
        if number > departure.grants {
            // One that was heard before may be of what was given back since.
            departure.grants = number;
            link.limit.fetch_max(limit, Ordering::SeqCst);
        }
        link.room.notify_waiters();
        0
    }

    /// Something on a link was lost. Answers with how many links broke by it.
    pub(super) fn broke(&mut self, id: LinkId) -> usize {
        let broken = self.links.remove(&id);
        broken.map_or(0, |departure| {
            departure.link.break_off();
            1
        })
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
    /// asking. Answers with how many links broke by it.
    pub(super) fn lost(&mut self, site: AeronSite) -> usize {
        let before = self.links.len();
        self.links.retain(|_, departure| {
            let link = &departure.link;
            let lost = link.is_answered() && link.site == site;
            if lost {
                link.break_off();
            }
            !lost
        });
        before - self.links.len()
    }

    /// All ways are lost, and every peer of the process begins again.
    pub(super) fn close_answered(&mut self) {
        self.links.retain(|_, departure| {
            let is_answered = departure.link.is_answered();
            if is_answered {
                departure.link.close();
            }
            !is_answered
        });
    }

    /// Asks again, and closes links to peers of whom is said that they are gone, or that have not
    /// answered for so long: whoever waits for one has others to turn to.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        patience: Duration,
        own: AeronSite,
        gone: impl Fn(PeerId) -> bool,
        words: &mut Words,
    ) {
        // To those there is more to say already than they can hear. Who could be asked is asked about
        // every link: one that is never asked about is forgotten at its other end.
        let deaf: BTreeSet<AeronSite> = self
            .links
            .values()
            .map(|departure| departure.link.site)
            .filter(|site| words.wait_for(*site))
            .collect();
        self.links.retain(|_, departure| {
            let link = &departure.link;
            let wait = if link.is_answered() {
                ASK_ABOUT
            } else {
                ASK_AGAIN
            };
            if now.since(departure.asked) >= wait {
                let unanswered = !link.is_answered() && now.since(departure.made) >= patience;
                if unanswered || gone(link.peer) {
                    link.close();
                    return false;
                }
                if !deaf.contains(&link.site) {
                    departure.asked = now;
                    let sent = link.sent.load(Ordering::SeqCst);
                    if std::mem::replace(&mut departure.sent_then, sent) == sent {
                        link.keep_little();
                    }
                    let wish = wish(link, departure.grants, own);
                    words.say(link.site, LinkId::default(), wish);
                }
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

fn wish(link: &OutLink, heard: u64, own: AeronSite) -> Control {
    Control::Open(Open {
        link: link.id,
        sent: link.sent.load(Ordering::SeqCst),
        limit: link.limit.load(Ordering::SeqCst),
        heard,
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

#[cfg(test)]
mod law;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use crate::messaging::aeron::site::DriverId;

    const PATIENCE: Duration = Duration::from_secs(10);

    pub(super) fn site(port: u16) -> AeronSite {
        AeronSite {
            driver: DriverId(1),
            address: ([127, 0, 0, 1], port).into(),
            stream: 7,
        }
    }

    fn said(words: &mut Words) -> Vec<u64> {
        let said = words.take().into_iter();
        said.map(|word| match word.control {
            Control::Open(open) => open.link.0,
            other => panic!("said {other:?}"),
        })
        .collect()
    }

    #[test]
    fn every_link_is_asked_about_even_when_all_are_due_at_once() {
        let (mut departures, mut words) = (Departures::default(), Words::default());
        let peer = IdSource::from_seed(1).peer();
        for id in 1..=5 {
            let link = Arc::new(OutLink::new(LinkId(id), peer, InboxKind::Task, site(1)));
            departures.open(link, Millis(0), site(9), &mut words);
        }
        assert_eq!(said(&mut words), [1, 2, 3, 4, 5]);
        for now in [1_000, 2_000, 3_000] {
            departures.tick(Millis(now), PATIENCE, site(9), |_| false, &mut words);
            assert_eq!(said(&mut words), [1, 2, 3, 4, 5], "at {now}");
        }
    }

    #[test]
    fn who_cannot_be_reached_is_not_asked_twice() {
        let (mut departures, mut words) = (Departures::default(), Words::default());
        let peer = IdSource::from_seed(1).peer();
        let link = Arc::new(OutLink::new(LinkId(1), peer, InboxKind::Task, site(1)));
        departures.open(link, Millis(0), site(9), &mut words);
        for now in [1_000, 2_000, 3_000] {
            departures.tick(Millis(now), PATIENCE, site(9), |_| false, &mut words);
        }
        assert_eq!(said(&mut words), [1]);
        departures.tick(Millis(3_050), PATIENCE, site(9), |_| false, &mut words);
        assert_eq!(said(&mut words), [1]);
    }

    #[test]
    fn a_link_that_is_not_answered_closes_in_time() {
        let (mut departures, mut words) = (Departures::default(), Words::default());
        let peer = IdSource::from_seed(1).peer();
        let link = Arc::new(OutLink::new(LinkId(1), peer, InboxKind::Task, site(1)));
        departures.open(link.clone(), Millis(0), site(9), &mut words);
        departures.tick(Millis(9_900), PATIENCE, site(9), |_| false, &mut words);
        assert_eq!(link.readiness(), Readiness::Wait);
        departures.tick(Millis(10_200), PATIENCE, site(9), |_| false, &mut words);
        assert_eq!(link.readiness(), Readiness::Closed);
    }
}
