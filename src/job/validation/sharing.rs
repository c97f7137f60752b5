//! Rules about how peers are shared: percentages, tags, copies of colocated jobs, and ackers.

use super::Review;
use crate::config::is_tag;
use crate::ids::TaskName;
use crate::job::place::Place;
use crate::job::{Task, TaskKind, TaskScheduler};

pub(super) fn tasks(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        percentage(review, &place, task);
        for tag in task.required_tags.iter().filter(|tag| !is_tag(tag)) {
            let message = format!(
                "{tag:?} cannot be a tag; one has 1 to 64 characters without spaces and commas"
            );
            review.report(place.clone().key("required-tags"), message);
        }
    }
}

fn percentage(review: &mut Review<'_>, place: &Place, task: &Task) {
    let by_percentage = review.job.task_scheduler == TaskScheduler::Percentage;
    let message = match (by_percentage, task.percentage) {
        (true, None) => {
            "the key is missing; with `task-scheduler: percentage` every task has one, from 0 to 100"
        }
        (false, Some(_)) => {
            "peers are shared by it only with `task-scheduler: percentage`; add that to the job, or \
             remove this"
        }
        (true, Some(_)) | (false, None) => return,
    };
    review.report(place.clone().key("percentage"), message);
}

pub(super) fn job(review: &mut Review<'_>) {
    let is_colocated = review.job.task_scheduler == TaskScheduler::Colocated;
    if is_colocated {
        copies(review);
    } else if !review.job.sends.is_default() {
        let message = "only colocated jobs keep segments to themselves; add `task-scheduler: \
                       colocated`, or remove this";
        review.report(Place::job().key("colocated-sends"), message);
    }
    ackers(review);
}

/// Each copy of a colocated job has one peer for each task, so all tasks have equally many.
fn copies(review: &mut Review<'_>) {
    let needs = review.job.catalog.iter().max_by_key(|task| task.min_peers);
    let Some(most) = needs else { return };
    for (place, task) in review.tasks() {
        let Some(max) = task.max_peers.filter(|max| *max < most.min_peers) else {
            continue;
        };
        let message = format!(
            "a colocated job has as many peers for each task; `{}` needs {}, and this task takes at \
             most {max}",
            most.name, most.min_peers
        );
        review.report(place.key("max-peers"), message);
    }
}

fn ackers(review: &mut Review<'_>) {
    let rule = &review.job.ackers;
    for name in &rule.exempt_tasks {
        if review.job.task(name).is_none() {
            let near = review.suggest_task(name.as_str());
            let message = format!("no task of the catalog is named `{name}`{near}");
            review.report(Place::job().key("acker-exempt-tasks"), message);
        }
    }
    let exempts = rule.exempt_inputs || rule.exempt_outputs || !rule.exempt_tasks.is_empty();
    if rule.percentage.is_none() && exempts {
        let message = "without it each input keeps its own ledger, and nobody can be exempt; say how \
                       many of the job's peers are ackers";
        review.report(Place::job().key("acker-percentage"), message);
    }
    let is_exempt = |task: &Task| {
        let by_kind = match task.kind {
            TaskKind::Input => rule.exempt_inputs,
            TaskKind::Function => false,
            TaskKind::Output => rule.exempt_outputs,
        };
        by_kind || rule.exempt_tasks.contains::<TaskName>(&task.name)
    };
    if exempts && !review.job.catalog.is_empty() && review.job.catalog.iter().all(is_exempt) {
        let message = "every task is exempt, so that nobody is left to keep ledgers";
        review.report(Place::job().key("acker-percentage"), message);
    }
}
