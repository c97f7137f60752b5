//! Write message batch: to the medium of an output, or to a ready peer of each downstream task.
//!
//! An output looks at the lease right before it writes: a process that was paused for longer than its
//! session lives wakes up in the middle of a batch, and somebody else has its slot.

use crate::acking::Cause;
use crate::codec::{Batch, BatchMeta};
use crate::messaging::{Message, SegmentsMessage};
use crate::task::context::{BatchWork, GivenBack, Identity, Role, TaskContext};
use crate::task::counters::Count;
use crate::task::exception::{Fault, Phase, guarded};
use crate::task::outbound::To;
use crate::task::traces::Traced;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if let Role::Output(output) = &mut context.role {
        let segments = &batch.segments;
        if segments.is_empty() {
            return Ok(());
        }
        if !context.lease.holds() {
            return give_back(context, batch);
        }
        context.beat.enter(Phase::WriteBatch);
        guarded(Phase::WriteBatch, || {
            output
                .write(segments)
                .map_err(|error| Fault::in_phase(Phase::WriteBatch, error))
        })?;
        context.counters.add(Count::Written, segments.len() as u64);
        if let Some(meta) = &batch.meta {
            context.note_rows(meta, |index| {
                batch.made.stems_from(index).then_some(Traced::Written)
            });
        }
        return Ok(());
    }
    if batch.encoded.is_empty() {
        return Ok(());
    }
    let tasks: Vec<_> = context.outbound.tasks().cloned().collect();
    for (route, (task, rows)) in tasks.into_iter().zip(&batch.children).enumerate() {
        let payload = batch.encoded.clone();
        context.note_rows(rows, |_| Some(Traced::Emitted { to: task.clone() }));
        let sent = Batch::new(rows.clone(), payload)
            .map_err(|error| Fault::in_phase(Phase::WriteBatch, error))?;
        context.counters.add(Count::Emitted, sent.len() as u64);
        let message = Message::Segments(SegmentsMessage {
            job: context.identity.job,
            task,
            sender: context.identity.peer,
            version: context.identity.version,
            batch: sent,
        });
        context.outbound.push(To::Route(route), message);
    }
    Ok(())
}

/// Nothing of the batch is written: its sources play it again, to whoever has the slot then.
fn give_back(context: &TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let received = batch.meta.as_ref().map_or(0, BatchMeta::len);
    let Identity {
        job, peer, slot, ..
    } = context.identity;
    tracing::warn!(
        %job, %peer, %slot, segments = received,
        "the lease of the session ran out; a batch is not written and goes back to its sources"
    );
    batch.given_back = (0..received)
        .map(|index| GivenBack {
            index,
            cause: Cause::GivenBack,
            reason: String::new(),
        })
        .collect();
    Ok(())
}
