//! The places for virtual peers in a group: each is filled again, for ever, by a new incarnation.

use super::{PeerGroup, Restarts};
use crate::actors::pulse_watcher::delete_until_confirmed;
use crate::actors::supervision::Obituary;
use crate::actors::virtual_peer::VirtualPeer;
use crate::clock::Millis;
use crate::ids::{GroupId, LogPosition, PeerId};
use crate::log::PeerContext;
use crate::log::admission::admitted;
use crate::log::commands::{Command, LeaveCluster};
use crate::messages::supervision::{Child, ChildDown, EndReason, Exit};
use crate::messages::virtual_peer::EndIncarnation;
use actix::fut::wrap_future;
use actix::{Actor, Addr, AsyncContext, Context};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// A place for a peer.
pub(super) struct Slot {
    pub(super) state: SlotState,
    pub(super) restarts: Restarted,
    pub(super) last_cause: Option<String>,
    /// Restarts since it was last healthy.
    attempts: u32,
}

/// How often a place was filled again, by reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Restarted(BTreeMap<EndReason, u64>);

pub(super) enum SlotState {
    /// To be started when there is room to join.
    Waiting,
    /// An incarnation lives.
    Running(Incarnation),
    /// Its last incarnation died; the next one comes after a while.
    BackingOff,
    /// Its incarnation was asked to stop and leave.
    Stopping(Incarnation),
    /// It was asked to stop and stays empty.
    Stopped,
}

/// A living incarnation.
pub(super) struct Incarnation {
    pub(super) addr: Addr<VirtualPeer>,
    pub(super) peer: PeerId,
    pub(super) number: u64,
    started: Millis,
    /// How far it has read; written by the peer.
    pub(super) position: Rc<Cell<Option<LogPosition>>>,
}

impl Restarted {
    fn count(&mut self, reason: EndReason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// For a reason.
    pub(super) fn of(&self, reason: EndReason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }

    /// For all reasons.
    pub(super) fn sum(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Slot {
    pub(super) fn waiting() -> Self {
        Slot {
            state: SlotState::Waiting,
            restarts: Restarted::default(),
            last_cause: None,
            attempts: 0,
        }
    }

    pub(super) fn incarnation(&self) -> Option<&Incarnation> {
        match &self.state {
            SlotState::Running(incarnation) | SlotState::Stopping(incarnation) => Some(incarnation),
            SlotState::Waiting | SlotState::BackingOff | SlotState::Stopped => None,
        }
    }
}

/// How often the transport is asked what it has lost.
const LOOK_AT_TRANSPORT: Duration = Duration::from_millis(250);

impl PeerGroup {
    /// Starts peers that wait, as many as can join now without being refused.
    pub(super) fn start_waiting_peers(&mut self, ctx: &mut Context<Self>) {
        let is_waiting = |slot: &Slot| matches!(slot.state, SlotState::Waiting);
        let may_start = self.restarts == Restarts::Allowed && self.outbox.is_some();
        if !may_start || !self.slots.iter().any(is_waiting) {
            return;
        }
        let replica = self.position_and_replica().replica;
        let membership = &replica.membership;
        let is_restarting = |slot: &&Slot| {
            let peer = slot.incarnation().map(|one| one.peer);
            slot.attempts > 0 && peer.is_some_and(|peer| !membership.is_joined(peer))
        };
        let restarting = self.slots.iter().filter(is_restarting).count();
        let living: Vec<PeerId> = self.living().collect();
        let room = admitted(membership, self.settings.member.group, &living);
        let mut restarts_left = self.settings.restarts_at_once.saturating_sub(restarting);
        let mut may_begin = |slot: &Slot| {
            if !is_waiting(slot) || slot.attempts > 0 && restarts_left == 0 {
                return false;
            }
            restarts_left -= usize::from(slot.attempts > 0);
            true
        };
        let slots = self.slots.iter().enumerate();
        let next = slots.filter(|(_, slot)| may_begin(slot)).take(room);
        let next: Vec<usize> = next.map(|(index, _)| index).collect();
        for index in next {
            self.start_peer(index, ctx);
        }
    }

    /// The peers of this group that live.
    fn living(&self) -> impl Iterator<Item = PeerId> {
        let incarnations = self.slots.iter().filter_map(Slot::incarnation);
        incarnations.map(|one| one.peer)
    }

    fn start_peer(&mut self, index: usize, ctx: &mut Context<Self>) {
        self.incarnations += 1;
        let number = self.incarnations;
        let peer = self.services.fresh_peer();
        let me = PeerContext {
            me: peer,
            member: self.settings.member.clone(),
        };
        let supervisor = ctx.address().recipient::<ChildDown>();
        let obituary = Obituary::of(
            Child::VirtualPeer,
            number,
            supervisor,
            &self.services.census,
        );
        let position = Rc::new(Cell::new(None));
        let (services, published) = (self.services.clone(), self.published.clone());
        let addr = VirtualPeer::new(
            me,
            services,
            ctx.address(),
            published,
            position.clone(),
            obituary,
        );
        let addr = addr.start();
        let started = self.services.task.clock.now();
        tracing::info!(%peer, index, "virtual peer starts");
        self.slots[index].state = SlotState::Running(Incarnation {
            addr,
            peer,
            number,
            started,
            position,
        });
    }

    /// An incarnation is gone. Unless that was asked for, what it leaves behind is cleaned up and
    /// the next one is due after a back-off.
    pub(super) fn peer_down(&mut self, down: &ChildDown, ctx: &mut Context<Self>) {
        let of_it = |slot: &Slot| {
            slot.incarnation()
                .is_some_and(|i| i.number == down.incarnation)
        };
        let Some(index) = self.slots.iter().position(of_it) else {
            return;
        };
        let slot = &mut self.slots[index];
        let gone = match std::mem::replace(&mut slot.state, SlotState::BackingOff) {
            SlotState::Running(gone) => gone,
            SlotState::Stopping(gone) => {
                slot.state = SlotState::Stopped;
                if down.exit != Exit::Stopped {
                    // It died on its way out, and may not have left.
                    self.bury(gone.peer, ctx);
                }
                return;
            }
            other => {
                slot.state = other;
                return;
            }
        };
        slot.restarts.count(down.reason);
        slot.last_cause = Some(down.exit.to_string());
        let delay = match down.reason {
            // No fault of its own, and the transport comes back the later the more often it is lost.
            EndReason::Transport => Duration::ZERO,
            _ => self.back_off(index, gone.started),
        };
        tracing::error!(peer = %gone.peer, cause = %down.exit, ?delay, "virtual peer died; a new one follows");
        self.bury(gone.peer, ctx);
        ctx.run_later(delay, move |this, ctx| {
            if matches!(this.slots[index].state, SlotState::BackingOff) {
                this.slots[index].state = SlotState::Waiting;
                this.start_waiting_peers(ctx);
            }
        });
    }

    /// How long a place stays empty whose incarnation died of itself.
    fn back_off(&mut self, index: usize, started: Millis) -> Duration {
        let lived = self.services.task.clock.now().since(started);
        let slot = &mut self.slots[index];
        if lived >= self.settings.healthy_after {
            slot.attempts = 0;
        }
        let attempt = slot.attempts;
        slot.attempts += 1;
        let draw = self.services.unit();
        self.settings.restart_backoff.delay(attempt, draw)
    }

    /// The session lives on, so that a dead peer's pulse must be deleted, until that is confirmed,
    /// and its leave be written: nobody else may be watching it. Its inboxes close first. A thread
    /// of its own may hold them for a moment longer, and what it took after its sources have read
    /// the leave would be missed by nobody before its time-out.
    fn bury(&mut self, peer: PeerId, ctx: &mut Context<Self>) {
        self.services.task.transport.shut(peer);
        let delete = delete_until_confirmed(self.services.task.session.clone(), peer);
        ctx.spawn(wrap_future::<_, Self>(delete));
        self.deaths.tell([peer]);
        self.write(Command::LeaveCluster(LeaveCluster::of(peer)));
    }

    /// When the transport has lost what was under way, nobody knows which segments and acks that were.
    /// Its peers die of it, so that every input plays again what may be lost, at once.
    pub(super) fn watch_transport(&mut self, ctx: &mut Context<Self>) {
        let mut seen = self.services.task.transport.losses();
        ctx.run_interval(LOOK_AT_TRANSPORT, move |this, _| {
            let losses = this.services.task.transport.losses();
            if std::mem::replace(&mut seen, losses) == losses {
                return;
            }
            for slot in &this.slots {
                let Some(incarnation) = slot.incarnation() else {
                    continue;
                };
                let end = EndIncarnation {
                    reason: EndReason::Transport,
                    cause: "the transport has lost what was under way".to_owned(),
                };
                #[expect(clippy::disallowed_methods, reason = "an order to end is not refused")]
                incarnation.addr.do_send(end);
            }
        });
    }

    /// Ends every incarnation without ceremony, and says which those were.
    pub(super) fn end_all_peers(&mut self, cause: &str) -> BTreeSet<PeerId> {
        let mut gone = BTreeSet::new();
        for slot in &mut self.slots {
            let Some(incarnation) = slot.incarnation() else {
                continue;
            };
            self.services.task.transport.shut(incarnation.peer);
            gone.insert(incarnation.peer);
            let end = EndIncarnation {
                reason: EndReason::Session,
                cause: cause.to_owned(),
            };
            #[expect(clippy::disallowed_methods, reason = "an order to end is not refused")]
            incarnation.addr.do_send(end);
            if let SlotState::Stopping(_) = slot.state {
                slot.state = SlotState::Stopped;
                continue;
            }
            slot.state = SlotState::Waiting;
            slot.restarts.count(EndReason::Session);
            slot.last_cause = Some(cause.to_owned());
        }
        gone
    }

    /// Writes the leaves of these peers, of every other of this group that is known to the cluster
    /// and lives no more, and of those whose end was noticed here: what an earlier outbox had to
    /// write about them may be lost.
    pub(super) fn write_leaves(&mut self, mut gone: BTreeSet<PeerId>) {
        let replica = self.position_and_replica().replica;
        let (known, mine) = (&replica.membership.members, self.settings.member.group);
        let living: BTreeSet<PeerId> = self.living().collect();
        let ours = known.iter().filter(|(_, member)| member.group == mine);
        let dead = ours
            .map(|(peer, _)| peer)
            .filter(|peer| !living.contains(peer));
        gone.extend(dead.chain(self.deaths.told()));
        let mut by_group: BTreeMap<GroupId, Vec<PeerId>> = BTreeMap::new();
        for peer in gone {
            let group = known.get(&peer).map_or(mine, |member| member.group);
            by_group.entry(group).or_default().push(peer);
        }
        for peers in by_group.into_values() {
            self.deaths.tell(peers.iter().copied());
            if let Some(leave) = LeaveCluster::of_all(peers) {
                self.write(Command::LeaveCluster(leave));
            }
        }
    }
}
