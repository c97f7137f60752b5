//! Apply function: the task's function on each segment, giving none, one or many.
//!
//! What is sent on is encoded right behind the function, and one segment is decoded in the memory of
//! the one before: a batch of decoded segments exists only where a plugin wants to see it.

use crate::acking::Cause;
use crate::codec::{CodecError, EncodedBuilder};
use crate::functions::{Application, FunctionError, NotTested};
use crate::segment::Segment;
use crate::task::context::{BatchWork, GivenBack, Made, Role, TaskContext};
use crate::task::counters::{Count, TaskCounters};
use crate::task::exception::{Fault, Phase, REASON_BYTES_MAX, SEGMENT_TEXT_BYTES_MAX};
use crate::task::exception::{guarded, shortened};
use std::cell::Cell;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    if batch.encoded.is_empty() {
        return Ok(());
    }
    let apply: fn(&mut TaskContext, &mut BatchWork, &Cell<usize>) -> Result<(), Fault> =
        match context.function {
            Application::PassOn => {
                return match context.role {
                    Role::Output(_) => decode_all(context, batch),
                    Role::Input(_) | Role::Function => Ok(()),
                };
            }
            Application::Keep(_) => keep,
            Application::Make(_) => make,
        };
    let at = Cell::new(0);
    context.beat.enter(Phase::ApplyFunction);
    let applied = guarded(Phase::ApplyFunction, || apply(context, batch, &at));
    applied.map_err(|fault| about(fault, context, batch, at.get()))
}

/// Bytes that may be made of one batch. A batch is held as a whole, by this task and the next ones, and
/// every segment may be as large as the bounds of its function allow.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a function made of a batch, in the form in which it leaves the task.
enum Product {
    /// For the next tasks.
    Encoded(EncodedBuilder),
    /// For an output, with the bytes of them.
    Segments(Vec<Segment>, usize),
}

impl Product {
    /// Takes what was made of one segment, and leaves some of its memory.
    fn take(
        &mut self,
        made: &mut Vec<Segment>,
        spare: &mut Vec<Segment>,
    ) -> Result<(), CodecError> {
        match self {
            Product::Segments(segments, bytes) => {
                *bytes += made.iter().map(Segment::byte_len).sum::<usize>();
                segments.append(made);
            }
            Product::Encoded(builder) => {
                made.iter().try_for_each(|segment| builder.push(segment))?;
                if spare.is_empty() {
                    spare.extend(made.pop());
                }
                made.clear();
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Product::Encoded(builder) => builder.len(),
            Product::Segments(segments, _) => segments.len(),
        }
    }

    fn is_too_large(&self) -> bool {
        let bytes = match self {
            Product::Encoded(builder) => builder.byte_len(),
            Product::Segments(_, bytes) => *bytes,
        };
        bytes > BATCH_BYTES_MAX
    }
}

/// Passes on what a test says, as it came. A batch of which everything passes is not even copied.
fn keep(context: &mut TaskContext, batch: &mut BatchWork, at: &Cell<usize>) -> Result<(), Fault> {
    let Application::Keep(keep) = &mut context.function else {
        return Ok(());
    };
    let received = batch.encoded.len();
    let mut parents = Vec::with_capacity(received);
    let mut seen = batch.spare.pop().unwrap_or_default();
    for (index, raw) in batch.encoded.iter().enumerate() {
        at.set(index);
        context.beat.beat();
        let passes = match batch.segments.get(index) {
            // An input has just read it.
            Some(segment) => keep.passes(segment).map_err(NotTested::Failed),
            None => keep.passes_encoded(raw, &mut context.decoder, &mut seen),
        };
        match passes {
            Ok(true) => parents.push(index as u32),
            Ok(false) => {}
            Err(NotTested::Failed(error)) => batch.given_back.push(given_back(index, error)?),
            Err(NotTested::Damaged(error)) => {
                return Err(damaged(&context.counters, received, &error));
            }
        }
    }
    batch.spare.push(seen);
    if parents.len() < received {
        let mut kept = EncodedBuilder::with_capacity(parents.len(), batch.encoded.byte_len());
        for index in &parents {
            let taken = kept.push_raw(batch.encoded.raw(*index as usize));
            taken.map_err(|error| Fault::in_phase(Phase::BuildNewSegments, error))?;
        }
        batch.encoded = kept.finish();
        batch.made = Made::New { parents };
    }
    Ok(())
}

fn make(context: &mut TaskContext, batch: &mut BatchWork, at: &Cell<usize>) -> Result<(), Fault> {
    let Application::Make(function) = &mut context.function else {
        return Ok(());
    };
    let (received, bytes) = (batch.encoded.len(), batch.encoded.byte_len());
    let mut product = match context.role {
        Role::Output(_) => Product::Segments(Vec::with_capacity(received), 0),
        Role::Input(_) | Role::Function => {
            Product::Encoded(EncodedBuilder::with_capacity(received, bytes))
        }
    };
    let mut parents = Vec::with_capacity(received);
    let mut made = Vec::new();
    // What an input read just now was never decoded.
    let mut read = std::mem::take(&mut batch.segments).into_iter();
    for (index, raw) in batch.encoded.iter().enumerate() {
        at.set(index);
        context.beat.beat();
        let segment = match read.next() {
            Some(segment) => segment,
            None => {
                let mut segment = batch.spare.pop().unwrap_or_default();
                let decoded = context.decoder.decode_over(raw, &mut segment);
                decoded.map_err(|error| damaged(&context.counters, received, &error))?;
                segment
            }
        };
        match function(segment, &mut made) {
            Ok(()) => {
                let taken = product.take(&mut made, &mut batch.spare);
                taken.map_err(|error| Fault::in_phase(Phase::BuildNewSegments, error))?;
                parents.resize(product.len(), index as u32);
                if product.is_too_large() {
                    return Err(too_large());
                }
            }
            Err(error) => {
                batch.given_back.push(given_back(index, error)?);
                // What it made before it gave up is made again by the replay.
                made.clear();
            }
        }
    }
    match product {
        Product::Encoded(builder) => batch.encoded = builder.finish(),
        Product::Segments(segments, _) => batch.segments = segments,
    }
    batch.made = Made::New { parents };
    Ok(())
}

/// A segment goes back to its source, if that is what its function asks for.
fn given_back(index: usize, error: FunctionError) -> Result<GivenBack, Fault> {
    match error {
        FunctionError::Retry(reason) => Ok(GivenBack {
            index,
            cause: Cause::Asked,
            reason: shortened(reason, REASON_BYTES_MAX),
        }),
        FunctionError::Failed(message) => Err(Fault::in_phase(Phase::ApplyFunction, message)),
    }
}

fn too_large() -> Fault {
    let mib = BATCH_BYTES_MAX / (1024 * 1024);
    let text = format!(
        "the segments made of one batch come to more than {mib} MiB; lower the task's `batch-size`, or make smaller segments"
    );
    Fault::in_phase(Phase::BuildNewSegments, text)
}

fn decode_all(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    std::mem::swap(&mut batch.segments, &mut batch.spare);
    let decoded = batch
        .encoded
        .decode_all_over(&mut context.decoder, &mut batch.segments);
    decoded.map_err(|error| damaged(&context.counters, batch.encoded.len(), &error))
}

fn damaged(counters: &TaskCounters, segments: usize, error: &CodecError) -> Fault {
    counters.add(Count::Damaged, segments as u64);
    let text = format!("a received batch is damaged: {error}");
    Fault::in_phase(Phase::ReadBatch, text)
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
