//! Tag messages: each segment that an input read becomes a root with a sequence of its own.

use crate::codec::{BatchMeta, EncodedBuilder, Origin};
use crate::task::context::{BatchWork, Freshness, Identity, Role, TaskContext};
use crate::task::exception::{Fault, Phase};
use crate::task::traces::{Traced, is_traced};

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let Identity { peer, epoch, .. } = context.identity;
    let (Role::Input(input), Some(acker)) = (&context.role, batch.keeper) else {
        return Ok(());
    };
    let (first_root, traced) = match &batch.freshness {
        // All that is played again is traced.
        Freshness::Replayed { first_root, .. } => (*first_root, 1),
        Freshness::New => {
            // Encoded once: the pool keeps these bytes for a replay, and where no function changes
            // the segments they are what is sent.
            let mut builder =
                EncodedBuilder::with_capacity(batch.segments.len(), batch.bytes_before);
            for segment in &batch.segments {
                builder
                    .push(segment)
                    .map_err(|error| Fault::in_phase(Phase::ReadBatch, error))?;
            }
            batch.bytes_before = builder.byte_len();
            batch.encoded = builder.finish();
            (input.pending.next_root(), context.traces.rate())
        }
    };
    if batch.encoded.is_empty() {
        return Ok(());
    }
    let origin = Origin {
        source: peer,
        acker,
        epoch,
        traced,
    };
    batch.meta = Some(BatchMeta::of_roots(origin, first_root, batch.encoded.len()));
    if traced > 0 {
        note(context, batch, origin, first_root);
    }
    Ok(())
}

fn note(context: &mut TaskContext, batch: &BatchWork, origin: Origin, first_root: u64) {
    let acker = origin.acker;
    let roots = first_root..first_root + batch.encoded.len() as u64;
    for root in roots.filter(|root| is_traced(origin.traced, *root)) {
        let id = context.root_id(root);
        match &batch.freshness {
            Freshness::New => context.note(id, Traced::Read { acker }),
            Freshness::Replayed { before, .. } => {
                let (before, attempt) = before[(root - first_root) as usize];
                if let Role::Input(input) = &mut context.role {
                    input.traced.remove(&before);
                }
                let before = context.root_id(before);
                context.note(before, Traced::Replaced { by: id.to_string() });
                let again = Traced::PlayedAgain {
                    before: before.to_string(),
                    attempt,
                    acker,
                };
                context.note(id, again);
            }
        }
        if let Role::Input(input) = &mut context.role {
            input.traced.insert(root);
        }
    }
}
