//! Build new segments: every new segment gets a row for each downstream task, with the root of the
//! segment it was made from and an ack value of its own.
//!
//! A segment that no frame can hold would wait to be sent for ever, and be made again after every
//! time-out. It is left out here, and its root goes to the dead letters.

use crate::acking::Cause;
use crate::codec::{BatchMeta, Children, EncodedBuilder};
use crate::task::context::{BatchWork, GivenBack, Made, TaskContext};
use crate::task::counters::Count;
use crate::task::exception::{Fault, Phase};
use rand::RngExt;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let routes = context.outbound.routes();
    if routes == 0 || batch.meta.is_none() {
        return Ok(());
    }
    leave_out_oversized(context, batch)?;
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    let draws = &mut context.draws;
    batch.children = (0..routes)
        .map(|_| {
            let mut children = Children::of(meta);
            for index in 0..batch.encoded.len() {
                children.push(batch.made.parent_of(index), draws.random());
            }
            children.finish()
        })
        .collect::<Vec<BatchMeta>>();
    Ok(())
}

fn leave_out_oversized(context: &TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let bytes_max = context.outbound.segment_bytes_max();
    if batch.encoded.byte_len() <= bytes_max {
        return Ok(());
    }
    let task = &context.identity.task.name;
    let (mut parents, mut builder) = (Vec::new(), EncodedBuilder::default());
    let mut left_out = 0;
    for (index, raw) in batch.encoded.iter().enumerate() {
        let parent = batch.made.parent_of(index);
        if raw.len() <= bytes_max {
            builder
                .push_raw(raw)
                .map_err(|error| Fault::in_phase(Phase::BuildNewSegments, error))?;
            parents.push(parent as u32);
            continue;
        }
        left_out += 1;
        let reason = format!(
            "a segment of task `{task}` has {} bytes encoded, and the transport carries at most \
             {bytes_max}: make it smaller, or messaging.term-bytes larger",
            raw.len()
        );
        tracing::error!(job = %context.identity.job, %task, reason, "a segment cannot be sent; its root fails");
        batch.given_back.push(GivenBack {
            index: parent,
            cause: Cause::Failed,
            reason,
        });
    }
    if left_out > 0 {
        context.counters.add(Count::Oversized, left_out);
        batch.encoded = builder.finish();
        batch.made = Made::New { parents };
    }
    Ok(())
}
