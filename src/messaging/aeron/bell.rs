//! What other threads want of the courier, and how they wake it.

use super::departures::OutLink;
use crate::ids::PeerId;
use crate::messaging::LinkId;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// A wish. Each is said once for each thing that happened to a link or an inbox, so their number is
/// bounded by that of links.
#[derive(Debug)]
pub(super) enum Wish {
    /// A link was made and wants an inbox.
    Open(Opening),
    /// A link found its stream full.
    Blocked(Arc<OutLink>),
    /// A link is not needed any more.
    Leave(LinkId),
    /// So much was taken from a link that it can be granted more.
    Grant(LinkId),
    /// An inbox of this peer has closed.
    Closed(PeerId),
    /// Everything ends.
    Stop,
    /// The courier is to make a mistake.
    #[cfg(test)]
    Panic,
}

/// A link on its way to the courier. If it does not get there, because the courier has ended, the link
/// closes: nobody else would ever tell who waits for it.
#[derive(Debug)]
pub(super) struct Opening(Option<Arc<OutLink>>);

/// Says wishes. Clones say them to the same courier.
#[derive(Clone, Debug)]
pub(super) struct Bell {
    wishes: mpsc::Sender<Wish>,
    courier: Arc<OnceLock<Thread>>,
}

/// How many places were left by messages of a link from another process: those that were taken out
/// of its inbox.
#[derive(Debug)]
pub(in crate::messaging) struct Takings {
    link: LinkId,
    taken: AtomicU64,
    /// When so many are taken, the courier is told, once.
    tell_at: AtomicU64,
    bell: Bell,
}

impl Opening {
    pub(super) fn of(link: Arc<OutLink>) -> Self {
        Opening(Some(link))
    }

    /// The courier has it.
    pub(super) fn arrived(mut self) -> Option<Arc<OutLink>> {
        self.0.take()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.close();
        }
    }
}

impl Bell {
    pub(super) fn new() -> (Self, mpsc::Receiver<Wish>) {
        let (wishes, heard) = mpsc::channel();
        let courier = Arc::default();
        (Bell { wishes, courier }, heard)
    }

    /// Names the thread that hears the wishes.
    pub(super) fn wake(&self, courier: Thread) {
        // Only the one courier says this, once.
        let _ = self.courier.set(courier);
    }

    /// A courier that is gone has closed every link: nobody is left who would miss what it does.
    pub(super) fn say(&self, wish: Wish) {
        let _ = self.wishes.send(wish);
        if let Some(courier) = self.courier.get() {
            courier.unpark();
        }
    }
}

impl Takings {
    pub(super) fn new(link: LinkId, bell: Bell) -> Self {
        Takings {
            link,
            taken: AtomicU64::new(0),
            tell_at: AtomicU64::new(u64::MAX),
            bell,
        }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// Asks to be told when so many are taken.
    pub(super) fn tell_at(&self, taken: u64) {
        self.tell_at.store(taken, Ordering::SeqCst);
        // They may have been taken just before.
        self.tell_if(self.taken());
    }

    /// A message of so many places was taken.
    pub(in crate::messaging) fn count(&self, places: u64) {
        self.tell_if(self.taken.fetch_add(places, Ordering::SeqCst) + places);
    }

    fn tell_if(&self, taken: u64) {
        let due = self.tell_at.load(Ordering::SeqCst) <= taken;
        if due && self.tell_at.swap(u64::MAX, Ordering::SeqCst) != u64::MAX {
            self.bell.say(Wish::Grant(self.link));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use crate::messaging::InboxKind;
    use crate::messaging::aeron::departures::Readiness;
    use crate::messaging::aeron::site::{AeronSite, DriverId};

    #[test]
    fn a_link_that_no_courier_hears_of_is_closed() {
        let site = AeronSite {
            driver: DriverId(1),
            address: ([127, 0, 0, 1], 9).into(),
            stream: 7,
        };
        let link = |id| {
            let peer = IdSource::from_seed(1).peer();
            Arc::new(OutLink::new(LinkId(id), peer, InboxKind::Task, site))
        };
        let (heard, unheard, late) = (link(1), link(2), link(3));
        let (bell, wishes) = Bell::new();
        for link in [&heard, &unheard] {
            bell.say(Wish::Open(Opening::of(link.clone())));
        }
        let Ok(Wish::Open(opening)) = wishes.try_recv() else {
            panic!("another wish was heard");
        };
        assert!(opening.arrived().is_some());
        drop(wishes);
        bell.say(Wish::Open(Opening::of(late.clone())));
        let readiness = [heard, unheard, late].map(|link| link.readiness());
        let expected = [Readiness::Wait, Readiness::Closed, Readiness::Closed];
        assert_eq!(readiness, expected);
    }

    #[test]
    fn takings_are_told_once_for_each_time_they_were_asked_for() {
        let (bell, wishes) = Bell::new();
        let takings = Takings::new(LinkId(7), bell);
        let told = || wishes.try_iter().count();
        takings.count(1);
        assert_eq!(told(), 0);
        takings.tell_at(3);
        takings.count(1);
        assert_eq!(told(), 0);
        takings.count(1);
        takings.count(1);
        assert_eq!(told(), 1);
        takings.tell_at(4);
        assert_eq!((told(), takings.taken()), (1, 4));
    }
}
