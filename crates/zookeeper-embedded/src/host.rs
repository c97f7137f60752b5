//! The state machine behind its one lock, and the delivery of what it decides.
//!
//! Answers and notifications enter the outboxes while the lock is held. This is what makes every
//! client see events in the order of the transactions, and before the answers that show them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::debug;

use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::outbox::{Outbox, Room};
use crate::protocol::{
    ConnectRequest, ConnectResponse, ConnectionId, Notification, Reply, Request, RequestHeader,
};
use crate::state::{Attached, Connected, Effects, Fate, Keeper, SessionLimits};
use crate::statistics::{Counters, Statistics};

/// What the listener, all connections and the owner of the server share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    keeper: Keeper,
    outboxes: BTreeMap<ConnectionId, Arc<Outbox>>,
}

/// Whether a handshake gave the connection a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Accepted,
    Rejected,
}

impl Host {
    pub(crate) fn new(config: Config) -> Self {
        let clock = Clock::start();
        let limits = SessionLimits {
            min: millis(config.min_session_timeout),
            max: millis(config.max_session_timeout),
        };
        let keeper = Keeper::new(limits, clock.now());
        let inner = Mutex::new(Inner {
            keeper,
            outboxes: BTreeMap::new(),
        });
        Self {
            config,
            counters: Counters::default(),
            clock,
            inner,
        }
    }

    pub(crate) fn admit(&self, connection: ConnectionId) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::default());
        self.lock().outboxes.insert(connection, outbox.clone());
        outbox
    }

    pub(crate) fn dismiss(&self, connection: ConnectionId) {
        let mut inner = self.lock();
        inner.outboxes.remove(&connection);
        inner.keeper.disconnect(connection);
    }

    pub(crate) fn connect(
        &self,
        connection: ConnectionId,
        address: IpAddr,
        request: &ConnectRequest,
    ) -> Handshake {
        let mut inner = self.lock();
        let connected = inner
            .keeper
            .connect(connection, address, request, self.clock.now());
        let (response, handshake) = match connected {
            // ZooKeeper hangs up without a word, so that the client tries another server.
            Connected::Ahead => return Handshake::Rejected,
            Connected::Expired => (ConnectResponse::EXPIRED, Handshake::Rejected),
            Connected::Attached(Attached {
                response,
                displaced,
            }) => {
                inner.abort(displaced);
                (response, Handshake::Accepted)
            }
        };
        if let Some(outbox) = inner.outboxes.get(&connection) {
            outbox.push_answer(|out| response.encode(request.dialect, out));
        }
        handshake
    }

    pub(crate) fn serve(
        &self,
        connection: ConnectionId,
        header: RequestHeader,
        request: Request,
    ) -> Fate {
        self.counters.requests.increment();
        let mut inner = self.lock();
        let Some(served) = inner.keeper.serve(connection, request, self.clock.now()) else {
            return Fate::Ends;
        };
        self.notify(&inner, served.notifications);
        let reply = Reply {
            xid: header.xid,
            zxid: served.zxid,
            result: served.result,
        };
        if let Some(outbox) = inner.outboxes.get(&connection) {
            outbox.push_answer(|out| reply.encode(out));
            self.counters.sent.increment();
        }
        served.fate
    }

    /// Lets the state machine look at the clock.
    pub(crate) fn tick(&self) {
        let mut inner = self.lock();
        let effects = inner.keeper.tick(self.clock.now());
        self.deliver(&inner, effects);
    }

    pub(crate) fn expire_session(&self, session: i64) -> bool {
        let mut inner = self.lock();
        match inner.keeper.expire_session(session, self.clock.now()) {
            Some(effects) => {
                self.deliver(&inner, effects);
                true
            }
            None => false,
        }
    }

    pub(crate) fn cut_connections(&self) {
        let inner = self.lock();
        inner.abort(inner.outboxes.keys().copied());
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let inner = self.lock();
        let figures = inner.keeper.figures();
        Statistics {
            connections: inner.outboxes.len(),
            sessions: figures.sessions,
            nodes: figures.nodes,
            ephemerals: figures.ephemerals,
            watches: figures.watches,
            zxid: figures.zxid,
            requests: self.counters.requests.get(),
            sent: self.counters.sent.get(),
            refused_connections: self.counters.refused.get(),
            garbled_connections: self.counters.garbled.get(),
            overflowed_connections: self.counters.overflowed.get(),
        }
    }

    fn deliver(&self, inner: &Inner, effects: Effects) {
        self.notify(inner, effects.notifications);
        inner.abort(effects.closed);
    }

    fn notify(&self, inner: &Inner, notifications: Vec<Notification>) {
        for notification in notifications {
            let Some(outbox) = inner.outboxes.get(&notification.connection) else {
                continue;
            };
            match outbox.push_notification(|out| notification.encode(out)) {
                Room::Enough => self.counters.sent.increment(),
                Room::Exceeded => {
                    debug!(
                        connection = notification.connection.0,
                        "client does not read"
                    );
                    self.counters.overflowed.increment();
                }
            }
        }
    }

    /// The state machine does not call foreign code, so a panic inside it is a bug that a test run
    /// should survive with its other clients.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn abort(&self, connections: impl IntoIterator<Item = ConnectionId>) {
        for connection in connections {
            if let Some(outbox) = self.outboxes.get(&connection) {
                outbox.abort();
            }
        }
    }
}
