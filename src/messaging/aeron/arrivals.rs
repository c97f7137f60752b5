//! The receiving ends of links from other processes: which inbox each leads to, what has arrived, and
//! how much more may come.

use super::bell::{Bell, Takings};
use super::refusals::Refusal;
use super::site::AeronSite;
use super::window::{Granted, Misplaced, Window};
use super::words::Words;
use crate::clock::Millis;
use crate::ids::PeerId;
use crate::messaging::inbox::Door;
use crate::messaging::threshold::LinkedDoor;
use crate::messaging::{Control, InboxKind, LinkId, Message, Open, RefuseReason};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// The receiving end of one link.
#[derive(Debug)]
struct InLink {
    id: LinkId,
    sender: Sender,
    site: AeronSite,
    inbox: (PeerId, InboxKind),
    door: Door,
    /// An inbox that finishes waits for the link, unless words alone come on it.
    awaited: Option<LinkedDoor>,
    window: Window,
    takings: Arc<Takings>,
    /// When its sender last spoke of it, and how far it was then.
    heard: Millis,
    used_then: u64,
}

impl InLink {
    /// Tells the sender how far it may send. It hears of more when so much is taken.
    fn tell(&self, Granted { limit, number }: Granted, tell_at: u64, words: &mut Words) {
        let grant = Control::Grant {
            link: self.id,
            limit,
            taken: self.takings.taken(),
            number,
        };
        words.say(self.site, self.sender.link, grant);
        self.takings.tell_at(tell_at);
    }
}

/// The other end of a link: the life of its process, and what it calls the link there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) epoch: u64,
    pub(super) link: LinkId,
}

/// All links into this process. The id of a link is its place and, above it, a number that no other
/// link has had: so a message finds its link at once, and never the next one at that place.
#[derive(Debug)]
pub(super) struct Arrivals {
    places: Vec<Option<InLink>>,
    free: Vec<usize>,
    given: u64,
    by_sender: BTreeMap<Sender, LinkId>,
    /// The links that share an inbox.
    by_inbox: BTreeMap<(PeerId, InboxKind), Vec<LinkId>>,
    left: Vec<Left>,
    bell: Bell,
}

/// What came on a link that has ended and is still in its inbox.
#[derive(Debug)]
struct Left {
    inbox: (PeerId, InboxKind),
    door: Door,
    used: u64,
    takings: Arc<Takings>,
}

impl Left {
    fn places(&self) -> u64 {
        match self.door.is_closed() {
            true => 0,
            false => self.used.saturating_sub(self.takings.taken()),
        }
    }
}

const PLACE_BITS: u32 = 24;
const LINKS_MAX: usize = 1 << PLACE_BITS;

impl Arrivals {
    pub(super) fn new(bell: Bell) -> Self {
        Arrivals {
            places: Vec::new(),
            free: Vec::new(),
            given: 0,
            by_sender: BTreeMap::new(),
            by_inbox: BTreeMap::new(),
            left: Vec::new(),
            bell,
        }
    }

    /// Somebody wants a link, or asks whether it is still there.
    pub(super) fn opened(
        &mut self,
        open: &Open,
        epoch: u64,
        (site, door): (AeronSite, Option<Door>),
        now: Millis,
        words: &mut Words,
    ) {
        let link = open.link;
        let sender = Sender { epoch, link };
        let refuse = |reason| Control::Refuse { link, reason };
        if let Some(id) = self.by_sender.get(&sender).copied() {
            let Some(known) = self.get_mut(id) else {
                return;
            };
            known.heard = now;
            if !known.window.has_seen(open.sent) {
                return self.refuse(id, RefuseReason::Gap, words);
            }
            if known.door.is_closed() {
                return self.refuse(id, RefuseReason::NoInbox, words);
            }
            let used = known.window.used();
            if std::mem::replace(&mut known.used_then, used) != used {
                return self.grant(id, words);
            }
            // Nothing has come since it was asked about last.
            known.window.returned(Granted {
                limit: open.limit,
                number: open.heard,
            });
            let granted = known.window.granted();
            return known.tell(granted, known.takings.taken() + 1, words);
        }
        if open.sent > 0 {
            return words.say(site, link, refuse(RefuseReason::Gap));
        }
        let door = door.and_then(|door| Some((door.link()?, door)));
        let (Some((linked, door)), Some(id)) = (door, self.free_id()) else {
            return words.say(site, link, refuse(RefuseReason::NoInbox));
        };
        self.by_sender.insert(sender, id);
        let inbox = (open.peer, open.inbox);
        self.by_inbox.entry(inbox).or_default().push(id);
        self.places[place(id)] = Some(InLink {
            id,
            sender,
            site,
            inbox,
            door,
            awaited: Some(linked),
            window: Window::default(),
            takings: Arc::new(Takings::new(id, self.bell.clone())),
            heard: now,
            used_then: 0,
        });
        self.grant(id, words);
    }

    /// Puts a message where its link leads.
    pub(super) fn deliver(
        &mut self,
        (id, epoch, sequence): (LinkId, u64, u64),
        message: Message,
        words: &mut Words,
    ) -> Result<(), Refusal> {
        let link = self.get_mut(id).ok_or(Refusal::NoLink)?;
        if link.sender.epoch != epoch {
            return Err(Refusal::Stale);
        }
        if let Err(misplaced) = link.window.receive(sequence, message.places()) {
            match misplaced {
                Misplaced::Again => {}
                Misplaced::Gap => self.refuse(id, RefuseReason::Gap, words),
                Misplaced::BeyondLimit => self.refuse(id, RefuseReason::BeyondLimit, words),
            }
            return Err(misplaced.into());
        }
        if !matches!(message, Message::Segments(_)) {
            // Who sends words on a link sends nothing else, and leaves it when it likes.
            link.awaited = None;
        }
        if !link.door.put_granted(message, &link.takings) {
            self.refuse(id, RefuseReason::NoInbox, words);
            return Err(Refusal::Closed);
        }
        Ok(())
    }

    /// Grants a link what its inbox has places for.
    pub(super) fn grant(&mut self, id: LinkId, words: &mut Words) {
        self.left.retain(|left| left.places() > 0);
        let Some(link) = self.get(id) else {
            return;
        };
        let left = self.left.iter().filter(|left| left.inbox == link.inbox);
        let left: u64 = left.map(Left::places).sum();
        let beside = self.by_inbox.get(&link.inbox).into_iter().flatten();
        let others = beside.filter(|other| **other != id);
        let others = others.filter_map(|other| self.get(*other));
        let (others, elsewhere) = others.fold((0, left), |(others, elsewhere), other| {
            let outstanding = other.window.outstanding(other.takings.taken());
            (others + 1, elsewhere + outstanding)
        });
        let Some(link) = self.get_mut(id) else {
            return;
        };
        let capacity = link.door.capacity();
        let taken = link.takings.taken();
        let granted = link.window.grant(taken, capacity, others, elsewhere);
        // The sender hears of more room when half of what it has is used up.
        let half = taken + (granted.limit - taken).div_ceil(2);
        link.tell(granted, half, words);
    }

    /// The sender does not need the link any more.
    pub(super) fn left(&mut self, sender: Sender) {
        if let Some(id) = self.by_sender.get(&sender).copied() {
            self.remove(id);
        }
    }

    /// Inboxes of a peer have closed: the links that led to them end.
    pub(super) fn closed(&mut self, peer: PeerId, words: &mut Words) {
        let ids = self.ids(|link| link.inbox.0 == peer && link.door.is_closed());
        for id in ids {
            self.refuse(id, RefuseReason::NoInbox, words);
        }
    }

    /// The way to a site is lost, or to all of them.
    pub(super) fn lost(&mut self, site: Option<AeronSite>) {
        for id in self.ids(|link| site.is_none_or(|site| site == link.site)) {
            self.remove(id);
        }
    }

    /// Forgets links of which their senders have not spoken for so long.
    pub(super) fn tick(&mut self, now: Millis, silence_max: Duration) {
        for id in self.ids(|link| now.since(link.heard) > silence_max) {
            self.remove(id);
        }
    }

    /// Whether a link comes from there.
    pub(super) fn any_from(&self, site: AeronSite) -> bool {
        self.places.iter().flatten().any(|link| link.site == site)
    }

    fn refuse(&mut self, id: LinkId, reason: RefuseReason, words: &mut Words) {
        if let Some(link) = self.remove(id) {
            let theirs = link.sender.link;
            let refuse = Control::Refuse {
                link: theirs,
                reason,
            };
            words.say(link.site, theirs, refuse);
        }
    }

    fn remove(&mut self, id: LinkId) -> Option<InLink> {
        self.get(id)?;
        let link = self.places[place(id)].take()?;
        self.by_sender.remove(&link.sender);
        if let Entry::Occupied(mut beside) = self.by_inbox.entry(link.inbox) {
            beside.get_mut().retain(|other| *other != id);
            if beside.get().is_empty() {
                beside.remove();
            }
        }
        self.free.push(place(id));
        let left = Left {
            inbox: link.inbox,
            door: link.door.clone(),
            used: link.window.used(),
            takings: link.takings.clone(),
        };
        if left.places() > 0 {
            self.left.push(left);
        }
        Some(link)
    }

    fn ids(&self, which: impl Fn(&InLink) -> bool) -> Vec<LinkId> {
        let links = self.places.iter().flatten().filter(|link| which(link));
        links.map(|link| link.id).collect()
    }

    fn get(&self, id: LinkId) -> Option<&InLink> {
        let link = self.places.get(place(id))?.as_ref();
        link.filter(|link| link.id == id)
    }

    fn get_mut(&mut self, id: LinkId) -> Option<&mut InLink> {
        let link = self.places.get_mut(place(id))?.as_mut();
        link.filter(|link| link.id == id)
    }

    fn free_id(&mut self) -> Option<LinkId> {
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.places.len() == LINKS_MAX => return None,
            None => {
                self.places.push(None);
                self.places.len() - 1
            }
        };
        self.given += 1;
        Some(LinkId((self.given << PLACE_BITS) | at as u64))
    }
}

fn place(id: LinkId) -> usize {
    id.0 as usize & (LINKS_MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::{Cause, Retries};
    use crate::ids::IdSource;
    use crate::messaging::aeron::site::DriverId;
    use crate::messaging::contract::segments;
    use crate::messaging::inbox::Inbox;
    use crate::messaging::{LocalTransport, Transport};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const SITE: AeronSite = AeronSite {
        driver: DriverId(1),
        address: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9),
        stream: 7,
    };
    const EPOCH: u64 = 50;

    struct Receiver {
        local: LocalTransport,
        arrivals: Arrivals,
        words: Words,
    }

    fn peer() -> PeerId {
        IdSource::from_seed(1).peer()
    }

    fn message(root: u64) -> Message {
        Message::Retries(Retries {
            source: peer(),
            epoch: 1,
            cause: Cause::Asked,
            reason: String::new(),
            roots: vec![root],
        })
    }

    impl Receiver {
        fn with_inbox(capacity: usize) -> (Self, Inbox) {
            let local = LocalTransport::new();
            let inbox = local.open_inbox(peer(), InboxKind::Task, capacity).unwrap();
            let arrivals = Arrivals::new(Bell::new().0);
            let words = Words::default();
            let receiver = Receiver {
                local,
                arrivals,
                words,
            };
            (receiver, inbox)
        }

        fn open(&mut self, link: u64, sent: u64, epoch: u64) -> Vec<Control> {
            let (limit, number) = (u64::MAX, 0);
            self.ask((link, epoch), sent, Granted { limit, number })
        }

        fn ask(&mut self, (link, epoch): (u64, u64), sent: u64, kept: Granted) -> Vec<Control> {
            let open = Open {
                link: LinkId(link),
                sent,
                limit: kept.limit,
                heard: kept.number,
                inbox: InboxKind::Task,
                peer: peer(),
                site: SITE.to_string(),
            };
            let door = self.local.door(peer(), InboxKind::Task);
            let (arrivals, words) = (&mut self.arrivals, &mut self.words);
            arrivals.opened(&open, epoch, (SITE, door), Millis(0), words);
            self.said()
        }

        fn said(&mut self) -> Vec<Control> {
            let words = self.words.take().into_iter();
            words.map(|word| word.control).collect()
        }

        fn granted(&mut self, link: u64) -> (LinkId, u64) {
            match self.open(link, 0, EPOCH)[..] {
                [Control::Grant { link, limit, .. }] => (link, limit),
                ref other => panic!("{other:?}"),
            }
        }

        fn deliver(&mut self, id: LinkId, sequence: u64) -> Result<(), Refusal> {
            let to = (id, EPOCH, sequence);
            let (arrivals, words) = (&mut self.arrivals, &mut self.words);
            arrivals.deliver(to, message(sequence), words)
        }
    }

    fn refused(link: u64, reason: RefuseReason) -> Vec<Control> {
        let link = LinkId(link);
        vec![Control::Refuse { link, reason }]
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A message, so far from the next one: lost ones before it, or repeated.
        Arrives(i64),
        Asks(i64),
        Take,
        Grant,
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let near = || prop_oneof![8 => Just(0_i64), 1 => -3..3_i64];
        prop_oneof![
            4 => near().prop_map(Event::Arrives),
            1 => near().prop_map(Event::Asks),
            3 => Just(Event::Take),
            1 => Just(Event::Grant),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_lost_or_repeated_a_link_delivers_each_message_once_and_in_order(
            events in vec(any_event(), 0..300),
        ) {
            const CAPACITY: usize = 5;
            let (mut receiver, mut inbox) = Receiver::with_inbox(CAPACITY);
            // The links of a sender that opens another when one has ended.
            let mut link = 1;
            let (mut id, mut limit) = receiver.granted(link);
            let (mut next, mut taken) = (0_u64, 0_u64);
            for event in events {
                match event {
                    Event::Arrives(off) => {
                        let sequence = next.saturating_add_signed(off);
                        let expected = match () {
                            () if sequence < next => Err(Refusal::Repeated),
                            () if sequence > next => Err(Refusal::Gap),
                            () if sequence >= limit => Err(Refusal::BeyondLimit),
                            () => Ok(()),
                        };
                        prop_assert_eq!(receiver.deliver(id, sequence), expected);
                        next += u64::from(expected.is_ok());
                    }
                    Event::Asks(off) => {
                        receiver.open(link, next.saturating_add_signed(off), EPOCH);
                    }
                    Event::Take => {
                        if let Some(message) = inbox.try_next() {
                            prop_assert_eq!(message, self::message(taken));
                            taken += 1;
                        }
                    }
                    Event::Grant => receiver.arrivals.grant(id, &mut receiver.words),
                }
                prop_assert!(inbox.len() <= CAPACITY);
                receiver.said();
                match receiver.arrivals.get(id) {
                    Some(link) => limit = taken + link.window.outstanding(taken),
                    None => {
                        // What had arrived is still read.
                        while let Some(message) = inbox.try_next() {
                            prop_assert_eq!(message, self::message(taken));
                            taken += 1;
                        }
                        prop_assert_eq!(taken, next);
                        link += 1;
                        (id, limit) = receiver.granted(link);
                        (next, taken) = (0, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn messages_go_where_their_link_leads_and_no_further_than_granted() {
        let (mut receiver, mut inbox) = Receiver::with_inbox(3);
        let (id, limit) = receiver.granted(5);
        assert_eq!(limit, 3);
        for sequence in 0..3 {
            assert_eq!(receiver.deliver(id, sequence), Ok(()));
        }
        assert_eq!(receiver.deliver(id, 3), Err(Refusal::BeyondLimit));
        assert_eq!(receiver.said(), refused(5, RefuseReason::BeyondLimit));
        assert_eq!(receiver.deliver(id, 3), Err(Refusal::NoLink));
        for root in 0..3 {
            assert_eq!(inbox.try_next(), Some(message(root)));
        }
    }

    #[test]
    fn an_inbox_that_finishes_waits_for_the_links_that_it_has_and_takes_no_others() {
        let (mut receiver, mut inbox) = Receiver::with_inbox(9);
        let (id, _) = receiver.granted(5);
        let (words, _) = receiver.granted(6);
        assert_eq!(receiver.deliver(words, 0), Ok(()));
        assert_eq!(inbox.try_next(), Some(message(0)));
        inbox.finish();
        assert_eq!(inbox.try_next(), None);
        assert!(!inbox.is_finished());
        assert_eq!(
            receiver.open(7, 0, EPOCH),
            refused(7, RefuseReason::NoInbox)
        );
        let batch = segments(2, 10);
        let (arrivals, said) = (&mut receiver.arrivals, &mut receiver.words);
        arrivals
            .deliver((id, EPOCH, 0), batch.clone(), said)
            .unwrap();
        let link = LinkId(5);
        receiver.arrivals.left(Sender { epoch: EPOCH, link });
        assert_eq!(inbox.try_next(), Some(batch));
        assert_eq!(inbox.try_next(), None);
        assert!(inbox.is_finished());
    }

    #[test]
    fn an_inbox_that_finishes_does_not_wait_for_a_process_that_is_gone() {
        let (mut receiver, mut inbox) = Receiver::with_inbox(9);
        receiver.granted(5);
        inbox.finish();
        assert_eq!(inbox.try_next(), None);
        assert!(!inbox.is_finished());
        receiver.arrivals.lost(Some(SITE));
        assert_eq!(inbox.try_next(), None);
        assert!(inbox.is_finished());
    }

    #[test]
    fn what_came_on_a_link_that_has_ended_keeps_its_places_until_it_is_taken() {
        let (mut receiver, mut inbox) = Receiver::with_inbox(9);
        let (id, limit) = receiver.granted(5);
        assert_eq!(limit, 9);
        for sequence in 0..7 {
            assert_eq!(receiver.deliver(id, sequence), Ok(()));
        }
        assert_eq!(receiver.deliver(id, 8), Err(Refusal::Gap));
        receiver.said();
        let (id, limit) = receiver.granted(6);
        assert_eq!(limit, 2);
        while inbox.try_next().is_some() {}
        receiver.arrivals.grant(id, &mut receiver.words);
        let [Control::Grant { limit, .. }] = receiver.said()[..] else {
            panic!("no grant");
        };
        assert_eq!(limit, 9);
        assert!(receiver.arrivals.left.is_empty());
    }

    #[test]
    fn a_gap_ends_the_link_and_a_repeated_message_does_not() {
        let (mut receiver, _inbox) = Receiver::with_inbox(9);
        let (id, _) = receiver.granted(5);
        assert_eq!(receiver.deliver(id, 0), Ok(()));
        assert_eq!(receiver.deliver(id, 0), Err(Refusal::Repeated));
        assert_eq!(receiver.deliver(id, 2), Err(Refusal::Gap));
        assert_eq!(receiver.said(), refused(5, RefuseReason::Gap));
    }

    #[test]
    fn a_sender_that_asks_hears_what_it_has_or_that_something_was_lost() {
        let (mut receiver, _inbox) = Receiver::with_inbox(9);
        let (id, limit) = receiver.granted(5);
        assert_eq!(receiver.granted(5), (id, limit));
        assert_eq!(receiver.open(5, 1, EPOCH), refused(5, RefuseReason::Gap));
        assert_eq!(receiver.open(6, 1, EPOCH), refused(6, RefuseReason::Gap));
    }

    #[test]
    fn an_earlier_life_and_an_earlier_link_are_refused() {
        let (mut receiver, _inbox) = Receiver::with_inbox(9);
        let (id, _) = receiver.granted(5);
        let stale = (id, EPOCH - 1, 0);
        let (arrivals, words) = (&mut receiver.arrivals, &mut receiver.words);
        let stale = arrivals.deliver(stale, message(0), words);
        assert_eq!(stale, Err(Refusal::Stale));
        let link = LinkId(5);
        receiver.arrivals.left(Sender { epoch: EPOCH, link });
        let (next, _) = receiver.granted(6);
        assert_eq!((place(next), next == id), (place(id), false));
        assert_eq!(receiver.deliver(id, 0), Err(Refusal::NoLink));
    }

    #[test]
    fn an_inbox_that_closes_ends_its_links_and_refuses_others() {
        let (mut receiver, inbox) = Receiver::with_inbox(9);
        let (id, _) = receiver.granted(5);
        receiver.granted(6);
        drop(inbox);
        assert_eq!(receiver.deliver(id, 0), Err(Refusal::Closed));
        assert_eq!(receiver.said(), refused(5, RefuseReason::NoInbox));
        receiver.arrivals.closed(peer(), &mut receiver.words);
        assert_eq!(receiver.said(), refused(6, RefuseReason::NoInbox));
        assert_eq!(
            receiver.open(7, 0, EPOCH),
            refused(7, RefuseReason::NoInbox)
        );
        assert!(!receiver.arrivals.any_from(SITE));
    }

    #[test]
    fn what_is_taken_is_granted_again() {
        let (mut receiver, mut inbox) = Receiver::with_inbox(4);
        let (id, _) = receiver.granted(5);
        for sequence in 0..4 {
            receiver.deliver(id, sequence).unwrap();
        }
        receiver.arrivals.grant(id, &mut receiver.words);
        let link = id;
        let granted = |limit, taken, number| {
            [Control::Grant {
                link,
                limit,
                taken,
                number,
            }]
        };
        assert_eq!(receiver.said(), granted(4, 0, 2));
        inbox.try_next();
        inbox.try_next();
        receiver.arrivals.grant(id, &mut receiver.words);
        assert_eq!(receiver.said(), granted(6, 2, 3));
    }

    #[test]
    fn what_an_idle_link_gives_back_is_granted_to_another() {
        let (mut receiver, _inbox) = Receiver::with_inbox(16);
        let limit_of = |said: Vec<Control>| match said[..] {
            [Control::Grant { limit, .. }] => limit,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(receiver.granted(5).1, 16);
        let (busy, limit) = receiver.granted(6);
        assert_eq!(limit, 2);
        let (limit, number) = (2, 1);
        let kept = receiver.ask((5, EPOCH), 0, Granted { limit, number });
        assert_eq!(limit_of(kept), 2);
        receiver.arrivals.grant(busy, &mut receiver.words);
        assert_eq!(limit_of(receiver.said()), 8);
    }

    #[test]
    fn links_of_whom_nobody_speaks_are_forgotten() {
        let (mut receiver, _inbox) = Receiver::with_inbox(4);
        receiver.granted(5);
        let silence_max = Duration::from_secs(10);
        receiver.arrivals.tick(Millis(10_000), silence_max);
        assert!(receiver.arrivals.any_from(SITE));
        receiver.arrivals.tick(Millis(10_001), silence_max);
        assert!(!receiver.arrivals.any_from(SITE));
    }
}
