//! The courier: the one thread that reads what arrives for this process, says what is to be said
//! about links, and keeps the client of the media driver. It waits for nobody.

use super::arrivals::{Arrivals, Sender};
use super::bell::{Bell, Wish};
use super::client::{AeronError, Client};
use super::departures::{Departures, Granted, OutLink};
use super::idle::Idle;
use super::publications::{Identity, Publications};
use super::refusals::{Refusal, Refusals};
use super::settings::AeronSettings;
use super::shared::Shared;
use super::site::AeronSite;
use super::words::Words;
use crate::clock::{Clock, Millis, doubled};
use crate::messaging::{Cargo, Control, LinkId, LocalTransport, RefuseReason, decode_frame};
use bytes::Bytes;
use rusteron_client::AeronHeader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How often it looks after ways and links that say nothing.
const TICK: Duration = Duration::from_millis(50);
/// How long it waits before a lost client is built again: ever longer while clients live shortly, since
/// all peers of the process begin again with each.
const REBUILD_AFTER: Duration = Duration::from_millis(100);
const REBUILD_AFTER_MAX: Duration = Duration::from_secs(10);
/// A link of which nobody has spoken, or that nobody has answered, for so many liveness times is
/// forgotten.
const SILENCE_FACTOR: u32 = 4;
/// A client has lived shortly when it was lost within so many liveness times.
const SHORT_LIFE_FACTOR: u32 = 2;
/// A way is given up when nobody was found there for so many liveness times.
const PATIENCE_FACTOR: u32 = 2;

/// The thread's own things.
pub(super) struct Courier {
    settings: AeronSettings,
    /// The life of the client; the first is that of the settings.
    epoch: u64,
    wishes: mpsc::Receiver<Wish>,
    shared: Arc<Shared>,
    desk: Desk,
    publications: Publications,
    blocked: Vec<Arc<OutLink>>,
    clock: Clock,
    ticked: Millis,
    /// How many clients in a row have lived shortly.
    short_lives: u32,
}

/// What it knows of links. It knows nothing of Aeron.
struct Desk {
    cluster: u64,
    local: LocalTransport,
    refusals: Arc<Refusals>,
    arrivals: Arrivals,
    departures: Departures,
    words: Words,
    /// Links that were granted something. They are told where to send once everything that has
    /// arrived was read.
    granted: Vec<(LinkId, Granted)>,
    /// Links that broke since this was last told.
    broken: usize,
    /// Whether reading a frame panicked. Aeron's code, which it is read from, must not be unwound.
    panicked: bool,
    now: Millis,
}

/// Why it came to an end.
enum End {
    Stopped,
    Lost(String),
}

impl End {
    fn panicked() -> Self {
        End::Lost("its thread panicked, which is a bug; what it said stands above this".into())
    }
}

impl Courier {
    pub(super) fn new(
        settings: AeronSettings,
        local: LocalTransport,
        shared: Arc<Shared>,
        (bell, wishes): (Bell, mpsc::Receiver<Wish>),
    ) -> Self {
        let desk = Desk {
            cluster: settings.cluster,
            local,
            refusals: shared.refusals.clone(),
            arrivals: Arrivals::new(bell),
            departures: Departures::default(),
            words: Words::default(),
            granted: Vec::new(),
            broken: 0,
            panicked: false,
            now: Millis(0),
        };
        Courier {
            epoch: settings.epoch,
            settings,
            wishes,
            shared,
            desk,
            publications: Publications::new(),
            blocked: Vec::new(),
            clock: Clock::start(),
            ticked: Millis(0),
            short_lives: 0,
        }
    }

    /// Works until it is told to stop. A client that was lost is built again, as another life.
    pub(super) fn work(mut self, connected: &mpsc::SyncSender<Result<AeronSite, AeronError>>) {
        let mut client = match Client::connect(&self.settings, None) {
            Ok(client) => client,
            Err(error) => {
                // Who waits for it hears this.
                let _ = connected.send(Err(error));
                return;
            }
        };
        let own = client.site();
        let _ = connected.send(Ok(own));
        loop {
            let begun = self.clock.now();
            match self.serve_guarded(&mut client) {
                End::Stopped => return self.forget(),
                End::Lost(cause) => {
                    tracing::warn!(%cause, "the client of the media driver is lost");
                    self.shared.fail(cause);
                }
            }
            self.forget();
            drop(client);
            let lived = self.clock.now().since(begun);
            self.short_lives = match lived < self.settings.liveness * SHORT_LIFE_FACTOR {
                true => self.short_lives.saturating_add(1),
                false => 0,
            };
            client = match self.rebuild(own) {
                Some(client) => client,
                None => return,
            };
            tracing::info!(site = %own, "there is a client of the media driver again");
            self.shared.recover();
        }
    }

    /// Nothing that the lost client had can be used, and nothing says what of it has arrived.
    fn forget(&mut self) {
        self.publications = Publications::new();
        self.desk.departures.close_answered();
        self.desk.arrivals.lost(None);
        self.desk.words = Words::default();
        self.desk.granted.clear();
        self.desk.panicked = false;
        self.blocked.clear();
        self.epoch = self.epoch.wrapping_add(1);
    }

    fn rebuild(&mut self, own: AeronSite) -> Option<Client> {
        let port = Some(own.address.port());
        let lost = self.clock.now();
        let pause = pause_after(self.short_lives);
        loop {
            std::thread::park_timeout(REBUILD_AFTER);
            if let Some(End::Stopped) = self.hear(own) {
                return None;
            }
            // Whoever has a wish wakes it before its time.
            if self.clock.now().since(lost) < pause {
                continue;
            }
            match Client::connect(&self.settings, port) {
                Ok(client) => return Some(client),
                Err(error) => self.shared.fail(error.to_string()),
            }
        }
    }

    /// A mistake in here costs what is under way, not the process its transport: `forget` lets go of
    /// whatever was left in the middle.
    fn serve_guarded(&mut self, client: &mut Client) -> End {
        let served = catch_unwind(AssertUnwindSafe(|| self.serve(client)));
        served.unwrap_or_else(|_| End::panicked())
    }

    fn serve(&mut self, client: &mut Client) -> End {
        let mut idle = Idle::default();
        let own = client.site();
        loop {
            self.desk.now = self.clock.now();
            if let Some(end) = self.hear(own) {
                self.say(client);
                return end;
            }
            let mut work = match client.poll(&mut self.desk, Desk::read) {
                Ok(fragments) => fragments,
                Err(reason) => return End::Lost(reason),
            };
            if self.desk.panicked {
                return End::panicked();
            }
            self.pass_on_grants();
            self.tell_of_broken();
            work += self.publications.advance(self.desk.now);
            work += self.say(client);
            self.blocked.retain(|link| link.still_blocked());
            if self.desk.now.since(self.ticked) >= TICK {
                self.ticked = self.desk.now;
                if let Some(cause) = client.lost() {
                    return End::Lost(cause);
                }
                self.tick(own);
            }
            idle.after(work, self.blocked.is_empty());
        }
    }

    /// Does what others wish.
    fn hear(&mut self, own: AeronSite) -> Option<End> {
        let desk = &mut self.desk;
        for wish in self.wishes.try_iter() {
            match wish {
                Wish::Open(opening) => {
                    if let Some(link) = opening.arrived() {
                        desk.departures.open(link, desk.now, own, &mut desk.words);
                    }
                }
                Wish::Blocked(link) => self.blocked.push(link),
                Wish::Leave(id) => desk.departures.leave(id, &mut desk.words),
                Wish::Grant(id) => desk.arrivals.grant(id, &mut desk.words),
                Wish::Closed(peer) => desk.arrivals.closed(peer, &mut desk.words),
                Wish::Stop => return Some(End::Stopped),
                #[cfg(test)]
                Wish::Panic => panic!("as a test wishes"),
            }
        }
        None
    }

    fn pass_on_grants(&mut self) {
        let epoch = self.epoch;
        let Desk {
            granted,
            departures,
            broken,
            ..
        } = &mut self.desk;
        for (id, granted) in granted.drain(..) {
            *broken += departures.granted(id, granted, epoch, &self.publications);
        }
    }

    /// Tells who has links of those that broke.
    fn tell_of_broken(&mut self) {
        if std::mem::take(&mut self.desk.broken) > 0 {
            self.shared.links_broke();
        }
    }

    fn say(&mut self, client: &Client) -> usize {
        let identity = Identity {
            cluster: self.settings.cluster,
            epoch: self.epoch,
        };
        let settings = &self.settings;
        let open = |site| client.open(site, settings);
        let (words, now) = (&mut self.desk.words, self.desk.now);
        self.publications.say(words, identity, now, open)
    }

    fn tick(&mut self, own: AeronSite) {
        let desk = &mut self.desk;
        let liveness = self.settings.liveness;
        let used = |site| desk.departures.any_to(site) || desk.arrivals.any_from(site);
        let patience = liveness * PATIENCE_FACTOR;
        for site in self.publications.tick(desk.now, patience, used) {
            desk.broken += desk.departures.lost(site);
            desk.arrivals.lost(Some(site));
            desk.words.forget(site);
        }
        desk.arrivals.tick(desk.now, liveness * SILENCE_FACTOR);
        let gone = |peer| !self.shared.knows(peer);
        let patience = liveness * SILENCE_FACTOR;
        desk.departures
            .tick(desk.now, patience, own, gone, &mut desk.words);
    }
}

/// How long nobody tries to build a client after so many that lived shortly.
fn pause_after(short_lives: u32) -> Duration {
    doubled(REBUILD_AFTER, short_lives, REBUILD_AFTER_MAX)
}

impl Desk {
    /// One whole frame, as it arrived.
    fn read(&mut self, frame: &[u8], _header: AeronHeader) {
        let taken = catch_unwind(AssertUnwindSafe(|| self.take(frame)));
        self.panicked |= taken.is_err();
    }

    fn take(&mut self, frame: &[u8]) {
        let frame = Bytes::copy_from_slice(frame);
        let taken = match decode_frame(frame, self.cluster) {
            Ok((envelope, Cargo::Message(message))) => {
                let to = (envelope.link, envelope.epoch, envelope.sequence);
                self.arrivals.deliver(to, message, &mut self.words)
            }
            Ok((envelope, Cargo::Control(control))) => {
                self.heed(envelope.epoch, control, envelope.link)
            }
            Err(error) => {
                tracing::debug!(%error, "a frame is refused");
                Err(Refusal::from(&error))
            }
        };
        if let Err(refusal) = taken {
            self.refusals.count(refusal);
        }
    }

    fn heed(&mut self, epoch: u64, control: Control, to: LinkId) -> Result<(), Refusal> {
        match control {
            Control::Open(open) => {
                let site = open.site.parse().map_err(|_| Refusal::NoSite)?;
                let door = self.local.door(open.peer, open.inbox);
                let answer_to = (site, door);
                let (now, words) = (self.now, &mut self.words);
                self.arrivals.opened(&open, epoch, answer_to, now, words);
            }
            Control::Grant {
                link: far,
                limit,
                taken,
                number,
            } => {
                let granted = Granted {
                    far,
                    limit,
                    taken,
                    number,
                };
                self.granted.push((to, granted));
            }
            // Whose inbox has closed is told by the log: who is gone, moved or done.
            Control::Refuse {
                link,
                reason: RefuseReason::NoInbox,
            } => self.departures.end(link),
            Control::Refuse { link, .. } => self.broken += self.departures.broke(link),
            Control::Leave { link } => self.arrivals.left(Sender { epoch, link }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_lost_again_and_again_is_built_ever_later() {
        let pauses = [0, 1, 2, 6, 7, 40].map(|lives| pause_after(lives).as_millis());
        assert_eq!(pauses, [100, 200, 400, 6_400, 10_000, 10_000]);
    }
}
