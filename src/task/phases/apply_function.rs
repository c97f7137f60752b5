//! Apply function: the task's function on each segment, giving none, one or many.

use crate::acking::Cause;
use crate::functions::{FunctionError, TaskFunction};
use crate::segment::Segment;
use crate::task::beat::Beat;
use crate::task::context::{BatchWork, GivenBack, Made, Role, TaskContext};
use crate::task::counters::Count;
use crate::task::exception::{Fault, Phase, REASON_BYTES_MAX, SEGMENT_TEXT_BYTES_MAX};
use crate::task::exception::{guarded, shortened};
use std::cell::Cell;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if batch.encoded.is_empty() {
        return Ok(());
    }
    let looks = context.function.is_some() || matches!(context.role, Role::Output(_));
    if looks && batch.segments.is_empty() {
        decode(context, batch)?;
    }
    let Some(function) = &mut context.function else {
        return Ok(());
    };
    let at = Cell::new(0);
    let received = std::mem::take(&mut batch.segments);
    let applied = guarded(Phase::ApplyFunction, || {
        apply(
            function,
            received,
            (&at, &context.beat),
            &mut batch.given_back,
        )
    });
    batch.made = applied.map_err(|fault| about(fault, context, batch, at.get()))?;
    Ok(())
}

fn apply(
    function: &mut TaskFunction,
    received: Vec<Segment>,
    (at, beat): (&Cell<usize>, &Beat),
    given_back: &mut Vec<GivenBack>,
) -> Result<Made, Fault> {
    let mut segments = Vec::with_capacity(received.len());
    let mut parents = Vec::with_capacity(received.len());
    for (index, segment) in received.into_iter().enumerate() {
        at.set(index);
        beat.beat();
        let before = segments.len();
        match function(segment, &mut segments) {
            Ok(()) => parents.resize(segments.len(), index as u32),
            Err(FunctionError::Retry(reason)) => {
                // What it made before it gave up is made again by the replay.
                segments.truncate(before);
                given_back.push(GivenBack {
                    index,
                    cause: Cause::Asked,
                    reason: shortened(reason, REASON_BYTES_MAX),
                });
            }
            Err(FunctionError::Failed(message)) => {
                return Err(Fault::in_phase(Phase::ApplyFunction, message));
            }
        }
    }
    Ok(Made::New { segments, parents })
}

fn decode(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let decoded = batch
        .encoded
        .decode_all_into(&mut context.decoder, &mut batch.segments);
    decoded.map_err(|error| {
        context
            .counters
            .add(Count::Damaged, batch.encoded.len() as u64);
        Fault::in_phase(
            Phase::ReadBatch,
            format!("a received batch is damaged: {error}"),
        )
    })
}

/// Adds the segment to a fault, as JSON of bounded length.
fn about(fault: Fault, context: &mut TaskContext, batch: &BatchWork, index: usize) -> Fault {
    let segment = (index < batch.encoded.len())
        .then(|| batch.encoded.decode(index, &mut context.decoder).ok())
        .flatten()
        .and_then(|segment| serde_json::to_string(&segment).ok())
        .map(|text| shortened(text, SEGMENT_TEXT_BYTES_MAX));
    Fault { segment, ..fault }
}
