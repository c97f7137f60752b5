//! The acking daemon: owns the XOR ledger of the roots that its peer reads, and its sweep. It answers,
//! too, when a source asks what this peer knows of its roots, since its task may be blocked.

use super::supervision::{Obituary, runtime_has_ended};
use crate::acking::{Completions, Inquiry, Ledger, LedgerCounters, Progress, Reach};
use crate::clock::Clock;
use crate::ids::PeerId;
use crate::messages::log_reader::Snapshot;
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use crate::messaging::{Inbox, InboxKind, Links, Lost, Message, Transport, TrySendError};
use crate::task::TaskServices;
use crate::task::counters::Counters;
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

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

/// What a daemon has added to the counters of its node.
#[derive(Default)]
struct Told {
    open: u64,
    ledger: LedgerCounters,
    undeliverable: u64,
}

/// Applies acks and tells sources what is complete.
pub struct AckingDaemon {
    me: PeerId,
    ledger: Ledger,
    inbox: Option<Inbox>,
    transport: Arc<dyn Transport>,
    /// To the tasks of sources.
    links: Links,
    /// Completions for which their source, in its epoch, had no room yet.
    undelivered: BTreeMap<(PeerId, u64, Reach), Vec<u64>>,
    /// Changes when a link has broken.
    broken: watch::Receiver<()>,
    /// Answers to sources; each follows the completions that came before its question.
    answers: Vec<Progress>,
    /// What is shown of all daemons of the node, and what this one has added to it.
    counters: Counters,
    told: Told,
    /// Who is in the cluster.
    latest: watch::Receiver<Snapshot>,
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
        services: &TaskServices,
        settings: AckingSettings,
        latest: watch::Receiver<Snapshot>,
        obituary: Obituary,
    ) -> Result<Self, String> {
        let transport = services.transport.clone();
        let inbox = transport
            .open_inbox(me, InboxKind::Acker, settings.inbox_messages)
            .map_err(|error| error.to_string())?;
        Ok(AckingDaemon {
            me,
            ledger: Ledger::default(),
            inbox: Some(inbox),
            broken: transport.broken(),
            transport,
            links: Links::to(InboxKind::Task),
            undelivered: BTreeMap::new(),
            answers: Vec::new(),
            counters: services.counters.clone(),
            told: Told::default(),
            latest,
            settings,
            clock: services.clock,
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
        let full: BTreeSet<PeerId> = self
            .undelivered
            .keys()
            .map(|(source, ..)| *source)
            .collect();
        let mut broken = self.broken.clone();
        let next = async move {
            let heard = tokio::select! {
                biased;
                message = inbox.next() => message.map_or(Heard::End, Heard::Message),
                () = links.one_ready(&full) => Heard::Room,
                Ok(()) = broken.changed() => Heard::Broken,
            };
            (inbox, links, heard)
        };
        ctx.spawn(
            wrap_future::<_, Self>(next).map(|(mut inbox, links, heard), this, ctx| {
                this.links = links;
                match heard {
                    Heard::End => return,
                    Heard::Room => {}
                    Heard::Broken => this.say_again(),
                    Heard::Message(message) => {
                        let more = iter::from_fn(|| inbox.try_next()).take(MESSAGES_AT_ONCE - 1);
                        let mut completed = Vec::new();
                        for message in iter::once(message).chain(more) {
                            this.apply(message, &mut completed);
                        }
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
            Message::Inquiry(inquiry) => {
                let answer = self.look_for(&inquiry);
                self.answers.push(answer);
            }
            _ => self.misdirected += 1,
        }
    }

    /// Which of the roots of an inquiry move by the ledger, or are with the peer's task.
    fn look_for(&mut self, inquiry: &Inquiry) -> Progress {
        let &Inquiry {
            source,
            epoch,
            number,
            ..
        } = inquiry;
        let mut alive = self.ledger.moving(inquiry, self.clock.now());
        let held = self
            .transport
            .held(self.me, (source, epoch), &inquiry.roots);
        alive.extend(held);
        alive.sort_unstable();
        alive.dedup();
        Progress {
            source,
            epoch,
            number,
            by: self.me,
            alive,
        }
    }

    /// Adds to what the sources are to be told.
    fn keep(&mut self, completed: Vec<Completions>) {
        for Completions {
            source,
            epoch,
            reach,
            roots,
        } in completed
        {
            self.undelivered
                .entry((source, epoch, reach))
                .or_default()
                .extend(roots);
        }
    }

    /// Tells the sources what they have room for. The daemon never waits for one of them: a peer
    /// that was moved to another task may itself be waiting for this daemon's peer. What is kept is
    /// bounded by what a source may have pending. A source that is gone has taken its pending set
    /// with it.
    fn tell(&mut self) {
        for ((source, epoch, reach), roots) in std::mem::take(&mut self.undelivered) {
            if roots.is_empty() {
                continue;
            }
            let message = Message::Completions(Completions {
                source,
                epoch,
                reach,
                roots,
            });
            match self.links.try_send(&*self.transport, source, message) {
                Err(TrySendError::Full(Message::Completions(back))) => {
                    self.undelivered.insert((source, epoch, reach), back.roots);
                }
                Err(TrySendError::Closed(Message::Completions(lost))) => {
                    self.undeliverable += lost.roots.len() as u64;
                }
                _ => {}
            }
        }
        self.answer();
        self.show();
    }

    /// What was on links that broke is told once more. A source that heard it ignores it.
    fn say_again(&mut self) {
        self.broken.mark_unchanged();
        let lost = self.links.take_lost().into_iter();
        let completions = lost.filter_map(|(_, lost)| match lost {
            Lost::Word(Message::Completions(completions)) => Some(completions),
            // Who has asked asks again.
            Lost::Word(_) | Lost::Segments(_) => None,
        });
        let completions = completions.collect();
        self.keep(completions);
    }

    /// Answers the sources that have room. One that has none asks again, or takes the silence for an
    /// answer; one that has not heard of all completions yet could replay what is complete.
    fn answer(&mut self) {
        for answer in std::mem::take(&mut self.answers) {
            let waits = |key: &(PeerId, u64, Reach)| key.0 == answer.source;
            if self.undelivered.keys().any(waits) {
                continue;
            }
            let (source, message) = (answer.source, Message::Progress(answer));
            // What cannot be delivered is as good as no answer.
            let _ = self.links.try_send(&*self.transport, source, message);
        }
    }

    /// Adds to the counters of the node what is new.
    fn show(&mut self) {
        let now = Told {
            open: self.ledger.open() as u64,
            ledger: self.ledger.counters(),
            undeliverable: self.undeliverable,
        };
        let before = std::mem::replace(&mut self.told, now);
        let (now, shown) = (&self.told, self.counters.ackers());
        let given_up = |it: &LedgerCounters| it.swept + it.evicted + it.forgotten;
        for (cell, before, now) in [
            (&shown.refused, before.ledger.refused, now.ledger.refused),
            (&shown.late, before.ledger.late, now.ledger.late),
            (
                &shown.given_up,
                given_up(&before.ledger),
                given_up(&now.ledger),
            ),
            (
                &shown.undeliverable,
                before.undeliverable,
                now.undeliverable,
            ),
        ] {
            cell.fetch_add(now - before, Ordering::Relaxed);
        }
        shown.open.fetch_add(now.open, Ordering::Relaxed);
        shown.open.fetch_sub(before.open, Ordering::Relaxed);
    }

    /// Gives up what stands still for too long, and what nobody waits for any more.
    fn sweep(&mut self) {
        let (now, settings) = (self.clock.now(), self.settings);
        let members = self.latest.borrow().replica.membership.clone();
        let is_here = |peer: PeerId| members.members.contains_key(&peer);
        let quiet = settings.sweep_interval;
        let forgotten = self
            .ledger
            .forget_gone(is_here, now, quiet, settings.timeout);
        let swept = self.ledger.sweep(now, settings.timeout);
        if swept + forgotten > 0 {
            tracing::warn!(
                swept,
                forgotten,
                "incomplete roots were given up; their sources replay them, if they live"
            );
        }
        self.show();
    }
}

/// Nothing of a daemon that has ended is open.
impl Drop for AckingDaemon {
    fn drop(&mut self) {
        let open = &self.counters.ackers().open;
        open.fetch_sub(self.told.open, Ordering::Relaxed);
    }
}

/// What ended a daemon's waiting.
enum Heard {
    Message(Message),
    Room,
    Broken,
    End,
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
        ctx.run_interval(self.settings.sweep_interval, |this, _| this.sweep());
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
            "forgotten": counters.forgotten,
            "late": counters.late,
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
