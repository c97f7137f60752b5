//! Tag messages: each segment that an input read becomes a root with a sequence of its own.

use crate::codec::{BatchMeta, EncodedBuilder, Origin};
use crate::task::context::{BatchWork, Freshness, Identity, Role, TaskContext};
use crate::task::exception::{Fault, Phase};

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let Identity { peer, epoch, .. } = context.identity;
    let Role::Input(input) = &context.role else {
        return Ok(());
    };
    let first_root = match batch.freshness {
        Freshness::Replayed { first_root } => first_root,
        Freshness::New => {
            // Encoded once: the pool keeps these bytes for a replay, and where no function changes
            // the segments they are what is sent.
            let mut builder = EncodedBuilder::default();
            for segment in &batch.segments {
                builder
                    .push(segment)
                    .map_err(|error| Fault::in_phase(Phase::ReadBatch, error))?;
            }
            batch.encoded = builder.finish();
            input.pending.next_root()
        }
    };
    if !batch.encoded.is_empty() {
        let origin = Origin {
            source: peer,
            acker: input.ackers.keeper(first_root),
            epoch,
        };
        batch.meta = Some(BatchMeta::of_roots(origin, first_root, batch.encoded.len()));
    }
    Ok(())
}
