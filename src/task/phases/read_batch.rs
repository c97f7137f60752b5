//! Read message batch: from the plugin, from the replays, or from upstream.

use crate::plugins::{Polled, ReadSegments, Rejected};
use crate::task::context::{BatchWork, Freshness, InputSide, Role, Sentinel, Supply, TaskContext};
use crate::task::counters::Count;
use crate::task::exception::{Fault, Phase, guarded};
use crate::task::rejections::InputTotals;
use crate::task::traces::Traced;
use std::time::Duration;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let now = context.now;
    context.beat.enter(Phase::ReadBatch);
    let batch_size = context.identity.task.batch_size.get() as usize;
    let batch_timeout = Duration::from_millis(context.identity.task.batch_timeout_ms.get().into());
    let Role::Input(input) = &mut context.role else {
        receive(context, batch);
        return Ok(());
    };
    let acker = input.ackers.keeper(input.pending.next_root());
    batch.keeper = Some(acker);
    if let Some(replay) = input.pending.replay(batch_size, acker, now) {
        batch.encoded = replay.segments;
        batch.freshness = Freshness::Replayed {
            first_root: replay.first_root,
            before: replay.before.into_iter().zip(replay.attempts).collect(),
        };
        return Ok(());
    }
    let room = input.pending.room();
    match input.supply {
        Supply::Exhausted => {
            batch.sentinel = Sentinel::Present;
            return Ok(());
        }
        Supply::Withheld => return Ok(()),
        Supply::NotBefore(moment) if now < moment => return Ok(()),
        Supply::More | Supply::NotBefore(_) if room == 0 => return Ok(()),
        Supply::More | Supply::NotBefore(_) => {}
    }
    let (polled, rejected) = poll(input, batch, room.min(batch_size))?;
    input.supply = match polled {
        Polled::More => Supply::More,
        Polled::Idle(wait) => Supply::NotBefore(now.plus(wait.min(batch_timeout))),
        Polled::Exhausted => Supply::Exhausted,
    };
    let fresh = batch.segments.len();
    bury(context, &rejected, fresh)
}

fn poll(
    input: &mut InputSide,
    batch: &mut BatchWork,
    max: usize,
) -> Result<(Polled, Vec<Rejected>), Fault> {
    let mut read = ReadSegments {
        segments: std::mem::take(&mut batch.segments),
        rejected: Vec::new(),
        spare: std::mem::take(&mut batch.spare),
    };
    if let Some(letters) = &mut input.dead_letters {
        letters.begin().map_err(|error| {
            let text = format!("cannot begin its dead letters: {error}");
            Fault::in_phase(Phase::ReadBatch, text)
        })?;
    }
    let plugin = &mut input.plugin;
    let (polled, position) = guarded(Phase::ReadBatch, || {
        let polled = plugin.poll(max, &mut read);
        let polled = polled.map_err(|error| Fault::in_phase(Phase::ReadBatch, error))?;
        Ok((polled, plugin.position()))
    })?;
    batch.segments = read.segments;
    batch.spare = read.spare;
    batch.position = Some(position);
    Ok((polled, read.rejected))
}

fn receive(context: &mut TaskContext, batch: &mut BatchWork) {
    let Some(message) = context.next_arrived() else {
        return;
    };
    context
        .counters
        .add(Count::Received, message.batch.len() as u64);
    let (meta, encoded) = message.batch.into_parts();
    context.note_rows(&meta, |_| Some(Traced::Received));
    batch.meta = Some(meta);
    batch.encoded = encoded;
}

/// Rejected pieces are counted, the first ones logged, and kept where the task has a place for them. Too
/// many of them end the job.
fn bury(context: &mut TaskContext, rejected: &[Rejected], fresh: usize) -> Result<(), Fault> {
    // A read that was interrupted rejects nothing.
    if rejected.is_empty() || context.stop.is_set() {
        return Ok(());
    }
    context.counters.add(Count::Rejected, rejected.len() as u64);
    let Role::Input(input) = &mut context.role else {
        return Ok(());
    };
    for piece in input.rejections.note(rejected) {
        tracing::warn!(
            peer = %context.identity.peer,
            job = %context.identity.job,
            task = %context.identity.task.name,
            position = context.identity.version.0,
            place = piece.place,
            reason = piece.reason,
            "a piece of the input is no segment"
        );
    }
    if let Some(letters) = &mut input.dead_letters {
        letters.write(rejected).map_err(|error| {
            let text = format!("cannot write a dead letter: {error}");
            Fault::in_phase(Phase::ReadBatch, text)
        })?;
    }
    // Those of all slots of the task on this node.
    let figures = context.counters.figures();
    let so_far = InputTotals {
        read: figures.read + fresh as u64,
        rejected: figures.rejected,
    };
    let limit = context.identity.task.max_rejected;
    match input.rejections.too_many_so_far(limit, so_far) {
        Some(reason) => Err(Fault::in_phase(Phase::ReadBatch, reason)),
        None => Ok(()),
    }
}
