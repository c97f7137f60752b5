//! The tail of the log: each entry is fetched and applied once per process.

use super::PeerGroup;
use super::event_log::log_events;
use crate::codec::from_payload;
use crate::coordination::origin::Origin;
use crate::coordination::tail::{BACKLOG, News, Tail, look, next};
use crate::coordination::{Coordination, CoordinationError};
use crate::ids::LogPosition;
use crate::log::{Entry, Reason, Step, Unreadable, step};
use crate::messages::log_reader::Snapshot;
use crate::replica::invariants;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};
use std::sync::Arc;
use std::vec::IntoIter;
use tokio::task::JoinSet;

/// Entries that are applied before others have their turn.
const SLICE: usize = 32;

/// A look at what comes later, while other entries are applied; it ends when this is dropped.
struct Ahead {
    session: Arc<dyn Coordination>,
    from: LogPosition,
    look: JoinSet<Result<Option<Coming>, CoordinationError>>,
}

/// What comes next, read.
enum Coming {
    Entries(Vec<Arrived>),
    Origin(Origin),
}

/// An entry, and how many bytes it had.
struct Arrived {
    entry: Result<Entry, Unreadable>,
    bytes: usize,
}

impl Coming {
    /// Long backlogs are decoded on another thread, beside those entries that are applied.
    async fn of(news: News) -> Self {
        let payloads = match news {
            News::Origin(origin) => return Coming::Origin(origin),
            News::Entries(payloads) => payloads,
        };
        let read = |payloads: Vec<Vec<u8>>| payloads.iter().map(|it| Arrived::of(it)).collect();
        if payloads.len() < BACKLOG {
            return Coming::Entries(read(payloads));
        }
        match tokio::task::spawn_blocking(move || read(payloads)).await {
            Ok(entries) => Coming::Entries(entries),
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process ends, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Arrived {
    fn of(payload: &[u8]) -> Self {
        let entry = from_payload(payload).map_err(|error| Unreadable(error.to_string()));
        let bytes = payload.len();
        Arrived { entry, bytes }
    }
}

/// What readers get of entries.
#[derive(Clone, Copy)]
enum Pace {
    /// Each by itself.
    Steps,
    /// A whole slice at once, as when they lag: the log is far ahead of this process, and what it says
    /// here has been answered by others long ago.
    Jumps,
}

impl Pace {
    fn of(entries: &[Arrived]) -> Self {
        match entries.len() >= BACKLOG {
            true => Pace::Jumps,
            false => Pace::Steps,
        }
    }
}

impl Ahead {
    fn begin(session: Arc<dyn Coordination>, from: LogPosition) -> Self {
        let mut task = JoinSet::new();
        let of_task = session.clone();
        task.spawn(async move {
            match look(&*of_task, from, Tail::Ahead).await? {
                Some(news) => Ok(Some(Coming::of(news).await)),
                None => Ok(None),
            }
        });
        Ahead {
            session,
            from,
            look: task,
        }
    }

    /// What it saw. When that is nothing, it is read as always.
    async fn end(mut self) -> Result<Coming, CoordinationError> {
        match self.look.join_next().await {
            Some(Ok(Ok(Some(coming)))) => Ok(coming),
            Some(Err(failed)) if failed.is_panic() => {
                std::panic::resume_unwind(failed.into_panic())
            }
            _ => coming(self.session, self.from, Tail::Ahead).await,
        }
    }
}

async fn coming(
    session: Arc<dyn Coordination>,
    from: LogPosition,
    tail: Tail,
) -> Result<Coming, CoordinationError> {
    Ok(Coming::of(next(session, from, tail).await?).await)
}

impl PeerGroup {
    /// Reads on from behind the newest replica, until the session is over.
    pub(super) fn follow(&mut self, tail: Tail, ctx: &mut Context<Self>) {
        let session = self.services.task.session.clone();
        self.take(coming(session, self.next_position(), tail), ctx);
    }

    fn take(
        &mut self,
        read: impl Future<Output = Result<Coming, CoordinationError>> + 'static,
        ctx: &mut Context<Self>,
    ) {
        let of_session = self.session;
        ctx.spawn(wrap_future::<_, Self>(read).map(move |coming, this, ctx| {
            if this.session != of_session {
                return;
            }
            match coming {
                Ok(Coming::Entries(entries)) => {
                    let (pace, ahead) = (Pace::of(&entries), this.read_ahead(entries.len()));
                    this.apply_all(entries.into_iter(), pace, ahead, ctx);
                }
                Ok(Coming::Origin(origin)) => {
                    this.jump(origin);
                    this.applied(ctx);
                    this.follow(Tail::Ahead, ctx);
                }
                Err(
                    error @ (CoordinationError::LogLost(_) | CoordinationError::OriginUnusable(_)),
                ) => this.give_up(ctx, &error),
                Err(error) => this.session_over(ctx, &error),
            }
        }));
    }

    /// While so many entries are applied, those behind them are fetched already; unless these are
    /// probably the last.
    fn read_ahead(&self, entries: usize) -> Option<Ahead> {
        let from = LogPosition(self.next_position().0 + entries as u64);
        let session = &self.services.task.session;
        (Tail::after(entries) == Tail::Ahead).then(|| Ahead::begin(session.clone(), from))
    }

    /// A slice at a time: the session and the peers live on this thread too.
    fn apply_all(
        &mut self,
        mut entries: IntoIter<Arrived>,
        pace: Pace,
        ahead: Option<Ahead>,
        ctx: &mut Context<Self>,
    ) {
        let slice = entries.by_ref().take(SLICE);
        match pace {
            Pace::Steps => slice.for_each(|arrived| {
                let step = self.apply(arrived, self.position_and_replica());
                self.publish(step);
            }),
            Pace::Jumps => self.pass_over(slice),
        }
        if entries.len() == 0 {
            self.applied(ctx);
            return match ahead {
                Some(ahead) => self.take(ahead.end(), ctx),
                None => self.follow(Tail::Reached, ctx),
            };
        }
        let of_session = self.session;
        let others = wrap_future::<_, Self>(tokio::task::yield_now());
        ctx.spawn(others.map(move |(), this, ctx| {
            if this.session == of_session {
                this.apply_all(entries, pace, ahead, ctx);
            }
        }));
    }

    fn next_position(&self) -> LogPosition {
        LogPosition::after(self.position_and_replica().position)
    }

    fn applied(&mut self, ctx: &mut Context<Self>) {
        self.forget_the_departed();
        self.start_waiting_peers(ctx);
        self.collect_if_due(ctx);
    }

    /// Goes on from the origin. Peers make up for what they missed, as they do when they lag.
    fn jump(&mut self, origin: Origin) {
        let Origin { position, replica } = origin;
        let old = self.position_and_replica().replica;
        tracing::info!(%position, "the log goes on from its origin");
        self.collector.begin_anew();
        let step = Step::jump(position, old, Arc::new(replica));
        self.account(&step);
        self.publish(step);
    }

    /// Applies entries of which readers get no more than what became of them all.
    fn pass_over(&mut self, entries: impl Iterator<Item = Arrived>) {
        let mut snapshot = self.position_and_replica();
        let before = snapshot.replica.clone();
        for arrived in entries {
            let step = self.apply(arrived, snapshot);
            snapshot = Snapshot {
                position: Some(step.position),
                replica: step.new,
            };
        }
        if let Some(position) = snapshot.position {
            self.publish(Step::jump(position, before, snapshot.replica));
        }
    }

    fn apply(&mut self, arrived: Arrived, before: Snapshot) -> Step {
        let position = LogPosition::after(before.position);
        if let Err(Unreadable(error)) = &arrived.entry {
            tracing::warn!(%position, error, "an entry of the log cannot be read; it changes nothing");
        }
        let step = step(position, arrived.entry, before.replica);
        self.collector.applied(&step, arrived.bytes);
        self.account(&step);
        step
    }

    fn publish(&mut self, step: Step) {
        let (old, new) = (&step.old.membership, &step.new.membership);
        if !Arc::ptr_eq(old, new) && old.members != new.members {
            self.services.task.transport.learn_sites(&new.members);
        }
        if !Arc::ptr_eq(&step.old.jobs, &step.new.jobs) {
            let has_record = |job| step.new.record(job).is_some();
            self.services.task.counters.keep_only(has_record);
        }
        let snapshot = Snapshot {
            position: Some(step.position),
            replica: step.new.clone(),
        };
        self.latest.send_replace(snapshot);
        // Without readers nobody needs it.
        let _ = self.published.steps.send(Arc::new(step));
    }

    fn account(&mut self, step: &Step) {
        for violation in invariants::sampled(&step.new, step.position) {
            self.violations += 1;
            tracing::error!(position = %step.position, %violation, "an invariant does not hold");
        }
        let name = step.entry.as_ref();
        let name = name.map_or("?", |entry| entry.command.name());
        let Some(reason) = step.ignored else {
            tracing::debug!(position = %step.position, entry = name, "entry applied");
            tell_ended_jobs(step);
            log_events(step);
            return;
        };
        self.ignored_entries += 1;
        self.unreadable_entries += u64::from(reason == Reason::Unreadable);
        tracing::debug!(position = %step.position, entry = name, ?reason, "entry ignored");
    }
}

/// Tells of jobs that ended with a step.
fn tell_ended_jobs(step: &Step) {
    let (old, new) = (&step.old.jobs, &step.new.jobs);
    if Arc::ptr_eq(old, new) {
        return;
    }
    let by = step.entry.as_ref().ok().map(|entry| entry.command.name());
    let ended = old.live.iter().filter(|job| !new.is_live(**job));
    for job in ended {
        let state = step.new.job_state(*job);
        tracing::info!(%job, ?state, by, position = %step.position, "job ended");
    }
}
