//! The law of credits, between the real ends of links: whatever is lost, repeated or overtaken on the
//! way, no more is sent than was granted, no message arrives twice or out of order, the inbox stays
//! within its bound, and once nothing gets lost any more everybody can send again.

use super::tests::site;
use super::*;
use crate::acking::{Cause, Retries};
use crate::ids::IdSource;
use crate::messaging::aeron::arrivals::{Arrivals, Sender};
use crate::messaging::aeron::bell::{Bell, Wish};
use crate::messaging::inbox::Inbox;
use crate::messaging::{LocalTransport, Message, PLACE_BYTES, RefuseReason, Transport};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::mpsc;

const EPOCH: u64 = 50;
const SENDERS: usize = 2;
const PLACES_MAX: u64 = 2;
const SILENCE_MAX: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody sends a message of so many places, if it may.
    Send(usize, u64),
    /// Time passes, and the couriers look after their links.
    Tick(u64),
    /// Any word from a sender arrives, or any from the receiver.
    Ask(prop::sample::Index, Fate),
    Answer(prop::sample::Index, Fate),
    /// The next message arrives.
    Frame(Fate),
    Take,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Arrives,
    IsLost,
    ArrivesAndComesAgain,
}

fn any_step() -> impl Strategy<Value = Step> {
    let fate = || {
        prop_oneof![
            20 => Just(Fate::Arrives),
            1 => Just(Fate::IsLost),
            6 => Just(Fate::ArrivesAndComesAgain),
        ]
    };
    let which = any::<prop::sample::Index>;
    let places = prop_oneof![8 => Just(1), 1 => Just(PLACES_MAX)];
    prop_oneof![
        9 => (0..SENDERS, places).prop_map(|(at, places)| Step::Send(at, places)),
        3 => (100..2_000_u64).prop_map(Step::Tick),
        3 => (which(), fate()).prop_map(|(which, fate)| Step::Ask(which, fate)),
        3 => (which(), fate()).prop_map(|(which, fate)| Step::Answer(which, fate)),
        9 => fate().prop_map(Step::Frame),
        2 => Just(Step::Take),
    ]
}

/// What a link that is not answered would be given; the law answers for it.
struct NoChannels;

impl Channels for NoChannels {
    fn publication(&self, _: AeronSite) -> Option<AeronPublication> {
        None
    }
}

#[derive(Clone)]
struct Frame {
    heading: Heading,
    message: Message,
}

struct World {
    now: Millis,
    departures: Departures,
    arrivals: Arrivals,
    wishes: mpsc::Receiver<Wish>,
    local: LocalTransport,
    inbox: Inbox,
    /// The present link of each sender, and all that there have been.
    links: Vec<Arc<OutLink>>,
    ever: Vec<Arc<OutLink>>,
    asks: Vec<Control>,
    answers: Vec<(LinkId, Control)>,
    frames: VecDeque<Frame>,
    /// Of each link, how many messages were taken, and how many places they had.
    taken: BTreeMap<LinkId, (u64, u64)>,
    /// Of each link, how many places its messages have in the inbox.
    queued: BTreeMap<u64, u64>,
    capacity: u64,
}

fn receiver() -> PeerId {
    IdSource::from_seed(1).peer()
}

/// A message that says its link and its number, with so many places.
fn message(link: LinkId, number: u64, places: u64) -> Message {
    let padding = (places - 1) * PLACE_BYTES as u64 / 8;
    Message::Retries(Retries {
        source: receiver(),
        epoch: 1,
        cause: Cause::Asked,
        reason: String::new(),
        roots: [link.0, number].into_iter().chain(0..padding).collect(),
    })
}

impl World {
    fn new(capacity: u64) -> Self {
        let local = LocalTransport::new();
        let inbox = local.open_inbox(receiver(), InboxKind::Task, capacity as usize);
        let (bell, wishes) = Bell::new();
        let mut world = World {
            now: Millis(1),
            departures: Departures::default(),
            arrivals: Arrivals::new(bell),
            wishes,
            local,
            inbox: inbox.unwrap(),
            links: Vec::new(),
            ever: Vec::new(),
            asks: Vec::new(),
            answers: Vec::new(),
            frames: VecDeque::new(),
            taken: BTreeMap::new(),
            queued: BTreeMap::new(),
            capacity,
        };
        for _ in 0..SENDERS {
            let link = world.open();
            world.links.push(link);
        }
        world
    }

    fn open(&mut self) -> Arc<OutLink> {
        let id = LinkId(self.ever.len() as u64 + 1);
        let link = Arc::new(OutLink::new(id, receiver(), InboxKind::Task, site(1)));
        let mut words = Words::default();
        self.departures
            .open(link.clone(), self.now, site(9), &mut words);
        self.hear_sender(words);
        self.ever.push(link.clone());
        link
    }

    fn hear_sender(&mut self, mut words: Words) {
        self.asks
            .extend(words.take().into_iter().map(|word| word.control));
    }

    fn hear_receiver(&mut self, mut words: Words) {
        let said = words.take().into_iter();
        self.answers
            .extend(said.map(|word| (word.link, word.control)));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(at, places) => self.send(at, places),
            Step::Tick(ms) => self.tick(ms),
            Step::Ask(which, fate) => {
                if let Some(control) = pick(&mut self.asks, which, fate) {
                    self.ask(control);
                }
            }
            Step::Answer(which, fate) => {
                if let Some((link, control)) = pick(&mut self.answers, which, fate) {
                    self.answer(link, control);
                }
            }
            Step::Frame(fate) => {
                let Some(frame) = self.frames.pop_front() else {
                    return;
                };
                if fate == Fate::ArrivesAndComesAgain {
                    self.frames.push_back(frame.clone());
                }
                if fate != Fate::IsLost {
                    self.deliver(frame);
                }
            }
            Step::Take => self.take(),
        }
        self.grant_more();
        // Each link may have had its least, and a last message beyond it.
        let links = self.queued.len() + SENDERS;
        let least = (SHARE_MIN + PLACES_MAX - 1) * links as u64;
        let queued: u64 = self.queued.values().sum();
        assert!(queued <= self.capacity + least, "{queued} places");
    }

    fn send(&mut self, at: usize, places: u64) {
        let link = self.links[at].clone();
        match link.readiness() {
            Readiness::Wait => {}
            Readiness::Closed => self.links[at] = self.open(),
            Readiness::Ready => {
                let heading = link.heading();
                let message = message(link.id, heading.sequence, places);
                link.count_sent(message.places());
                self.frames.push_back(Frame { heading, message });
            }
        }
    }

    fn tick(&mut self, ms: u64) {
        self.now = Millis(self.now.0 + ms);
        let mut words = Words::default();
        self.departures
            .tick(self.now, PATIENCE, site(9), |_| false, &mut words);
        self.hear_sender(words);
        self.arrivals.tick(self.now, SILENCE_MAX);
    }

    fn ask(&mut self, control: Control) {
        let mut words = Words::default();
        match control {
            Control::Open(open) => {
                let door = self.local.door(receiver(), InboxKind::Task);
                let to = (site(9), door);
                self.arrivals.opened(&open, EPOCH, to, self.now, &mut words);
            }
            Control::Leave { link } => self.arrivals.left(Sender { epoch: EPOCH, link }),
            other => panic!("said {other:?}"),
        }
        self.hear_receiver(words);
    }

    fn answer(&mut self, to: LinkId, control: Control) {
        match control {
            Control::Grant {
                link: far,
                limit,
                taken,
                number,
            } => {
                if let Some(departure) = self.departures.links.get(&to)
                    && !departure.link.is_answered()
                {
                    departure.link.far.store(far.0, Ordering::SeqCst);
                    departure.link.epoch.store(EPOCH, Ordering::SeqCst);
                }
                let granted = Granted {
                    far,
                    limit,
                    taken,
                    number,
                };
                self.departures.granted(to, granted, EPOCH, &NoChannels);
            }
            Control::Refuse { link, reason } => {
                assert_ne!(
                    reason,
                    RefuseReason::BeyondLimit,
                    "more was sent than granted"
                );
                self.departures.broke(link);
            }
            other => panic!("said {other:?}"),
        }
    }

    fn deliver(&mut self, frame: Frame) {
        let Heading {
            link,
            epoch,
            sequence,
        } = frame.heading;
        let (from, places) = (frame.message.roots()[0], frame.message.places());
        let mut words = Words::default();
        let to = (link, epoch, sequence);
        let delivered = self.arrivals.deliver(to, frame.message, &mut words);
        if delivered.is_ok() {
            *self.queued.entry(from).or_default() += places;
        }
        self.hear_receiver(words);
    }

    fn take(&mut self) {
        let Some(message) = self.inbox.try_next() else {
            return;
        };
        let queued = self.queued.entry(message.roots()[0]).or_default();
        *queued -= message.places();
        self.queued.retain(|_, places| *places > 0);
        let (link, number) = (LinkId(message.roots()[0]), message.roots()[1]);
        let (count, places) = self.taken.entry(link).or_default();
        assert_eq!(number, *count, "in order, and each once");
        (*count, *places) = (*count + 1, *places + message.places());
    }

    /// What the inbox says when enough was taken.
    fn grant_more(&mut self) {
        let mut words = Words::default();
        while let Ok(wish) = self.wishes.try_recv() {
            match wish {
                Wish::Grant(id) => self.arrivals.grant(id, &mut words),
                other => panic!("wished {other:?}"),
            }
        }
        self.hear_receiver(words);
    }

    /// Everything that is on its way arrives, words after the messages that were sent before them, and
    /// is taken.
    fn calm_down(&mut self) {
        self.tick(1_100);
        while let Some(frame) = self.frames.pop_front() {
            self.deliver(frame);
        }
        for control in std::mem::take(&mut self.asks) {
            self.ask(control);
        }
        while !self.inbox.is_empty() {
            self.take();
            self.grant_more();
        }
        for (link, control) in std::mem::take(&mut self.answers) {
            self.answer(link, control);
        }
    }
}

/// One of those that are on their way, unless it is lost; it may stay there besides.
fn pick<T: Clone>(wire: &mut Vec<T>, which: prop::sample::Index, fate: Fate) -> Option<T> {
    if wire.is_empty() {
        return None;
    }
    let at = which.index(wire.len());
    match fate {
        Fate::Arrives => Some(wire.swap_remove(at)),
        Fate::ArrivesAndComesAgain => Some(wire[at].clone()),
        Fate::IsLost => {
            wire.swap_remove(at);
            None
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_on_the_way_no_more_is_sent_than_granted_and_everybody_can_send_again(
        capacity in 1..40_u64,
        steps in vec(any_step(), 0..600),
    ) {
        let mut world = World::new(capacity);
        steps.into_iter().for_each(|step| world.step(step));
        for link in &world.ever {
            let (_, places) = world.taken.get(&link.id).copied().unwrap_or_default();
            prop_assert!(link.taken() <= places, "what was not taken is not said to be");
        }
        // A link of which something got lost is found out, and another is opened.
        for _ in 0..20 {
            world.calm_down();
            (0..SENDERS).for_each(|at| world.step(Step::Send(at, 1)));
        }
        world.calm_down();
        for link in &world.links {
            prop_assert_eq!(link.readiness(), Readiness::Ready);
            let (count, places) = world.taken[&link.id];
            prop_assert_eq!((count, places), (link.sent.load(Ordering::SeqCst), link.used.load(Ordering::SeqCst)));
        }
    }
}
