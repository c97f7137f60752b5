//! A transport on which messages get lost, and some arrive twice.

use crate::ids::{GroupId, PeerId};
use crate::messaging::{Inbox, InboxKind, Link, LinkClosed, Message, Transport};
use crate::messaging::{TransportError, TrySendError};
use crate::replica::{Member, SharedMap, Site};
use futures_util::future::BoxFuture;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How much gets lost between peers. Real links tell their sender when they lose something; these do
/// not, so that only time-outs help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Of a thousand messages, so many do not arrive.
    pub lost_per_mille: u32,
    /// Of a thousand messages about roots, so many arrive twice. Segments never do.
    pub repeated_per_mille: u32,
}

/// A transport that loses messages of another.
pub(super) struct Lossy {
    inner: Arc<dyn Transport>,
    fate: Arc<Mutex<Fate>>,
}

/// What happens to messages, by draws.
struct Fate {
    loss: Loss,
    draws: SmallRng,
}

enum Drawn {
    Arrives,
    IsLost,
    ArrivesTwice,
}

struct LossyLink {
    inner: Box<dyn Link>,
    fate: Arc<Mutex<Fate>>,
}

impl Lossy {
    pub(super) fn new(inner: Arc<dyn Transport>, loss: Loss, seed: u64) -> Self {
        let draws = SmallRng::seed_from_u64(seed);
        Lossy {
            inner,
            fate: Arc::new(Mutex::new(Fate { loss, draws })),
        }
    }
}

impl Fate {
    fn draw(&mut self, message: &Message) -> Drawn {
        let Loss {
            lost_per_mille,
            repeated_per_mille,
        } = self.loss;
        let draw = self.draws.random_range(0..1_000);
        if draw < lost_per_mille {
            return Drawn::IsLost;
        }
        let repeats = !matches!(message, Message::Segments(_));
        match repeats && draw < lost_per_mille + repeated_per_mille {
            true => Drawn::ArrivesTwice,
            false => Drawn::Arrives,
        }
    }
}

impl Link for LossyLink {
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        let mut fate = self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        match fate.draw(&message) {
            Drawn::IsLost => Ok(()),
            Drawn::Arrives => self.inner.try_send(message),
            Drawn::ArrivesTwice => {
                self.inner.try_send(message.clone())?;
                // The second one may find no room.
                let _ = self.inner.try_send(message);
                Ok(())
            }
        }
    }

    fn ready(&mut self) -> BoxFuture<'_, Result<(), LinkClosed>> {
        self.inner.ready()
    }
}

impl Transport for Lossy {
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError> {
        self.inner.open_inbox(peer, kind, capacity)
    }

    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError> {
        let inner = self.inner.link(to, kind)?;
        let fate = self.fate.clone();
        Ok(Box::new(LossyLink { inner, fate }))
    }

    fn segment_bytes_max(&self) -> usize {
        self.inner.segment_bytes_max()
    }

    fn shut(&self, peer: PeerId) {
        self.inner.shut(peer);
    }

    fn site(&self, group: GroupId) -> Site {
        self.inner.site(group)
    }

    fn learn_sites(&self, members: &SharedMap<PeerId, Member>) {
        self.inner.learn_sites(members);
    }

    fn refused(&self) -> Vec<(&'static str, u64)> {
        self.inner.refused()
    }

    fn alive(&self) -> Result<(), String> {
        self.inner.alive()
    }

    fn losses(&self) -> u64 {
        self.inner.losses()
    }

    fn broken(&self) -> watch::Receiver<()> {
        self.inner.broken()
    }
}
