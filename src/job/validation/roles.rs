//! Rules about what tasks do in the workflow: inputs begin it, outputs end it, functions are
//! between.

use super::Review;
use crate::ids::TaskName;
use crate::job::TaskKind;
use crate::job::place::Place;
use std::collections::BTreeSet;

pub(super) fn check(review: &mut Review<'_>) {
    at_least_one(review, TaskKind::Input, "nothing would be read");
    at_least_one(review, TaskKind::Output, "nothing would be written");
    no_edge_into_inputs_or_out_of_outputs(review);
    nothing_hangs(review);
}

fn at_least_one(review: &mut Review<'_>, kind: TaskKind, consequence: &str) {
    let catalog = &review.job.catalog;
    if catalog.is_empty() || catalog.iter().any(|task| task.kind == kind) {
        return;
    }
    let kind = kind.as_str();
    let message = format!("no task is of type `{kind}`, so {consequence}; add one");
    review.report(Place::job().key("catalog"), message);
}

fn no_edge_into_inputs_or_out_of_outputs(review: &mut Review<'_>) {
    let of_kind = |kind| -> BTreeSet<&TaskName> {
        let tasks = review.job.catalog.iter().filter(|task| task.kind == kind);
        tasks.map(|task| &task.name).collect()
    };
    let (inputs, outputs) = (of_kind(TaskKind::Input), of_kind(TaskKind::Output));
    for (index, (from, to)) in review.job.workflow.iter().enumerate() {
        if inputs.contains(to) {
            let message = format!("`{to}` is an input, and nothing can be sent to an input");
            review.report(Place::edge(index), message);
        }
        if outputs.contains(from) {
            let message = format!("`{from}` is an output, and an output sends to nobody");
            review.report(Place::edge(index), message);
        }
    }
}

/// A task without any edge is reported with the edges.
fn nothing_hangs(review: &mut Review<'_>) {
    let workflow = &review.job.workflow;
    let sending: BTreeSet<&TaskName> = workflow.iter().map(|(from, _)| from).collect();
    let receiving: BTreeSet<&TaskName> = workflow.iter().map(|(_, to)| to).collect();
    for (place, task) in review.tasks() {
        let (sends, receives) = (sending.contains(&task.name), receiving.contains(&task.name));
        let kind = task.kind.as_str();
        if receives && !sends && task.kind != TaskKind::Output {
            let message = format!("this {kind} sends to nobody; add an edge from it");
            review.report(place, message);
        } else if sends && !receives && task.kind != TaskKind::Input {
            let message = format!("nobody sends to this {kind}; add an edge to it");
            review.report(place, message);
        }
    }
}
