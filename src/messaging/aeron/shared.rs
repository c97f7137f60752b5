//! What the courier and those who use the transport both know: whether it works, and where peers are.

use super::refusals::Refusals;
use super::site::AeronSite;
use crate::ids::PeerId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Shared by all threads of one transport.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) refusals: Arc<Refusals>,
    fault: Mutex<Option<String>>,
    losses: AtomicU64,
    broken: watch::Sender<()>,
    sites: Mutex<BTreeMap<PeerId, AeronSite>>,
}

impl Shared {
    pub(super) fn fail(&self, cause: String) {
        *lock(&self.fault) = Some(cause);
    }

    /// It works again, without what was under way.
    pub(super) fn recover(&self) {
        *lock(&self.fault) = None;
        self.losses.fetch_add(1, Ordering::SeqCst);
    }

    /// How often everything under way was lost.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Links have broken.
    pub(super) fn links_broke(&self) {
        self.broken.send_replace(());
    }

    pub(super) fn broken(&self) -> watch::Receiver<()> {
        self.broken.subscribe()
    }

    pub(super) fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    pub(super) fn learn(&self, sites: BTreeMap<PeerId, AeronSite>) {
        *lock(&self.sites) = sites;
    }

    pub(super) fn site(&self, peer: PeerId) -> Option<AeronSite> {
        lock(&self.sites).get(&peer).copied()
    }

    pub(super) fn knows(&self, peer: PeerId) -> bool {
        lock(&self.sites).contains_key(&peer)
    }
}

// Nobody panics between two steps that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
