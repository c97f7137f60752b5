//! The acking daemon: owns the XOR ledger of the roots that its peer reads, and its sweep.

use super::supervision::{Obituary, runtime_has_ended};
use crate::acking::{Completions, Ledger};
use crate::clock::Clock;
use crate::ids::PeerId;
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messaging::{Inbox, InboxKind, LinkClosed, Links, Message, Transport, TrySendError};
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use serde_json::json;
use std::collections::BTreeMap;
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
    /// Completions for which their source, in its epoch, had no room yet.
    undelivered: BTreeMap<(PeerId, u64), Vec<u64>>,
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
            undelivered: BTreeMap::new(),
            settings,
            clock,
            misdirected: 0,
            undeliverable: 0,
            _obituary: obituary,
        })
    }

    /// Takes the next message, and whatever else has come by then, before it yields. Meanwhile a
    /// source that was full may have room again.
    fn listen(&mut self, ctx: &mut Context<Self>) {
        let Some(mut inbox) = self.inbox.take() else {
            return;
        };
        let mut links = std::mem::replace(&mut self.links, Links::to(InboxKind::Task));
        let full = self.undelivered.keys().next().map(|(source, _)| *source);
        let next = async move {
            let heard = tokio::select! {
                biased;
                message = inbox.next() => message.map_or(Heard::End, Heard::Message),
                // A link that closed is found closed when it is used.
                _ = room(&mut links, full) => Heard::Room,
            };
            (inbox, links, heard)
        };
        ctx.spawn(
            wrap_future::<_, Self>(next).map(|(mut inbox, links, heard), this, ctx| {
                this.links = links;
                match heard {
                    Heard::End => return,
                    Heard::Room => {}
                    Heard::Message(message) => {
                        let more = std::iter::from_fn(|| inbox.try_next());
                        let more: Vec<Message> = more.take(MESSAGES_AT_ONCE - 1).collect();
                        let mut completed = Vec::new();
                        this.apply(message, &mut completed);
                        more.into_iter()
                            .for_each(|message| this.apply(message, &mut completed));
                        this.keep(completed);
                    }
                }
                this.inbox = Some(inbox);
                this.tell();
                // The mailbox and the other actors of this arbiter get their turn.
                let turn = wrap_future::<_, Self>(tokio::task::yield_now());
                ctx.spawn(turn.map(|(), this, ctx| this.listen(ctx)));
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

    /// Adds to what the sources are to be told.
    fn keep(&mut self, completed: Vec<Completions>) {
        for Completions {
            source,
            epoch,
            roots,
        } in completed
        {
            self.undelivered
                .entry((source, epoch))
                .or_default()
                .extend(roots);
        }
    }

    /// Tells the sources what they have room for. The daemon never waits for one of them: a peer
    /// that was moved to another task may itself be waiting for this daemon's peer. What is kept is
    /// bounded by what a source may have pending. A source that is gone has taken its pending set
    /// with it.
    fn tell(&mut self) {
        for ((source, epoch), roots) in std::mem::take(&mut self.undelivered) {
            if roots.is_empty() {
                continue;
            }
            let message = Message::Completions(Completions {
                source,
                epoch,
                roots,
            });
            match self.links.try_send(&*self.transport, source, message) {
                Err(TrySendError::Full(Message::Completions(back))) => {
                    self.undelivered.insert((source, epoch), back.roots);
                }
                Err(TrySendError::Closed(Message::Completions(lost))) => {
                    self.undeliverable += lost.roots.len() as u64;
                }
                _ => {}
            }
        }
    }
}

/// What ended a daemon's waiting.
enum Heard {
    Message(Message),
    Room,
    End,
}

/// Waits for room at a source; for ever when none is full.
async fn room(links: &mut Links, source: Option<PeerId>) -> Result<(), LinkClosed> {
    match source {
        Some(source) => links.ready(source).await,
        None => std::future::pending().await,
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
            "undelivered": self.undelivered.values().map(Vec::len).sum::<usize>(),
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
