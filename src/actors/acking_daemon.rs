//! The acking daemon: owns the XOR ledger of the roots that its peer reads, and its sweep.

use super::supervision::{Obituary, runtime_has_ended};
use crate::acking::{Completions, Ledger};
use crate::clock::Clock;
use crate::ids::PeerId;
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messaging::{Inbox, InboxKind, Links, Message, Transport, TrySendError};
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The settings of an acking daemon.
#[derive(Clone, Copy, Debug)]
pub struct AckingSettings {
    /// Messages that wait before the senders have to.
    pub inbox_messages: usize,
    /// A root whose tree is incomplete for this long is given up; longer than its source waits.
    pub timeout: Duration,
    /// How often that is looked for.
    pub sweep_interval: Duration,
}

/// Applies acks and tells sources what is complete.
pub struct AckingDaemon {
    ledger: Ledger,
    inbox: Option<Inbox>,
    transport: Arc<dyn Transport>,
    /// To the tasks of sources.
    links: Links,
    settings: AckingSettings,
    clock: Clock,
    misdirected: u64,
    undeliverable: u64,
    /// Kept for its drop.
    _obituary: Obituary,
}

impl AckingDaemon {
    /// The daemon of the peer `me`.
    pub fn new(
        me: PeerId,
        transport: Arc<dyn Transport>,
        settings: AckingSettings,
        clock: Clock,
        obituary: Obituary,
    ) -> Result<Self, String> {
        let inbox = transport
            .open_inbox(me, InboxKind::Acker, settings.inbox_messages)
            .map_err(|error| error.to_string())?;
        Ok(AckingDaemon {
            ledger: Ledger::default(),
            inbox: Some(inbox),
            transport,
            links: Links::to(InboxKind::Task),
            settings,
            clock,
            misdirected: 0,
            undeliverable: 0,
            _obituary: obituary,
        })
    }

    /// Takes the next message, and whatever else has come by then, before it yields.
    fn listen(&mut self, ctx: &mut Context<Self>) {
        let Some(mut inbox) = self.inbox.take() else {
            return;
        };
        let next = async move {
            let message = inbox.next().await;
            (inbox, message)
        };
        ctx.spawn(
            wrap_future::<_, Self>(next).map(|(mut inbox, message), this, ctx| {
                let Some(message) = message else { return };
                let mut completed = Vec::new();
                this.apply(message, &mut completed);
                for _ in 1..MESSAGES_AT_ONCE {
                    let Some(message) = inbox.try_next() else {
                        break;
                    };
                    this.apply(message, &mut completed);
                }
                this.inbox = Some(inbox);
                this.tell(completed, ctx);
            }),
        );
    }

    fn apply(&mut self, message: Message, completed: &mut Vec<Completions>) {
        match message {
            Message::Acks(acks) => {
                self.ledger.apply(&acks, self.clock.now(), completed);
            }
            _ => self.misdirected += 1,
        }
    }

    /// Tells the sources, then listens on. A source that is full makes the daemon wait: it is
    /// always listening, so that this is short.
    fn tell(&mut self, completed: Vec<Completions>, ctx: &mut Context<Self>) {
        let mut blocked = Vec::new();
        for completions in completed.into_iter().filter(|done| !done.roots.is_empty()) {
            blocked.extend(self.send(completions));
        }
        if blocked.is_empty() {
            // The mailbox and the other actors of this arbiter get their turn.
            let turn = wrap_future::<_, Self>(tokio::task::yield_now());
            ctx.spawn(turn.map(|(), this, ctx| this.listen(ctx)));
            return;
        }
        let mut links = std::mem::replace(&mut self.links, Links::to(InboxKind::Task));
        let sources: Vec<PeerId> = blocked
            .iter()
            .map(|completions| completions.source)
            .collect();
        let ready = async move {
            for source in sources {
                // A link that closed is found closed when it is used.
                let _ = links.ready(source).await;
            }
            links
        };
        ctx.spawn(wrap_future::<_, Self>(ready).map(|links, this, ctx| {
            this.links = links;
            this.tell(blocked, ctx);
        }));
    }

    /// Gives completions to their source; they come back when it is full. A source that is gone has
    /// taken its pending set with it.
    fn send(&mut self, completions: Completions) -> Option<Completions> {
        let source = completions.source;
        let message = Message::Completions(completions);
        match self.links.try_send(&*self.transport, source, message) {
            Err(TrySendError::Full(Message::Completions(back))) => Some(back),
            Err(TrySendError::Closed(Message::Completions(lost))) => {
                self.undeliverable += lost.roots.len() as u64;
                None
            }
            _ => None,
        }
    }
}

/// Messages applied before others get their turn: a handler runs for well under a millisecond.
const MESSAGES_AT_ONCE: usize = 16;

impl Actor for AckingDaemon {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if runtime_has_ended() {
            return;
        }
        self.listen(ctx);
        ctx.run_interval(self.settings.sweep_interval, |this, _| {
            let swept = this.ledger.sweep(this.clock.now(), this.settings.timeout);
            if swept > 0 {
                tracing::warn!(
                    swept,
                    "incomplete roots were given up; their sources replay them"
                );
            }
        });
    }
}

impl Handler<Stop> for AckingDaemon {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Observe> for AckingDaemon {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let counters = self.ledger.counters();
        let detail = json!({
            "open": self.ledger.open(),
            "acks": counters.acks,
            "completed": counters.completed,
            "refused": counters.refused,
            "swept": counters.swept,
            "undeliverable": self.undeliverable,
            "misdirected": self.misdirected,
        });
        MessageResult(ActorReport::of(Child::AckingDaemon, "counting", detail))
    }
}

impl Handler<Crash> for AckingDaemon {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed by a test");
    }
}

#[cfg(test)]
mod tests;
