//! Build new segments: every new segment gets a row for each downstream task, with the root of the
//! segment it was made from and an ack value of its own.

use crate::codec::{BatchMeta, Children, EncodedBuilder};
use crate::task::context::{BatchWork, Made, TaskContext};
use crate::task::exception::{Fault, Phase};
use rand::RngExt;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let routes = context.outbound.routes();
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    if routes == 0 {
        return Ok(());
    }
    if let Made::New { segments, .. } = &batch.made {
        let mut builder = EncodedBuilder::default();
        for segment in segments {
            builder
                .push(segment)
                .map_err(|error| Fault::in_phase(Phase::BuildNewSegments, error))?;
        }
        batch.encoded = builder.finish();
    }
    let draws = &mut context.draws;
    batch.children = (0..routes)
        .map(|_| {
            let mut children = Children::of(meta);
            match &batch.made {
                Made::Untouched => {
                    (0..meta.len()).for_each(|parent| children.push(parent, draws.random()));
                }
                Made::New { parents, .. } => {
                    parents
                        .iter()
                        .for_each(|&parent| children.push(parent as usize, draws.random()));
                }
            }
            children.finish()
        })
        .collect::<Vec<BatchMeta>>();
    Ok(())
}
