//! Ack messages: what was received and what was sent on, combined by XOR, for the ackers.
//!
//! An output comes here after its medium took the segments, so that nothing is acknowledged that
//! sits in a buffer of ours.

use crate::acking::Fuse;
use crate::task::context::{BatchWork, Made, Role, TaskContext};
use crate::task::exception::Fault;
use crate::task::traces::Traced;

pub(super) fn run(context: &mut TaskContext, batch: &mut BatchWork) -> Result<(), Fault> {
    let Some(meta) = &batch.meta else {
        return Ok(());
    };
    let mut fuse = Fuse::of(meta);
    for children in &batch.children {
        for (index, draw) in children.ack_values().iter().enumerate() {
            fuse.child(batch.made.parent_of(index), *draw);
        }
    }
    if matches!(context.role, Role::Output(_)) {
        match &batch.made {
            Made::Untouched => fuse.wrote_all(),
            Made::New { parents } => {
                parents
                    .iter()
                    .for_each(|&parent| fuse.wrote(parent as usize));
            }
        }
    }
    for given in &batch.given_back {
        fuse.withhold(given.index);
    }
    context.note_rows(meta, |index| {
        let is_back = batch.given_back.iter().any(|given| given.index == index);
        (!is_back && !batch.made.stems_from(index)).then_some(Traced::Filtered)
    });
    context.acks.add(fuse.finish());
    Ok(())
}
