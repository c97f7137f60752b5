//! The transport between processes: over Aeron, in shared memory on one machine and over UDP between
//! machines. What it promises is in `docs/messaging.md`.
//!
//! Whoever sends on a link writes frames into the log of a publication by itself, as far as it was
//! granted. One thread, the courier, reads everything that arrives for the process and puts it where
//! its link leads; it never waits. Inboxes are those of the process: see [`LocalTransport`].

mod arrivals;
mod bell;
mod client;
mod courier;
mod departures;
mod driver;
mod idle;
mod link;
mod pieces;
mod publications;
mod refusals;
mod settings;
mod shared;
mod site;
mod window;
mod words;

#[cfg(test)]
mod tests;

pub use client::AeronError;
pub use driver::{DriverError, MediaDriver};
pub use settings::{AeronSettings, DriverChoice, LocalPeers, TERM_BYTES};
pub use site::{AeronSite, DriverId, NotASite, stable_hash};

use super::{Inbox, InboxKind, Link, LinkId, LocalTransport, Transport, TransportError};
use crate::ids::{GroupId, PeerId};
use crate::replica::{Member, SharedMap, Site};
pub(super) use bell::Takings;
use bell::{Bell, Opening, Wish};
use courier::Courier;
use departures::OutLink;
use link::{AeronLink, FrameSettings};
use rusteron_client::AeronPublication;
use shared::Shared;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// The transport of one process. Dropping it closes all links, and the driver if that is embedded.
pub struct AeronTransport {
    local: LocalTransport,
    local_peers: LocalPeers,
    site: AeronSite,
    frames: FrameSettings,
    links: AtomicU64,
    bell: Bell,
    shared: Arc<Shared>,
    courier: Option<JoinHandle<()>>,
}

/// What leads to other sites.
trait Channels {
    fn publication(&self, site: AeronSite) -> Option<AeronPublication>;
}

impl AeronTransport {
    /// Starts the driver, if it is embedded, and the thread that reads.
    pub fn start(settings: AeronSettings) -> Result<Self, AeronError> {
        let local = LocalTransport::new();
        let shared = Arc::new(Shared::default());
        let (bell, wishes) = Bell::new();
        let frames = FrameSettings {
            cluster: settings.cluster,
            bytes_max: settings.frame_max(),
            compression: settings.compression,
        };
        let local_peers = settings.local_peers;
        let (connected, is_connected) = mpsc::sync_channel(1);
        let courier = std::thread::Builder::new()
            .name("onyx-courier".into())
            .spawn({
                let (local, shared, bell) = (local.clone(), shared.clone(), bell.clone());
                move || {
                    let ends = Ends(shared.clone());
                    Courier::new(settings, local, shared, (bell, wishes)).work(&connected);
                    drop(ends);
                }
            })
            .map_err(AeronError::Thread)?;
        bell.wake(courier.thread().clone());
        let site = match is_connected.recv() {
            Ok(site) => site?,
            Err(_) => {
                let error = std::io::Error::other("the courier ended");
                return Err(AeronError::Thread(error));
            }
        };
        Ok(AeronTransport {
            local,
            local_peers,
            site,
            frames,
            links: AtomicU64::new(1),
            bell,
            shared,
            courier: Some(courier),
        })
    }

    /// Where others reach this process.
    pub fn aeron_site(&self) -> AeronSite {
        self.site
    }
}

impl Transport for AeronTransport {
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError> {
        let bell = self.bell.clone();
        let on_close = move || bell.say(Wish::Closed(peer));
        self.local.open((peer, kind), capacity, on_close)
    }

    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError> {
        if self.local_peers == LocalPeers::ShortCircuit
            && let Ok(link) = self.local.link(to, kind)
        {
            return Ok(link);
        }
        let Some(site) = self.shared.site(to) else {
            return Err(TransportError::UnknownPeer { peer: to, kind });
        };
        let short_circuit = self.local_peers == LocalPeers::ShortCircuit;
        if short_circuit && site == self.site {
            return Err(TransportError::UnknownPeer { peer: to, kind });
        }
        let id = LinkId(self.links.fetch_add(1, Ordering::Relaxed));
        let out = Arc::new(OutLink::new(id, to, kind, site));
        self.bell.say(Wish::Open(Opening::of(out.clone())));
        let bell = self.bell.clone();
        Ok(Box::new(AeronLink::new(out, self.frames, bell)))
    }

    fn segment_bytes_max(&self) -> usize {
        self.frames.bytes_max - pieces::OVERHEAD_MAX
    }

    fn held(&self, by: PeerId, of: (PeerId, u64), roots: &[u64]) -> Vec<u64> {
        self.local.held(by, of, roots)
    }

    fn shut(&self, peer: PeerId) {
        self.local.shut(peer);
        self.bell.say(Wish::Closed(peer));
    }

    fn shut_inbox(&self, peer: PeerId, kind: InboxKind) {
        self.local.shut_inbox(peer, kind);
        self.bell.say(Wish::Closed(peer));
    }

    fn site(&self, _group: GroupId) -> Site {
        self.site.into()
    }

    fn learn_sites(&self, members: &SharedMap<PeerId, Member>) {
        let site = |member: &Member| member.site.0.parse().ok();
        let sites = members
            .iter()
            .filter_map(|(peer, member)| Some((*peer, site(member)?)));
        self.shared.learn(sites.collect());
    }

    fn refused(&self) -> Vec<(&'static str, u64)> {
        self.shared.refusals.all().collect()
    }

    fn alive(&self) -> Result<(), String> {
        self.shared.fault().map_or(Ok(()), Err)
    }

    fn losses(&self) -> u64 {
        self.shared.losses()
    }

    fn broken(&self) -> watch::Receiver<()> {
        self.shared.broken()
    }
}

impl Drop for AeronTransport {
    fn drop(&mut self) {
        self.bell.say(Wish::Stop);
        if let Some(courier) = self.courier.take() {
            // One that panicked has said so.
            let _ = courier.join();
        }
    }
}

impl fmt::Debug for AeronTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AeronTransport({})", self.site)
    }
}

/// Says that the transport has ended, however that came.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fail("the transport has ended".into());
    }
}
