//! The links of one sender: each is opened when it is first needed, and again when the inbox at its
//! end was replaced by another of the same peer.

use super::{InboxKind, Link, LinkClosed, Lost, Message, Transport, TrySendError};
use crate::ids::PeerId;
use futures_util::future::select_all;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Links to inboxes of one kind, by peer.
pub struct Links {
    kind: InboxKind,
    open: BTreeMap<PeerId, OpenLink>,
    /// Somebody had no such inbox when it was last tried.
    refused: bool,
    /// What was on links that have broken, with whom it was for.
    lost: Vec<(PeerId, Lost)>,
}

/// How long a peer that had no inbox is left in peace. It may open one without a word in the log that
/// would wake who waits for it.
const TRY_AGAIN: Duration = Duration::from_millis(100);

struct OpenLink {
    link: Box<dyn Link>,
    history: History,
}

/// Whether an inbox was ever at the end of the link: where links are opened by asking another
/// process, the answer comes later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum History {
    NothingTaken,
    SomethingTaken,
}

impl Links {
    /// No links yet.
    pub fn to(kind: InboxKind) -> Self {
        Links {
            kind,
            open: BTreeMap::new(),
            refused: false,
            lost: Vec::new(),
        }
    }

    /// Takes what was on links that have broken, with whom it was for.
    pub fn take_lost(&mut self) -> Vec<(PeerId, Lost)> {
        let Links { open, lost, .. } = self;
        for (peer, open) in open {
            lost.extend(open.link.take_lost().into_iter().map(|it| (*peer, it)));
        }
        std::mem::take(lost)
    }

    /// Sends, or gives the message back. A peer without such an inbox is closed.
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    pub fn try_send(
        &mut self,
        transport: &dyn Transport,
        to: PeerId,
        mut message: Message,
    ) -> Result<(), TrySendError> {
        if let Some(open) = self.open.get_mut(&to) {
            match open.try_send(message) {
                Err(TrySendError::Closed(back)) => message = back,
                known => return known,
            }
            let history = open.history;
            let lost = open.link.take_lost().into_iter();
            self.lost.extend(lost.map(|lost| (to, lost)));
            self.open.remove(&to);
            if history == History::NothingTaken {
                // It was opened for this, and nobody is there.
                self.refused = true;
                return Err(TrySendError::Closed(message));
            }
            // The peer may have started another task since, with another inbox.
        }
        let Ok(link) = transport.link(to, self.kind) else {
            self.refused = true;
            return Err(TrySendError::Closed(message));
        };
        let history = History::NothingTaken;
        let mut open = OpenLink { link, history };
        let sent = open.try_send(message);
        self.open.insert(to, open);
        sent
    }

    /// Forgets the links to everybody else.
    pub fn keep_only(&mut self, peers: &[PeerId]) {
        let is_left = |peer: &PeerId, _: &mut OpenLink| !peers.contains(peer);
        for (peer, mut left) in self.open.extract_if(.., is_left) {
            let lost = left.link.take_lost().into_iter();
            self.lost.extend(lost.map(|lost| (peer, lost)));
        }
    }

    /// Waits until the open link to a peer has room or is closed; for ever when there is none.
    pub async fn ready(&mut self, peer: PeerId) -> Result<(), LinkClosed> {
        match self.open.get_mut(&peer) {
            Some(open) => open.link.ready().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the open link to one of these peers has room or is closed; for ever when there is
    /// none.
    pub async fn one_ready(&mut self, peers: &BTreeSet<PeerId>) {
        let open = self
            .open
            .iter_mut()
            .filter(|(peer, _)| peers.contains(peer));
        ready_of(open.map(|(_, open)| open)).await;
    }

    /// Waits until any open link has room or is closed, or until it is time to try a peer again that
    /// had no inbox; for ever when there is neither.
    pub async fn any_ready(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        tokio::select! {
            () = ready_of(self.open.values_mut()) => {}
            () = tokio::time::sleep(TRY_AGAIN), if refused => {}
        }
    }
}

async fn ready_of(links: impl Iterator<Item = &mut OpenLink>) {
    let ready: Vec<_> = links.map(|open| open.link.ready()).collect();
    match ready.len() {
        0 => std::future::pending().await,
        // A link that closed is found closed when it is used.
        _ => drop(select_all(ready).await),
    }
}

impl OpenLink {
    #[expect(
        clippy::result_large_err,
        reason = "a refused message goes back as it came, without an allocation"
    )]
    fn try_send(&mut self, message: Message) -> Result<(), TrySendError> {
        self.link.try_send(message)?;
        self.history = History::SomethingTaken;
        Ok(())
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({} to {} inboxes)", self.open.len(), self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::{Cause, Retries};
    use crate::ids::IdSource;
    use crate::messaging::LocalTransport;

    fn message() -> Message {
        let source = IdSource::from_seed(1).peer();
        Message::Retries(Retries {
            source,
            epoch: 1,
            cause: Cause::Asked,
            reason: String::new(),
            roots: vec![1],
        })
    }

    #[test]
    fn a_peer_that_opened_another_inbox_is_reached_there() {
        let transport = LocalTransport::new();
        let peer = IdSource::from_seed(2).peer();
        let mut links = Links::to(InboxKind::Task);
        let unknown = links.try_send(&transport, peer, message());
        assert_eq!(unknown, Err(TrySendError::Closed(message())));
        let mut inbox = transport.open_inbox(peer, InboxKind::Task, 1).unwrap();
        assert_eq!(links.try_send(&transport, peer, message()), Ok(()));
        assert!(inbox.try_next().is_some());
        drop(inbox);
        let mut inbox = transport.open_inbox(peer, InboxKind::Task, 1).unwrap();
        assert_eq!(links.try_send(&transport, peer, message()), Ok(()));
        assert!(inbox.try_next().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_opens_its_inbox_late_is_tried_again_by_who_waits() {
        let transport = LocalTransport::new();
        let peer = IdSource::from_seed(2).peer();
        let mut links = Links::to(InboxKind::Task);
        let closed = links.try_send(&transport, peer, message());
        assert_eq!(closed, Err(TrySendError::Closed(message())));
        links.any_ready().await;
        let _inbox = transport.open_inbox(peer, InboxKind::Task, 1).unwrap();
        assert_eq!(links.try_send(&transport, peer, message()), Ok(()));
    }

    #[test]
    fn a_full_inbox_gives_the_message_back() {
        let transport = LocalTransport::new();
        let peer = IdSource::from_seed(2).peer();
        let mut links = Links::to(InboxKind::Task);
        let _inbox = transport.open_inbox(peer, InboxKind::Task, 1).unwrap();
        assert_eq!(links.try_send(&transport, peer, message()), Ok(()));
        let full = links.try_send(&transport, peer, message());
        assert_eq!(full, Err(TrySendError::Full(message())));
    }
}
