//! The session of the group: its beginning, and its end, which ends every peer with it.

use super::{PeerGroup, Restarts};
use crate::actors::supervision::{Backoff, Verdict};
use crate::coordination::tail::Tail;
use crate::coordination::{
    Coordination, CoordinationError, SessionLease, SessionState, reconnected,
};
use crate::ids::PeerId;
use crate::log::commands::Command;
use crate::messages::outbox::WriteEntry;
use actix::fut::wrap_future;
use actix::{ActorContext, ActorFutureExt, AsyncContext, Context};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often the session is proved to live while its time-out passes once.
const PROOFS_IN_A_TIMEOUT: u32 = 6;

/// Between two attempts to open a session.
const RECONNECT: Backoff = Backoff {
    min: Duration::from_secs(1),
    max: Duration::from_secs(30),
};

impl PeerGroup {
    /// Starts everything that lives on the session in `services`.
    pub(super) fn begin_session(&mut self, ctx: &mut Context<Self>) {
        self.session += 1;
        self.deaths.begin_session();
        self.keep_lease(ctx);
        self.publish_traces(ctx);
        self.start_outbox(ctx);
        self.watch_session(ctx);
        self.follow(Tail::Ahead, ctx);
        self.start_waiting_peers(ctx);
    }

    /// Proves again and again that the session lives, often enough that one answer that is late, or
    /// a server that is away for most of the time-out, does not let the lease run out.
    fn keep_lease(&self, ctx: &mut Context<Self>) {
        let (session, lease) = (
            self.services.task.session.clone(),
            self.services.task.lease.clone(),
        );
        let clock = self.services.task.clock;
        let keep = async move {
            let timeout = session.timeout();
            loop {
                let asked = clock.now();
                match session.prove_alive().await {
                    Ok(()) => {
                        // Whoever was asked may have heard of the session a moment before.
                        lease.extend(asked, timeout - timeout / PROOFS_IN_A_TIMEOUT);
                        tokio::time::sleep(timeout / PROOFS_IN_A_TIMEOUT).await;
                    }
                    Err(CoordinationError::Expired) => return,
                    Err(_) => {
                        if reconnected(&*session).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        ctx.spawn(wrap_future(keep));
    }

    fn watch_session(&mut self, ctx: &mut Context<Self>) {
        let mut state = self.services.task.session.state();
        let of_session = self.session;
        let reconnects = self.session_reconnects.clone();
        let over = async move {
            let mut before = SessionState::Connected;
            loop {
                let now = *state.borrow_and_update();
                match (before, now) {
                    (_, SessionState::Expired) => return,
                    (SessionState::Disconnected, SessionState::Connected) => {
                        reconnects.set(reconnects.get() + 1);
                    }
                    _ => {}
                }
                before = now;
                if state.changed().await.is_err() {
                    return;
                }
            }
        };
        ctx.spawn(wrap_future::<_, Self>(over).map(move |(), this, ctx| {
            if this.session == of_session {
                this.session_over(ctx, &"the coordination session is over");
            }
        }));
    }

    /// Without its session the group has no pulses: its peers stop at once and come back as others.
    pub(super) fn session_over(&mut self, ctx: &mut Context<Self>, cause: &dyn fmt::Display) {
        if self.restarts == Restarts::Refused {
            return;
        }
        self.session += 1;
        self.session_restarts += 1;
        // Before anybody is told: pipelines on threads of their own look at it.
        self.services.task.lease.end();
        tracing::error!(%cause, "the session is lost; every peer starts again under a new id");
        let gone = self.end_all_peers(&cause.to_string());
        self.outbox = None;
        // One that lives on, but refuses, would keep what the next one needs.
        let old = self.services.task.session.clone();
        ctx.spawn(wrap_future(async move { old.close().await }));
        if self.budget.spend(self.services.task.clock.now()) == Verdict::GiveUp {
            let cause = format!("the session was lost too often; the last time: {cause}");
            self.obituary.because(cause);
            return ctx.stop();
        }
        self.reconnect(ctx, gone, 0);
    }

    /// Nothing that the group could do would help.
    pub(super) fn give_up(&mut self, ctx: &mut Context<Self>, cause: &dyn fmt::Display) {
        tracing::error!(%cause, "the group gives up");
        self.obituary.because(cause.to_string());
        ctx.stop();
    }

    fn reconnect(&mut self, ctx: &mut Context<Self>, gone: BTreeSet<PeerId>, attempt: u32) {
        let connect = (self.connector)();
        let delay = match attempt {
            0 => Duration::ZERO,
            attempt => RECONNECT.delay(attempt - 1, self.services.unit()),
        };
        let opened = async move {
            tokio::time::sleep(delay).await;
            connect.await
        };
        ctx.spawn(
            wrap_future::<_, Self>(opened).map(move |session, this, ctx| match session {
                Ok(session) => this.resume(ctx, session, gone),
                Err(error) => {
                    tracing::warn!(%error, attempt, "no session could be opened");
                    this.reconnect(ctx, gone, attempt + 1);
                }
            }),
        );
    }

    fn resume(
        &mut self,
        ctx: &mut Context<Self>,
        session: Arc<dyn Coordination>,
        gone: BTreeSet<PeerId>,
    ) {
        if self.restarts == Restarts::Refused {
            ctx.spawn(wrap_future(async move { session.close().await }));
            return;
        }
        self.services.task.session = session.clone();
        self.services.task.lease = SessionLease::unproved(self.services.task.clock);
        self.sessions.send_replace(session);
        self.begin_session(ctx);
        self.write_leaves(gone);
    }

    /// Gives an entry to the group's outbox.
    pub(super) fn write(&mut self, command: Command) {
        let Some(outbox) = &self.outbox else { return };
        #[expect(
            clippy::disallowed_methods,
            reason = "the outbox has its own bound and ends beyond it"
        )]
        outbox.do_send(WriteEntry {
            command,
            entry_parent: None,
        });
    }
}
