//! Rules about the workflow: its edges join tasks of the catalog, all of them, without a cycle.

use super::{EDGES_MAX, Review};
use crate::ids::TaskName;
use crate::job::graph;
use crate::job::place::Place;
use std::collections::BTreeSet;

pub(super) fn check(review: &mut Review<'_>) {
    let edges = review.job.workflow.len();
    if edges == 0 {
        let message = "there are no edges; write them as `- [from, to]`";
        return review.report(Place::job().key("workflow"), message);
    }
    if edges > EDGES_MAX {
        let message = format!("{edges} edges; a job may have at most {EDGES_MAX}");
        return review.report(Place::job().key("workflow"), message);
    }
    each_edge(review);
    each_task_has_one(review);
    if let Some(cycle) = graph::cycle(review.job) {
        report_cycle(review, &cycle);
    }
}

fn each_edge(review: &mut Review<'_>) {
    let names: BTreeSet<&TaskName> = review.job.catalog.iter().map(|task| &task.name).collect();
    let mut unknown = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (index, edge) in review.job.workflow.iter().enumerate() {
        let (from, to) = edge;
        for name in [from, to] {
            if !names.contains(name) && unknown.insert(name) {
                let near = review.suggest_task(name.as_str());
                let message = format!("no task of the catalog is named `{name}`{near}");
                review.report(Place::edge(index), message);
            }
        }
        if from == to {
            review.report(
                Place::edge(index),
                format!("`{from}` cannot send to itself"),
            );
        } else if !seen.insert(edge) {
            let message = format!("the edge from `{from}` to `{to}` is listed twice");
            review.report(Place::edge(index), message);
        }
    }
}

fn each_task_has_one(review: &mut Review<'_>) {
    let ends = review.job.workflow.iter().flat_map(|(from, to)| [from, to]);
    let joined: BTreeSet<&TaskName> = ends.collect();
    for (place, task) in review.tasks() {
        if !joined.contains(&task.name) {
            review.report(
                place,
                "no edge of the workflow names this task; add one or remove it",
            );
        }
    }
}

fn report_cycle(review: &mut Review<'_>, cycle: &[TaskName]) {
    // An edge of a task to itself has been reported.
    let [first, second, ..] = cycle else { return };
    let mut round: Vec<&str> = cycle.iter().map(TaskName::as_str).collect();
    round.push(first.as_str());
    let closes = |(from, to): &(TaskName, TaskName)| from == first && to == second;
    let place = review
        .job
        .workflow
        .iter()
        .position(closes)
        .map_or_else(Place::job, Place::edge);
    let round = round.join(" → ");
    review.report(
        place,
        format!("the workflow has a cycle: {round}; segments must come to an end"),
    );
}
