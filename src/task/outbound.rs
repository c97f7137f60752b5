//! What a task has to send: to downstream tasks, to ackers, to sources. Bounded by one batch: no
//! further batch is read before everything has been taken by a link.

use super::counters::{Count, TaskCounters};
use crate::ids::{PeerId, SlotId, TaskName};
use crate::messaging::{InboxKind, Link, Message, Transport, TrySendError};
use futures_util::future::select_all;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The queue and the links it empties into.
pub(super) struct Outbound {
    transport: Arc<dyn Transport>,
    routes: Vec<Route>,
    /// Links to acking daemons and to sources.
    control: BTreeMap<(PeerId, InboxKind), Box<dyn Link>>,
    queue: VecDeque<Parcel>,
    counters: Arc<TaskCounters>,
}

/// A downstream task and the peers that can receive for it.
struct Route {
    task: TaskName,
    peers: Vec<PeerId>,
    links: BTreeMap<PeerId, Box<dyn Link>>,
    /// Whose turn it is.
    turn: usize,
}

struct Parcel {
    to: To,
    message: Message,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Any ready peer of the downstream task with this index.
    Route(usize),
    /// The acking daemon of a peer.
    Acker(PeerId),
    /// The task of a peer.
    Source(PeerId),
}

/// Whether the queue is empty now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything was taken.
    All,
    /// A link is full, or a task has no ready peer.
    Blocked,
}

impl Outbound {
    /// An empty queue without routes.
    pub(super) fn new(transport: Arc<dyn Transport>, counters: Arc<TaskCounters>) -> Self {
        let (routes, control, queue) = (Vec::new(), BTreeMap::new(), VecDeque::new());
        Outbound {
            transport,
            routes,
            control,
            queue,
            counters,
        }
    }

    /// Takes over who can receive. Links to peers that stay are kept.
    pub(super) fn reroute(&mut self, downstream: &[(TaskName, Vec<(SlotId, PeerId)>)]) {
        let mut old: BTreeMap<TaskName, Route> = self
            .routes
            .drain(..)
            .map(|route| (route.task.clone(), route))
            .collect();
        for (task, slots) in downstream {
            let peers: Vec<PeerId> = slots.iter().map(|(_, peer)| *peer).collect();
            let (mut links, turn) = match old.remove(task) {
                Some(route) => (route.links, route.turn),
                None => (BTreeMap::new(), 0),
            };
            links.retain(|peer, _| peers.contains(peer));
            self.routes.push(Route {
                task: task.clone(),
                peers,
                links,
                turn,
            });
        }
    }

    /// The downstream tasks, in route order.
    pub(super) fn tasks(&self) -> impl ExactSizeIterator<Item = &TaskName> {
        self.routes.iter().map(|route| &route.task)
    }

    /// How many downstream tasks there are.
    pub(super) fn routes(&self) -> usize {
        self.routes.len()
    }

    /// Puts a message behind the others.
    pub(super) fn push(&mut self, to: To, message: Message) {
        self.queue.push_back(Parcel { to, message });
    }

    /// Whether everything has been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends as much as links take, in order.
    pub(super) fn flush(&mut self) -> Flushed {
        while let Some(Parcel { to, message }) = self.queue.pop_front() {
            let sent = match to {
                To::Route(index) => self.routes[index].send(&*self.transport, message),
                To::Acker(peer) => self.send_control(peer, InboxKind::Acker, message),
                To::Source(peer) => self.send_control(peer, InboxKind::Task, message),
            };
            if let Some(message) = sent {
                self.queue.push_front(Parcel { to, message });
                return Flushed::Blocked;
            }
        }
        Flushed::All
    }

    /// Gives the message to a peer; it comes back when there is no room. An acker or source that
    /// cannot be reached has died, and its ledger or pending set with it: what was meant for it is
    /// counted and forgotten.
    fn send_control(&mut self, peer: PeerId, kind: InboxKind, message: Message) -> Option<Message> {
        let link = match self.control.entry((peer, kind)) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => self
                .transport
                .link(peer, kind)
                .ok()
                .map(|link| new.insert(link)),
        };
        if let Some(link) = link {
            match link.try_send(message) {
                Ok(()) => return None,
                Err(TrySendError::Full(message)) => return Some(message),
                Err(TrySendError::Closed(_)) => {}
            }
        }
        self.control.remove(&(peer, kind));
        self.counters.add(Count::Misdirected, 1);
        None
    }

    /// Waits until the first message that is blocked may be taken. Waits for ever when its task has
    /// no ready peer: a newer assignment has to come.
    pub(super) async fn writable(&mut self) {
        let Some(to) = self.queue.front().map(|parcel| parcel.to) else {
            return;
        };
        let links: Vec<_> = match to {
            To::Route(index) => self.routes[index].links.values_mut().collect(),
            To::Acker(peer) => self
                .control
                .get_mut(&(peer, InboxKind::Acker))
                .into_iter()
                .collect(),
            To::Source(peer) => self
                .control
                .get_mut(&(peer, InboxKind::Task))
                .into_iter()
                .collect(),
        };
        if links.is_empty() {
            return std::future::pending().await;
        }
        let _ = select_all(links.into_iter().map(|link| link.ready())).await;
    }
}

impl Route {
    /// Gives the message to the next peer that has room; it comes back when none has.
    fn send(&mut self, transport: &dyn Transport, mut message: Message) -> Option<Message> {
        for offset in 0..self.peers.len() {
            let at = (self.turn + offset) % self.peers.len();
            let peer = self.peers[at];
            let Some(link) = self.link(transport, peer) else {
                continue;
            };
            match link.try_send(message) {
                Ok(()) => {
                    self.turn = at + 1;
                    return None;
                }
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Closed(back)) => {
                    message = back;
                    self.links.remove(&peer);
                }
            }
        }
        Some(message)
    }

    fn link(&mut self, transport: &dyn Transport, peer: PeerId) -> Option<&mut Box<dyn Link>> {
        match self.links.entry(peer) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) => Some(new.insert(transport.link(peer, InboxKind::Task).ok()?)),
        }
    }
}
