//! The tail of the log: each entry is fetched and applied once per process.

use super::PeerGroup;
use crate::codec::from_payload;
use crate::coordination::{Coordination, CoordinationError, patiently, reconnected};
use crate::ids::LogPosition;
use crate::log::{Entry, Reason, Unreadable, step};
use crate::messages::log_reader::Snapshot;
use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context};
use std::sync::Arc;
use std::time::Duration;

/// Entries of one read when the log is followed, and when there is a backlog.
const READ_FOLLOWING: usize = 8;
const READ_BACKLOG: usize = 128;

/// How much of the log is still to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Probably more than one read.
    Ahead,
    /// Nothing, a moment ago.
    Reached,
}

impl Tail {
    fn read_max(self) -> usize {
        match self {
            Tail::Ahead => READ_BACKLOG,
            Tail::Reached => READ_FOLLOWING,
        }
    }

    /// After a read of so many entries.
    fn after(entries: usize) -> Self {
        match entries >= READ_FOLLOWING {
            true => Tail::Ahead,
            false => Tail::Reached,
        }
    }
}

/// A watch that was lost is made up for after this long.
const BELT: Duration = Duration::from_secs(15);

impl PeerGroup {
    /// Reads on from behind the newest replica, until the session is over.
    pub(super) fn follow(&mut self, tail: Tail, ctx: &mut Context<Self>) {
        let session = self.services.task.session.clone();
        let of_session = self.session;
        let from = self
            .position_and_replica()
            .position
            .map_or(LogPosition(0), LogPosition::next);
        let read = next_entries(session, from, tail);
        ctx.spawn(wrap_future::<_, Self>(read).map(move |entries, this, ctx| {
            if this.session != of_session {
                return;
            }
            match entries {
                Ok(entries) => {
                    let next = Tail::after(entries.len());
                    for payload in entries {
                        this.apply(&payload);
                    }
                    this.forget_the_departed();
                    this.start_waiting_peers(ctx);
                    this.follow(next, ctx);
                }
                Err(error @ CoordinationError::LogLost(_)) => this.give_up(ctx, &error),
                Err(error) => this.session_over(ctx, &error),
            }
        }));
    }

    fn apply(&mut self, payload: &[u8]) {
        let Snapshot { position, replica } = self.position_and_replica();
        let position = position.map_or(LogPosition(0), LogPosition::next);
        let entry = from_payload::<Entry>(payload).map_err(|error| {
            tracing::warn!(%position, %error, "an entry of the log cannot be read; it changes nothing");
            Unreadable(error.to_string())
        });
        let step = Arc::new(step(position, entry, replica));
        self.account(&step);
        let snapshot = Snapshot {
            position: Some(position),
            replica: step.new.clone(),
        };
        self.latest.send_replace(snapshot);
        // Without readers nobody needs it.
        let _ = self.published.steps.send(step);
    }

    fn account(&mut self, step: &crate::log::Step) {
        let name = step
            .entry
            .as_ref()
            .map_or("?", |entry| entry.command.name());
        let Some(reason) = step.ignored else {
            tracing::debug!(position = %step.position, entry = name, "entry applied");
            tell_ended_jobs(step);
            return;
        };
        self.ignored_entries += 1;
        self.unreadable_entries += u64::from(reason == Reason::Unreadable);
        tracing::debug!(position = %step.position, entry = name, ?reason, "entry ignored");
    }
}

/// Tells of jobs that ended with a step.
fn tell_ended_jobs(step: &crate::log::Step) {
    let (old, new) = (&step.old.jobs, &step.new.jobs);
    let ended = old.live.iter().filter(|job| !new.is_live(**job));
    for job in ended {
        let state = step.new.job_state(*job);
        tracing::info!(%job, ?state, position = %step.position, "job ended");
    }
}

/// Whether the log still has what was applied. A server that came back without its data would let
/// its readers wait for ever.
async fn still_there(
    session: &dyn Coordination,
    from: LogPosition,
) -> Result<(), CoordinationError> {
    let Some(last) = from.0.checked_sub(1).map(LogPosition) else {
        return Ok(());
    };
    let mut entries = patiently(session, || session.read(last, 1)).await?;
    match entries.pop() {
        Some(_) => Ok(()),
        None => Err(CoordinationError::LogLost(last)),
    }
}

/// The entries from a position on, as soon as there is one. Where none was left a moment ago the
/// watch comes first: then an entry is here after one notification and one read.
async fn next_entries(
    session: Arc<dyn Coordination>,
    from: LogPosition,
    mut tail: Tail,
) -> Result<Vec<Vec<u8>>, CoordinationError> {
    loop {
        if tail == Tail::Reached {
            match tokio::time::timeout(BELT, session.wait_for(from)).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(CoordinationError::Interrupted(_))) => reconnected(&*session).await?,
                Ok(Err(error)) => return Err(error),
            }
        }
        match session.read(from, tail.read_max()).await {
            Ok(entries) if entries.is_empty() => {
                still_there(&*session, from).await?;
                tail = Tail::Reached;
            }
            Ok(entries) => return Ok(entries),
            Err(CoordinationError::Interrupted(_)) => reconnected(&*session).await?,
            Err(error) => return Err(error),
        }
    }
}
