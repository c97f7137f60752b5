//! The outbox: writes entries to the log, in order, one at a time.

use super::supervision::Obituary;
use crate::clock::Clock;
use crate::codec::to_payload;
use crate::coordination::{Attempts, Coordination, CoordinationError, SessionLease, append_entry};
use crate::ids::{EntrySource, LogPosition, WriterId};
use crate::log::Entry;
use crate::log::commands::Command;
use crate::messages::outbox::{OutboxFull, SetGate, WriteAndConfirm, WriteEntry, WriteFailed};
use crate::messages::supervision::{ActorReport, Child, Crash, Observe, Stop};
use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture};
use actix::{ActorContext, MessageResult};
use futures_util::FutureExt;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Writes what it is given. An entry whose outcome is unknown is written again under the same
/// sequence: whoever applies the log ignores the second.
pub struct Outbox {
    session: Arc<dyn Coordination>,
    lease: SessionLease,
    writer: WriterId,
    sequence: u64,
    gate: SetGate,
    queue: VecDeque<Queued>,
    capacity: usize,
    activity: Activity,
    written: u64,
    refused: u64,
    stopping: Option<oneshot::Sender<()>>,
    obituary: Obituary,
}

struct Queued {
    command: Command,
    entry_parent: Option<LogPosition>,
    confirm: Option<Confirm>,
}

type Confirm = oneshot::Sender<Result<LogPosition, WriteFailed>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    Writing,
}

impl Outbox {
    /// An outbox that writes as `writer`, which nobody else may use, and starts behind `gate`.
    pub fn new(
        session: Arc<dyn Coordination>,
        lease: SessionLease,
        writer: WriterId,
        gate: SetGate,
        capacity: usize,
        obituary: Obituary,
    ) -> Self {
        Outbox {
            session,
            lease,
            writer,
            sequence: 0,
            gate,
            queue: VecDeque::new(),
            capacity,
            activity: Activity::Idle,
            written: 0,
            refused: 0,
            stopping: None,
            obituary,
        }
    }

    fn enqueue(&mut self, queued: Queued, ctx: &mut Context<Self>) -> Result<(), OutboxFull> {
        if self.queue.len() >= self.capacity {
            return Err(OutboxFull {
                capacity: self.capacity,
            });
        }
        self.queue.push_back(queued);
        self.write_next(ctx);
        Ok(())
    }

    /// The first entry that may pass; what is held back keeps its place.
    fn next_permitted(&mut self) -> Option<Queued> {
        let permitted = |queued: &Queued| match self.gate {
            SetGate::Resume => true,
            SetGate::Pause => queued.command.passes_paused_outbox(),
        };
        let at = self.queue.iter().position(permitted)?;
        self.queue.remove(at)
    }

    fn write_next(&mut self, ctx: &mut Context<Self>) {
        if self.activity == Activity::Writing {
            return;
        }
        let Some(queued) = self.next_permitted() else {
            if let Some(stopped) = self.stopping.take() {
                // The asker may have stopped waiting; it is as well.
                let _ = stopped.send(());
                ctx.stop();
            }
            return;
        };
        self.activity = Activity::Writing;
        self.sequence += 1;
        let source = EntrySource {
            writer: self.writer,
            sequence: self.sequence,
        };
        let Queued {
            command,
            entry_parent,
            confirm,
        } = queued;
        let name = command.name();
        let entry = Entry {
            source: Some(source),
            entry_parent,
            written_at_ms: Some(Clock::unix_ms()),
            command,
        };
        let write = write_until_known(self.session.clone(), self.lease.clone(), source, entry);
        ctx.spawn(wrap_future::<_, Self>(write).map(|result, this, ctx| {
            this.written(name, confirm, result, ctx);
        }));
    }

    fn written(
        &mut self,
        entry: &'static str,
        confirm: Option<Confirm>,
        result: Result<LogPosition, CoordinationError>,
        ctx: &mut Context<Self>,
    ) {
        self.activity = Activity::Idle;
        match &result {
            Ok(position) => {
                self.written += 1;
                tracing::debug!(peer = %self.writer, %position, entry, "entry written");
            }
            Err(CoordinationError::Expired) => {
                self.end("the coordination session is over", ctx);
            }
            Err(error) => {
                self.refused += 1;
                tracing::error!(peer = %self.writer, entry, %error, "an entry could not be written");
            }
        }
        match (confirm, result) {
            // A client that has gone needs no answer. One whose entry went down with the session
            // cannot be told whether it is in the log.
            (
                Some(confirm),
                Err(CoordinationError::Expired | CoordinationError::Interrupted(_)),
            ) => {
                let _ = confirm.send(Err(WriteFailed::Ended));
            }
            (Some(confirm), result) => {
                let _ = confirm.send(result.map_err(WriteFailed::Refused));
            }
            (None, Ok(_) | Err(CoordinationError::Expired)) => {}
            (None, Err(error)) => {
                // Whoever reacts to the log cannot leave a reaction out: it starts again as another.
                self.end(error.to_string(), ctx);
            }
        }
        self.write_next(ctx);
    }

    fn end(&mut self, cause: impl Into<String>, ctx: &mut Context<Self>) {
        self.obituary.because(cause);
        ctx.stop();
    }
}

async fn write_until_known(
    session: Arc<dyn Coordination>,
    lease: SessionLease,
    source: EntrySource,
    entry: Entry,
) -> Result<LogPosition, CoordinationError> {
    let payload = to_payload(&entry).map_err(|error| CoordinationError::Refused {
        what: "an entry".into(),
        reason: error.to_string(),
    })?;
    let mut attempts = Attempts::of(&*session);
    loop {
        // What this process would say after its session has ended is not its to say any more.
        lease.held().await?;
        match append_entry(&*session, source, &payload).await {
            Err(CoordinationError::Interrupted(cause)) => {
                tracing::warn!(
                    peer = %source.writer,
                    cause,
                    "an entry's outcome is unknown; it is written again"
                );
                attempts.again(&cause).await?;
            }
            known => return known,
        }
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;
}

impl Handler<WriteEntry> for Outbox {
    type Result = Result<(), OutboxFull>;

    fn handle(&mut self, write: WriteEntry, ctx: &mut Context<Self>) -> Self::Result {
        let WriteEntry {
            command,
            entry_parent,
        } = write;
        let queued = Queued {
            command,
            entry_parent,
            confirm: None,
        };
        let enqueued = self.enqueue(queued, ctx);
        if let Err(full) = &enqueued {
            // Whoever reacts to the log cannot leave a reaction out: it starts again as another.
            self.end(full.to_string(), ctx);
        }
        enqueued
    }
}

impl Handler<WriteAndConfirm> for Outbox {
    type Result = ResponseFuture<Result<LogPosition, WriteFailed>>;

    fn handle(&mut self, write: WriteAndConfirm, ctx: &mut Context<Self>) -> Self::Result {
        let (confirm, confirmed) = oneshot::channel();
        let queued = Queued {
            command: write.0,
            entry_parent: None,
            confirm: Some(confirm),
        };
        match self.enqueue(queued, ctx) {
            Ok(()) => confirmed
                .map(|result| result.unwrap_or(Err(WriteFailed::Ended)))
                .boxed_local(),
            Err(full) => async move { Err(full.into()) }.boxed_local(),
        }
    }
}

impl Handler<SetGate> for Outbox {
    type Result = ();

    fn handle(&mut self, gate: SetGate, ctx: &mut Context<Self>) {
        self.gate = gate;
        self.write_next(ctx);
    }
}

impl Handler<Stop> for Outbox {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> Self::Result {
        let (stopped, done) = oneshot::channel();
        self.stopping = Some(stopped);
        self.write_next(ctx);
        done.map(|_| ()).boxed_local()
    }
}

impl Handler<Observe> for Outbox {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        let state = match (self.gate, self.activity) {
            (SetGate::Pause, _) => "paused",
            (SetGate::Resume, Activity::Writing) => "writing",
            (SetGate::Resume, Activity::Idle) => "idle",
        };
        let detail =
            json!({ "queued": self.queue.len(), "written": self.written, "refused": self.refused });
        MessageResult(ActorReport::of(Child::Outbox, state, detail))
    }
}

impl Handler<Crash> for Outbox {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("crashed by a test");
    }
}

#[cfg(test)]
mod tests;
