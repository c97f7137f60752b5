//! What the group is told and asked.

use super::slots::{Slot, SlotState};
use super::{PeerGroup, Restarts};
use crate::actors::supervision::Verdict;
use crate::coordination::SessionState;
use crate::ids::LogPosition;
use crate::log::commands::{Command, LeaveCluster};
use crate::messages::outbox::{WriteAndConfirm, WriteFailed};
use crate::messages::peer_group::{
    Append, CrashChild, GroupStatus, StartPeers, Status, StopPeer, StopRestarts,
};
use crate::messages::supervision::{
    ActorReport, Child, ChildDown, Crash, EndReason, Observe, Stop,
};
use crate::messages::virtual_peer::Drain;
use actix::fut::wrap_future;
use actix::{ActorContext, ActorFutureExt, Context, Handler, MessageResult};
use actix::{ResponseActFuture, ResponseFuture};
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

impl Handler<ChildDown> for PeerGroup {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        if down.child != Child::Outbox {
            return self.peer_down(&down, ctx);
        }
        // The outbox of an older session is replaced already.
        let current = self
            .outbox
            .as_ref()
            .is_some_and(|outbox| !outbox.connected());
        if !current || self.restarts == Restarts::Refused {
            return;
        }
        if *self.services.task.session.state().borrow() == SessionState::Expired {
            // Everything on this session ends, and starts again on the next.
            return;
        }
        tracing::error!(cause = %down.exit, "the group's outbox died; another follows");
        self.outbox = None;
        match self.budget.spend(self.services.task.clock.now()) {
            Verdict::Restart => {
                self.start_outbox(ctx);
                self.write_leaves(BTreeSet::new());
            }
            Verdict::GiveUp => {
                self.obituary
                    .because(format!("the outbox died too often: {}", down.exit));
                ctx.stop();
            }
        }
    }
}

impl Handler<Append> for PeerGroup {
    type Result = ResponseFuture<Result<LogPosition, WriteFailed>>;

    fn handle(&mut self, Append(command): Append, _: &mut Context<Self>) -> Self::Result {
        let Some(outbox) = &self.outbox else {
            return async { Err(WriteFailed::Ended) }.boxed_local();
        };
        let written = outbox.send(WriteAndConfirm(command));
        async move { written.await.unwrap_or(Err(WriteFailed::Ended)) }.boxed_local()
    }
}

impl Handler<StartPeers> for PeerGroup {
    type Result = ();

    fn handle(&mut self, StartPeers(more): StartPeers, ctx: &mut Context<Self>) {
        self.slots.extend((0..more).map(|_| Slot::waiting()));
        self.start_waiting_peers(ctx);
    }
}

impl Handler<StopPeer> for PeerGroup {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, StopPeer(peer): StopPeer, _: &mut Context<Self>) -> Self::Result {
        let of_it = |slot: &&mut Slot| slot.incarnation().is_some_and(|i| i.peer == peer);
        let Some(slot) = self.slots.iter_mut().find(of_it) else {
            return async { false }.boxed_local();
        };
        let state = std::mem::replace(&mut slot.state, SlotState::Stopped);
        let (SlotState::Running(incarnation) | SlotState::Stopping(incarnation)) = state else {
            return async { false }.boxed_local();
        };
        // It writes its leave itself.
        self.deaths.tell([incarnation.peer]);
        let stopped = incarnation.addr.send(Stop);
        slot.state = SlotState::Stopping(incarnation);
        async move { stopped.await.is_ok() }.boxed_local()
    }
}

impl Handler<StopRestarts> for PeerGroup {
    type Result = ();

    fn handle(&mut self, _: StopRestarts, _: &mut Context<Self>) {
        self.restarts = Restarts::Refused;
    }
}

impl Handler<Stop> for PeerGroup {
    type Result = ResponseActFuture<Self, ()>;

    /// Peers drain, then leave with one entry, and the session ends. Were each to leave for itself,
    /// the others would be given its work meanwhile.
    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        self.restarts = Restarts::Refused;
        let mut peers = Vec::new();
        for slot in &mut self.slots {
            let state = std::mem::replace(&mut slot.state, SlotState::Stopped);
            if let SlotState::Running(one) | SlotState::Stopping(one) = state {
                peers.push((one.peer, one.addr));
            }
        }
        self.deaths.tell(peers.iter().map(|(peer, _)| *peer));
        let leave = LeaveCluster::of_all(peers.iter().map(|(peer, _)| *peer));
        // The whole has to fit into `drain`, with something left for the rest of the node.
        let (share, outbox) = (self.settings.drain / 10, self.outbox.take());
        let drain = share * 6;
        let session = self.services.task.session.clone();
        let publication = self.publication();
        let stop = async move {
            let drains = join_all(peers.iter().map(|(_, addr)| addr.send(Drain)));
            let drained = tokio::time::timeout(drain, drains).await.is_ok();
            if let Some(outbox) = outbox {
                let last = async {
                    if let Some(leave) = leave {
                        let _ = outbox
                            .send(WriteAndConfirm(Command::LeaveCluster(leave)))
                            .await;
                    }
                    let _ = outbox.send(Stop).await;
                };
                let _ = tokio::time::timeout(share, last).await;
            }
            let stops = join_all(peers.iter().map(|(_, addr)| addr.send(Stop)));
            let _ = tokio::time::timeout(share, stops).await;
            let _ = tokio::time::timeout(share, publication.publish()).await;
            let _ = tokio::time::timeout(share, session.close()).await;
            drained
        };
        Box::pin(wrap_future::<_, Self>(stop).map(move |drained, this, ctx| {
            if !drained {
                let cause = format!("peers did not drain within {drain:?}; they are abandoned");
                tracing::error!(cause, "the stop is not in order");
                this.obituary.because(cause);
            }
            ctx.stop();
        }))
    }
}

impl Handler<Status> for PeerGroup {
    type Result = MessageResult<Status>;

    fn handle(&mut self, _: Status, _: &mut Context<Self>) -> Self::Result {
        let snapshot = self.position_and_replica();
        let living = || self.slots.iter().filter_map(Slot::incarnation);
        let joined = living()
            .filter(|one| snapshot.replica.membership.is_joined(one.peer))
            .count();
        let wanted = self
            .slots
            .iter()
            .filter(|slot| !matches!(slot.state, SlotState::Stopping(_) | SlotState::Stopped))
            .count();
        let behind = living().filter_map(|one| {
            Some(snapshot.position?.0 - one.position.get().map_or(0, |position| position.0))
        });
        MessageResult(GroupStatus {
            group: self.settings.member.group,
            peers_wanted: wanted,
            peers_joined: joined,
            peers: living().map(|one| one.peer).collect(),
            position: snapshot.position,
            lag_entries: behind.max().unwrap_or(0),
            session: *self.services.task.session.state().borrow(),
            transport: self.services.task.transport.alive(),
            refused: self.services.task.transport.refused(),
            session_restarts: self.session_restarts,
            session_reconnects: self.session_reconnects.get(),
            abandoned_tasks: self.services.held_tasks.abandoned(),
            exhaustion: self.services.held_tasks.exhaustion(),
            peer_restarts: EndReason::OF_RESTARTS
                .map(|reason| {
                    let of_slot = |slot: &Slot| slot.restarts.of(reason);
                    (reason.as_str(), self.slots.iter().map(of_slot).sum())
                })
                .into(),
            now: self.services.task.clock.now(),
        })
    }
}

impl Handler<Observe> for PeerGroup {
    type Result = ResponseFuture<ActorReport>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let state = format!("{:?}", *self.services.task.session.state().borrow()).to_lowercase();
        let detail = json!({
            "group": self.settings.member.group,
            "position": self.position_and_replica().position,
            "session-restarts": self.session_restarts,
            "session-lease": if self.services.task.lease.holds() { "held" } else { "ran out" },
            "requests-cut-short": self.services.task.session.retry().interruptions(),
            "unreadable-entries": self.unreadable_entries,
            "ignored-entries": self.ignored_entries,
            "violated-invariants": self.violations,
            "held-tasks": self.services.held_tasks.held_for(HELD_SHOWN),
        });
        let mut report = ActorReport::of(Child::PeerGroup, state, detail);
        let outbox = self.outbox.as_ref().map(|outbox| outbox.send(Observe));
        let peers: Vec<_> = self.slots.iter().map(slot_report).collect();
        async move {
            if let Some(Ok(outbox)) = async { Some(outbox?.await) }.await {
                report.children.push(outbox);
            }
            report.children.extend(join_all(peers).await);
            report
        }
        .boxed_local()
    }
}

/// A task that has been in one call of user code for this long is shown.
const HELD_SHOWN: Duration = Duration::from_secs(1);

fn slot_report(slot: &Slot) -> impl Future<Output = ActorReport> + use<> {
    let empty = match &slot.state {
        SlotState::Waiting => "waiting to join",
        SlotState::BackingOff => "backing off",
        SlotState::Stopped => "stopped",
        SlotState::Running(_) | SlotState::Stopping(_) => "ending",
    };
    let asked = slot.incarnation().map(|one| one.addr.send(Observe));
    let (restarts, last_cause) = (slot.restarts.sum(), slot.last_cause.clone());
    async move {
        let answer = match asked {
            Some(asked) => asked.await.ok(),
            None => None,
        };
        let report = answer
            .unwrap_or_else(|| ActorReport::of(Child::VirtualPeer, empty, serde_json::Value::Null));
        ActorReport {
            restarts,
            last_cause,
            ..report
        }
    }
}

impl Handler<CrashChild> for PeerGroup {
    type Result = bool;

    fn handle(&mut self, crash: CrashChild, _: &mut Context<Self>) -> bool {
        let slot = self.slots.get(crash.peer_index).and_then(Slot::incarnation);
        slot.is_some_and(|one| one.addr.try_send(Crash(crash.child)).is_ok())
    }
}

impl Handler<Crash> for PeerGroup {
    type Result = ();

    fn handle(&mut self, crash: Crash, _: &mut Context<Self>) {
        match (crash.0, &self.outbox) {
            (Child::Outbox, Some(outbox)) => drop(outbox.try_send(crash)),
            (Child::Outbox, None) => {}
            _ => panic!("crashed by a test"),
        }
    }
}
