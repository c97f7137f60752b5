//! The state machine behind its one lock, and the delivery of what it decides.
//!
//! Answers and notifications enter the outboxes while the lock is held. This is what makes every
//! client see events in the order of the transactions, and before the answers that show them.
//!
//! With a log, requests see what was decided before them at once, but nothing leaves for a client
//! before every transaction that it could show is durable. So nobody can know of a change that a
//! crash could undo. ZooKeeper does the same: behind a write that is being synced, reads wait as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::{debug, error};

use crate::admission::{Admission, Full};
use crate::clock::{Clock, millis};
use crate::complaints::Complaints;
use crate::config::Config;
use crate::outbox::{Leaves, Outbox, Released, Room};
use crate::protocol::{
    ConnectRequest, ConnectResponse, ConnectionId, Notification, Reply, Request, RequestHeader,
};
use crate::secret::Login;
use crate::state::{Attached, Connected, Effects, Fate, Gate, Keeper, Ledger, SessionLimits};
use crate::statistics::{Counters, Statistics};
use crate::storage::{Queue, StorageError, Tally};

/// What the listener, all connections and the owner of the server share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    clock: Clock,
    log: Option<Log>,
    failure: watch::Sender<Option<Arc<StorageError>>>,
    login: Option<Login>,
    inner: Mutex<Inner>,
}

/// Where transactions go to become durable.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) queue: Arc<Queue>,
    pub(crate) tally: Arc<Tally>,
}

#[derive(Debug)]
struct Inner {
    keeper: Keeper,
    admission: Admission,
    complaints: Complaints,
    outboxes: BTreeMap<ConnectionId, Arc<Outbox>>,
    /// The last transaction that is as durable as it gets.
    durable: i64,
    /// Connections with something that waits for the disk.
    held_back: BTreeSet<ConnectionId>,
}

/// Whether a handshake gave the connection a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// It did, and requests are served from now on.
    Settled,
    /// It did, and a login is waited for.
    AwaitsLogin,
    Rejected,
}

/// So many ticks are not missed by a server that is awake.
const TICKS_MISSED: u32 = 5;

impl Host {
    /// A host that keeps everything in memory.
    pub(crate) fn volatile(config: Config, login: Option<Login>) -> Self {
        let clock = Clock::start();
        let ledger = Ledger::new(clock.now());
        Self::new(config, login, clock, ledger, None)
    }

    /// A host that goes on with a state, and logs what happens to it.
    pub(crate) fn durable(
        config: Config,
        login: Option<Login>,
        mut ledger: Ledger,
        log: Log,
    ) -> Self {
        let clock = Clock::start();
        ledger.wake(clock.now());
        Self::new(config, login, clock, ledger, Some(log))
    }

    fn new(
        config: Config,
        login: Option<Login>,
        clock: Clock,
        ledger: Ledger,
        log: Option<Log>,
    ) -> Self {
        let limits = SessionLimits {
            min: millis(config.min_session_timeout),
            max: millis(config.max_session_timeout),
            slept: millis(config.tick * TICKS_MISSED),
        };
        let durable = match log {
            Some(_) => ledger.zxid(),
            None => i64::MAX,
        };
        let gate = login.clone().map_or(Gate::Open, Gate::Login);
        let inner = Mutex::new(Inner {
            keeper: Keeper::new(gate, ledger, limits, clock.now()),
            admission: Admission::new(config.bounds()),
            complaints: Complaints::default(),
            outboxes: BTreeMap::new(),
            durable,
            held_back: BTreeSet::new(),
        });
        Self {
            config,
            counters: Counters::default(),
            clock,
            log,
            failure: watch::Sender::new(None),
            login,
            inner,
        }
    }

    /// Transactions up to this one are durable: what was held back for them leaves.
    pub(crate) fn release(&self, durable: i64) {
        let mut inner = self.lock();
        inner.durable = durable;
        for connection in mem::take(&mut inner.held_back) {
            let released = inner
                .outboxes
                .get(&connection)
                .map(|it| it.release(durable));
            if released == Some(Released::Some) {
                inner.held_back.insert(connection);
            }
        }
    }

    /// The log cannot go on. What waits for it never leaves, so nobody is told of a change that is
    /// lost.
    pub(crate) fn fail(&self, cause: StorageError) {
        error!(%cause, "the log cannot be written; the server stops");
        if let Some(log) = &self.log {
            log.queue.close();
        }
        self.failure.send_replace(Some(Arc::new(cause)));
    }

    /// Waits until the log has failed.
    pub(crate) async fn failed(&self) -> Arc<StorageError> {
        let mut failure = self.failure.subscribe();
        loop {
            if let Some(cause) = failure.borrow_and_update().clone() {
                return cause;
            }
            // The sender lives as long as this host.
            let _ = failure.changed().await;
        }
    }

    /// Waits until the log can take another transaction.
    pub(crate) async fn room(&self) {
        if let Some(log) = &self.log {
            log.queue.room().await;
        }
    }

    /// What a client has to log in with.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Lets a newcomer in, in the place of another one if need be.
    pub(crate) fn admit(&self, connection: ConnectionId, address: IpAddr) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::default());
        let mut inner = self.lock();
        inner.outboxes.insert(connection, outbox.clone());
        let evicted = inner.admission.arrive(connection, address);
        self.evict(&mut inner, evicted);
        outbox
    }

    /// The system has nothing left for another connection: a newcomer gives back what it has.
    pub(crate) fn cannot_accept(&self, error: &io::Error) {
        let mut inner = self.lock();
        let evicted = inner.admission.evict();
        let address = evicted.map_or(self.config.address.ip(), |(_, address)| address);
        let reason = format!("cannot accept another connection: {error}");
        inner.complaints.note(address, reason, self.clock.now());
        self.evict(&mut inner, evicted);
    }

    fn evict(&self, inner: &mut Inner, evicted: Option<(ConnectionId, IpAddr)>) {
        let Some((connection, address)) = evicted else {
            return;
        };
        inner.abort([connection]);
        self.counters.newcomers.increment();
        let reason = "it had opened no session, or had not logged in, and others want its place";
        let now = self.clock.now();
        inner.complaints.note(address, reason.to_owned(), now);
    }

    /// A newcomer took too long.
    pub(crate) fn give_up(&self, address: IpAddr, reason: &dyn std::fmt::Display) {
        self.counters.newcomers.increment();
        let now = self.clock.now();
        let complaints = &mut self.lock().complaints;
        complaints.note(address, reason.to_string(), now);
    }

    pub(crate) fn dismiss(&self, connection: ConnectionId) {
        let mut inner = self.lock();
        inner.outboxes.remove(&connection);
        inner.admission.leave(connection);
        inner.keeper.disconnect(connection, self.clock.now());
        self.record(&mut inner);
    }

    /// Gives a newcomer a place among those who are served, if there is one.
    fn settle(
        &self,
        inner: &mut Inner,
        connection: ConnectionId,
        address: IpAddr,
    ) -> Result<(), Full> {
        let settled = inner.admission.settle(connection);
        if let Err(full) = settled {
            self.counters.refused.increment();
            let now = self.clock.now();
            inner.complaints.note(address, full.to_string(), now);
        }
        settled
    }

    pub(crate) fn connect(
        &self,
        connection: ConnectionId,
        address: IpAddr,
        request: &ConnectRequest,
    ) -> Handshake {
        let mut inner = self.lock();
        let handshake = match self.login {
            Some(_) => Handshake::AwaitsLogin,
            None => Handshake::Settled,
        };
        if self.login.is_none() && self.settle(&mut inner, connection, address).is_err() {
            return Handshake::Rejected;
        }
        let connected = inner
            .keeper
            .connect(connection, address, request, self.clock.now());
        self.record(&mut inner);
        let (response, handshake) = match connected {
            // ZooKeeper hangs up without a word, so that the client tries another server.
            Connected::Ahead => return Handshake::Rejected,
            Connected::Expired => (ConnectResponse::EXPIRED, Handshake::Rejected),
            Connected::Attached(Attached {
                response,
                displaced,
            }) => {
                inner.abort(displaced);
                (response, handshake)
            }
        };
        inner.answer(connection, |out| response.encode(request.dialect, out));
        handshake
    }

    pub(crate) fn serve(
        &self,
        (connection, address): (ConnectionId, IpAddr),
        header: RequestHeader,
        request: Request,
    ) -> Fate {
        self.counters.requests.increment();
        let mut inner = self.lock();
        let Some(served) = inner.keeper.serve(connection, request, self.clock.now()) else {
            return Fate::Ends;
        };
        self.record(&mut inner);
        let is_refused =
            served.fate == Fate::Settles && self.settle(&mut inner, connection, address).is_err();
        if is_refused {
            return Fate::Ends;
        }
        self.notify(&mut inner, served.notifications);
        let reply = Reply {
            xid: header.xid,
            zxid: served.zxid,
            result: served.result,
        };
        inner.answer(connection, |out| reply.encode(out));
        self.counters.sent.increment();
        served.fate
    }

    /// Lets the state machine look at the clock.
    pub(crate) fn tick(&self) {
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.complaints.say(now);
        let effects = inner.keeper.tick(now);
        self.deliver(&mut inner, effects);
    }

    pub(crate) fn expire_session(&self, session: i64) -> bool {
        let mut inner = self.lock();
        match inner.keeper.expire_session(session, self.clock.now()) {
            Some(effects) => {
                self.deliver(&mut inner, effects);
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
        let tally = self.log.as_ref().map(|log| &log.tally);
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
            closed_newcomers: self.counters.newcomers.get(),
            garbled_connections: self.counters.garbled.get(),
            overflowed_connections: self.counters.overflowed.get(),
            log_syncs: tally.map_or(0, |tally| tally.syncs.get()),
            snapshots: tally.map_or(0, |tally| tally.snapshots.get()),
            failed_snapshots: tally.map_or(0, |tally| tally.failed_snapshots.get()),
        }
    }

    fn deliver(&self, inner: &mut Inner, effects: Effects) {
        self.record(inner);
        self.notify(inner, effects.notifications);
        inner.abort(effects.closed);
    }

    /// Hands over to the log what has happened.
    fn record(&self, inner: &mut Inner) {
        let Some(log) = &self.log else { return };
        let zxid = inner.keeper.zxid();
        if let Some(journal) = inner.keeper.journal().filter(|journal| !journal.is_empty()) {
            log.queue.push(journal, zxid);
        }
    }

    fn notify(&self, inner: &mut Inner, notifications: Vec<Notification>) {
        let leaves = inner.leaves();
        for notification in notifications {
            let connection = notification.connection;
            let Some(outbox) = inner.outboxes.get(&connection) else {
                continue;
            };
            match outbox.push_notification(leaves, |out| notification.encode(out)) {
                Room::Enough => self.counters.sent.increment(),
                Room::Exceeded => {
                    debug!(connection = connection.0, "client does not read");
                    self.counters.overflowed.increment();
                }
            }
            inner.hold_back(connection, leaves);
        }
    }

    /// The state machine does not call foreign code, so a panic inside it is a bug that a test run
    /// should survive with its other clients.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn answer(&mut self, connection: ConnectionId, encode: impl FnOnce(&mut Vec<u8>)) {
        let leaves = self.leaves();
        if let Some(outbox) = self.outboxes.get(&connection) {
            outbox.push_answer(leaves, encode);
            self.hold_back(connection, leaves);
        }
    }

    /// When something that may show the present state can leave.
    fn leaves(&self) -> Leaves {
        let zxid = self.keeper.zxid();
        if zxid <= self.durable {
            Leaves::AtOnce
        } else {
            Leaves::WhenDurable(zxid)
        }
    }

    fn hold_back(&mut self, connection: ConnectionId, leaves: Leaves) {
        if leaves != Leaves::AtOnce {
            self.held_back.insert(connection);
        }
    }

    fn abort(&self, connections: impl IntoIterator<Item = ConnectionId>) {
        for connection in connections {
            if let Some(outbox) = self.outboxes.get(&connection) {
                outbox.abort();
            }
        }
    }
}
