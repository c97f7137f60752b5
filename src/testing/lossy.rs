//! A transport on which messages get lost, and some arrive twice, and which as a whole may be lost.

use crate::messaging::{Altered, Link, LinkClosed, Message, Transport, TrySendError};
use futures_util::future::BoxFuture;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// None where nothing gets lost.
    fate: Option<Arc<Mutex<Fate>>>,
    failures: Failures,
}

/// How often the transport as a whole was lost. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures(Arc<AtomicU64>);

impl Failures {
    /// The transport loses what is under way, as when its media driver dies, and is back at once.
    pub(super) fn fail(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
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
    pub(super) fn new(
        inner: Arc<dyn Transport>,
        loss: Loss,
        seed: u64,
        failures: Failures,
    ) -> Self {
        let loses = loss != Loss::default();
        let fate = || {
            let draws = SmallRng::seed_from_u64(seed);
            Arc::new(Mutex::new(Fate { loss, draws }))
        };
        Lossy {
            inner,
            fate: loses.then(fate),
            failures,
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

impl Altered for Lossy {
    fn inner(&self) -> &dyn Transport {
        &*self.inner
    }

    fn alter(&self, inner: Box<dyn Link>) -> Box<dyn Link> {
        match self.fate.clone() {
            Some(fate) => Box::new(LossyLink { inner, fate }),
            None => inner,
        }
    }

    fn lost(&self) -> u64 {
        self.inner.losses() + self.failures.0.load(Ordering::SeqCst)
    }
}
