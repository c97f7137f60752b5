//! A transport that is another one but for what is told here, as tests of faults need it.

use super::{Inbox, InboxKind, Link, Transport, TransportError};
use crate::ids::{GroupId, PeerId};
use crate::replica::{Member, SharedMap, Site};
use tokio::sync::watch;

/// What is different from the transport within.
pub(crate) trait Altered: Send + Sync {
    /// The transport within.
    fn inner(&self) -> &dyn Transport;

    /// What is handed out in place of one of its links.
    fn alter(&self, link: Box<dyn Link>) -> Box<dyn Link> {
        link
    }

    /// The longest segment that it carries.
    fn bytes_max(&self) -> usize {
        self.inner().segment_bytes_max()
    }

    /// How often everything under way was lost.
    fn lost(&self) -> u64 {
        self.inner().losses()
    }

    /// Changes whenever one of its links has broken.
    fn breaks(&self) -> watch::Receiver<()> {
        self.inner().broken()
    }
}

impl<A: Altered> Transport for A {
    fn open_inbox(
        &self,
        peer: PeerId,
        kind: InboxKind,
        capacity: usize,
    ) -> Result<Inbox, TransportError> {
        self.inner().open_inbox(peer, kind, capacity)
    }

    fn link(&self, to: PeerId, kind: InboxKind) -> Result<Box<dyn Link>, TransportError> {
        let link = self.inner().link(to, kind)?;
        Ok(self.alter(link))
    }

    fn segment_bytes_max(&self) -> usize {
        self.bytes_max()
    }

    fn held(&self, by: PeerId, of: (PeerId, u64), roots: &[u64]) -> Vec<u64> {
        self.inner().held(by, of, roots)
    }

    fn shut_inbox(&self, peer: PeerId, kind: InboxKind) {
        self.inner().shut_inbox(peer, kind);
    }

    fn shut(&self, peer: PeerId) {
        self.inner().shut(peer);
    }

    fn site(&self, group: GroupId) -> Site {
        self.inner().site(group)
    }

    fn learn_sites(&self, members: &SharedMap<PeerId, Member>) {
        self.inner().learn_sites(members);
    }

    fn refused(&self) -> Vec<(&'static str, u64)> {
        self.inner().refused()
    }

    fn alive(&self) -> Result<(), String> {
        self.inner().alive()
    }

    fn losses(&self) -> u64 {
        self.lost()
    }

    fn broken(&self) -> watch::Receiver<()> {
        self.breaks()
    }
}
