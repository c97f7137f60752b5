//! The pulse watcher: owns the pulse of its peer, and the watches on the pulses of others.

use super::supervision::Obituary;
use crate::coordination::{Attempts, Coordination, CoordinationError, Pulse, patiently};
use crate::ids::PeerId;
use crate::messages::pulse_watcher::{CreatePulse, KeepWatches};
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messages::virtual_peer::PulseGone;
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use actix::{Recipient, ResponseActFuture, SpawnHandle};
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keeps the wanted watches. Only a pulse that a healthy session finds missing is a death; an error
/// never is.
pub struct PulseWatcher {
    session: Arc<dyn Coordination>,
    me: PeerId,
    group: Recipient<PulseGone>,
    watches: BTreeMap<PeerId, SpawnHandle>,
    /// Kept for its drop.
    _obituary: Obituary,
}

type Gone = BoxFuture<'static, Result<(), CoordinationError>>;

impl PulseWatcher {
    /// The watcher of the peer `me`, which reports to its group.
    pub fn new(
        session: Arc<dyn Coordination>,
        me: PeerId,
        group: Recipient<PulseGone>,
        obituary: Obituary,
    ) -> Self {
        PulseWatcher {
            session,
            me,
            group,
            watches: BTreeMap::new(),
            _obituary: obituary,
        }
    }

    fn placed(&mut self, peer: PeerId, placed: Placed, ctx: &mut Context<Self>) {
        match placed {
            Placed::Gone => self.report(peer),
            // The group starts again with new peers.
            Placed::SessionOver => {}
            Placed::Watching(gone) => {
                let session = self.session.clone();
                let follow = wrap_future::<_, Self>(follow(session, peer, gone));
                let handle = ctx.spawn(follow.map(move |end, this, _| {
                    this.watches.remove(&peer);
                    if end == End::Gone {
                        this.report(peer);
                    }
                }));
                self.watches.insert(peer, handle);
            }
        }
    }

    fn report(&self, peer: PeerId) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a death that is not reported stays unknown"
        )]
        self.group.do_send(PulseGone(peer));
    }
}

enum Placed {
    Gone,
    Watching(Gone),
    SessionOver,
}

#[derive(PartialEq, Eq)]
enum End {
    Gone,
    SessionOver,
}

async fn place(session: &dyn Coordination, peer: PeerId) -> Placed {
    let mut attempts = Attempts::of(session);
    loop {
        match session.watch_pulse(peer).await {
            Ok(Pulse::Absent) => return Placed::Gone,
            Ok(Pulse::Present(gone)) => return Placed::Watching(gone),
            Err(CoordinationError::Expired) => return Placed::SessionOver,
            Err(error) => match attempts.again(&error.to_string()).await {
                Ok(()) => {}
                Err(CoordinationError::Expired) => return Placed::SessionOver,
                // What is owed to others is tried for as long as the session lives.
                Err(_) => attempts = Attempts::of(session),
            },
        }
    }
}

async fn follow(session: Arc<dyn Coordination>, peer: PeerId, mut gone: Gone) -> End {
    loop {
        match gone.await {
            Ok(()) => return End::Gone,
            Err(CoordinationError::Expired) => return End::SessionOver,
            Err(_) => match place(&*session, peer).await {
                Placed::Gone => return End::Gone,
                Placed::SessionOver => return End::SessionOver,
                Placed::Watching(again) => gone = again,
            },
        }
    }
}

/// Deletes the pulse of a peer; answers when it is gone for certain. The end of the session is that
/// as well.
pub(super) async fn delete_until_confirmed(session: Arc<dyn Coordination>, peer: PeerId) {
    let mut attempts = Attempts::of(&*session);
    loop {
        match session.delete_pulse(peer).await {
            Ok(()) | Err(CoordinationError::Expired) => return,
            Err(error) => match attempts.again(&error.to_string()).await {
                Ok(()) => {}
                Err(CoordinationError::Expired) => return,
                Err(_) => attempts = Attempts::of(&*session),
            },
        }
    }
}

impl Actor for PulseWatcher {
    type Context = Context<Self>;
}

impl Handler<CreatePulse> for PulseWatcher {
    // A future of the actor, so that nothing creates a pulse after the end of its peer.
    type Result = ResponseActFuture<Self, Result<(), CoordinationError>>;

    fn handle(&mut self, _: CreatePulse, _: &mut Context<Self>) -> Self::Result {
        let (session, me) = (self.session.clone(), self.me);
        let create = async move { patiently(&*session, || session.create_pulse(me)).await };
        Box::pin(wrap_future(create))
    }
}

impl Handler<KeepWatches> for PulseWatcher {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(
        &mut self,
        KeepWatches(wanted): KeepWatches,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        self.watches.retain(|peer, handle| {
            let keep = wanted.contains(peer);
            if !keep {
                ctx.cancel_future(*handle);
            }
            keep
        });
        let missing: Vec<PeerId> = wanted
            .into_iter()
            .filter(|peer| !self.watches.contains_key(peer))
            .collect();
        let session = self.session.clone();
        let place_all = async move {
            join_all(missing.into_iter().map(|peer| {
                let session = session.clone();
                async move { (peer, place(&*session, peer).await) }
            }))
            .await
        };
        Box::pin(wrap_future::<_, Self>(place_all).map(|results, this, ctx| {
            for (peer, placed) in results {
                this.placed(peer, placed, ctx);
            }
        }))
    }
}

impl Handler<Stop> for PulseWatcher {
    type Result = ResponseActFuture<Self, ()>;

    /// The session may be shared with living peers, so that the pulse must be deleted by name.
    fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Self::Result {
        let delete = delete_until_confirmed(self.session.clone(), self.me);
        Box::pin(wrap_future::<_, Self>(delete).map(|(), _, ctx| ctx.stop()))
    }
}

impl Handler<Observe> for PulseWatcher {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let watches: Vec<String> = self.watches.keys().map(ToString::to_string).collect();
        let report = ActorReport::of(
            Child::PulseWatcher,
            "watching",
            json!({ "watches": watches }),
        );
        MessageResult(report)
    }
}

impl Handler<Crash> for PulseWatcher {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed by a test");
    }
}

#[cfg(test)]
mod tests;
