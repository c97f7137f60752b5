//! The peer group: one process. Owns the session, the tail of the log, the steps and the transport,
//! and supervises its virtual peers, one for one and for ever.

mod collector;
mod deaths;
mod event_log;
mod handlers;
mod session;
mod slots;
mod tail;
mod trace_pages;

use super::log_reader::Published;
use super::outbox::Outbox;
use super::services::PeerServices;
use super::supervision::{Backoff, Obituary, RestartBudget, runtime_has_ended};
use crate::coordination::{Coordination, CoordinationError};
use crate::ids::{GroupId, WriterId};
use crate::log::Step;
use crate::messages::log_reader::Snapshot;
use crate::messages::outbox::SetGate;
use crate::messages::supervision::{Child, ChildDown, Stop};
use crate::replica::{Agreed, Member, Replica};
use crate::task::trace_pages::TracePages;
use actix::{Actor, Addr, AsyncContext, Context};
pub use collector::CollectionPolicy;
use collector::Collector;
use deaths::Deaths;
use futures_util::future::BoxFuture;
use slots::Slot;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Opens a session; the only way in which the group gets a new one.
pub type Connector = Arc<
    dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Coordination>, CoordinationError>> + Send + Sync,
>;

/// The supervisor of the peers of a process. `Root` supervises it.
pub struct PeerGroup {
    settings: GroupSettings,
    services: PeerServices,
    connector: Connector,
    outbox: Option<Addr<Outbox>>,
    published: Published,
    latest: watch::Sender<Snapshot>,
    sessions: watch::Sender<Arc<dyn Coordination>>,
    slots: Vec<Slot>,
    deaths: Deaths,
    incarnations: u64,
    budget: RestartBudget,
    restarts: Restarts,
    /// Counts sessions; what belongs to an older one is over.
    session: u64,
    collector: Collector,
    session_restarts: u64,
    session_reconnects: Rc<Cell<u64>>,
    trace_pages: Rc<RefCell<TracePages>>,
    unreadable_entries: u64,
    ignored_entries: u64,
    /// What was found of a sample of the replicas: a bug, and no reason to stop.
    violations: u64,
    obituary: Obituary,
}

/// The settings of a group.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// What its peers say of themselves.
    pub member: Member,
    /// What everybody who uses the log agreed on.
    pub agreed: Agreed,
    /// How many peers to start with.
    pub peers: usize,
    /// Between two incarnations of a peer.
    pub restart_backoff: Backoff,
    /// A peer that lived for this long starts again without having to wait longer each time.
    pub healthy_after: Duration,
    /// How many peers that died may be on their way back at once.
    pub restarts_at_once: usize,
    /// How many steps are kept for readers that lag.
    pub step_ring: usize,
    /// How often the session may be opened again before the group gives up.
    pub budget: RestartBudget,
    /// When the log is collected.
    pub collection: CollectionPolicy,
    /// How long the peers of the group may take to stop.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restarts {
    Allowed,
    /// The group is stopping.
    Refused,
}

/// What others may look at without asking the group.
#[derive(Clone)]
pub struct GroupWindow {
    /// Which group it is.
    pub group: GroupId,
    /// The newest replica.
    pub latest: watch::Receiver<Snapshot>,
    /// Every step from now on.
    pub steps: broadcast::Sender<Arc<Step>>,
    /// The session of the moment.
    pub session: watch::Receiver<Arc<dyn Coordination>>,
}

impl PeerGroup {
    /// A group on a session that is open. `services.task.session` is that session.
    pub fn new(
        settings: GroupSettings,
        services: PeerServices,
        connector: Connector,
        obituary: Obituary,
    ) -> Self {
        let (steps, _) = broadcast::channel(settings.step_ring);
        let start = Replica {
            agreed: settings.agreed,
            ..Replica::default()
        };
        let (latest, receiver) = watch::channel(Snapshot {
            position: None,
            replica: Arc::new(start),
        });
        let published = Published {
            steps,
            latest: receiver,
        };
        let (sessions, _) = watch::channel(services.task.session.clone());
        let budget = settings.budget.clone();
        let slots = (0..settings.peers).map(|_| Slot::waiting()).collect();
        PeerGroup {
            settings,
            services,
            connector,
            outbox: None,
            published,
            latest,
            sessions,
            slots,
            deaths: Deaths::default(),
            incarnations: 0,
            budget,
            restarts: Restarts::Allowed,
            session: 0,
            collector: Collector::default(),
            session_restarts: 0,
            session_reconnects: Rc::default(),
            trace_pages: Rc::default(),
            unreadable_entries: 0,
            ignored_entries: 0,
            violations: 0,
            obituary,
        }
    }

    /// What others may look at.
    pub fn window(&self) -> GroupWindow {
        let Published { steps, latest } = self.published.clone();
        GroupWindow {
            group: self.settings.member.group,
            latest,
            steps,
            session: self.sessions.subscribe(),
        }
    }

    /// The group's own outbox writes the leaves of dead peers and what clients submit. Each has a
    /// writer of its own, whose sequences start afresh.
    fn start_outbox(&mut self, ctx: &mut Context<Self>) {
        let writer = WriterId(self.services.ids.borrow_mut().uuid());
        self.incarnations += 1;
        let supervisor = ctx.address().recipient::<ChildDown>();
        let census = &self.services.census;
        let obituary = Obituary::of(Child::Outbox, self.incarnations, supervisor, census);
        let (session, lease) = (
            self.services.task.session.clone(),
            self.services.task.lease.clone(),
        );
        let capacity = self.services.outbox_capacity;
        let outbox = Outbox::new(session, lease, writer, SetGate::Resume, capacity, obituary);
        self.outbox = Some(outbox.start());
    }

    fn position_and_replica(&self) -> Snapshot {
        self.latest.borrow().clone()
    }
}

impl Actor for PeerGroup {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if !runtime_has_ended() {
            self.begin_session(ctx);
            self.watch_transport(ctx);
        }
    }

    /// However the group ends, nobody lives on without it.
    fn stopped(&mut self, _: &mut Context<Self>) {
        self.end_all_peers("the peer group has ended");
        if let Some(outbox) = self.outbox.take() {
            #[expect(clippy::disallowed_methods, reason = "an order to end is not refused")]
            outbox.do_send(Stop);
        }
    }
}
