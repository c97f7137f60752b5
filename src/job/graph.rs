//! The workflow as a graph: who is upstream and downstream, in what order, and whether it is
//! acyclic. Edges to names that are not in the catalog are left out.

use crate::ids::TaskName;
use crate::job::Job;
use std::collections::{BTreeMap, BTreeSet};

/// The tasks so that each comes after everything upstream of it; of two that may both be next, the
/// one declared first. Tasks on a cycle, and those behind one, are left out: a job that passed
/// validation has none.
pub fn topological(job: &Job) -> Vec<TaskName> {
    let (order, _) = sorted(job);
    order
        .into_iter()
        .map(|at| job.catalog[at].name.clone())
        .collect()
}

/// The tasks that send to a task, in the order of the catalog.
pub fn upstream<'a>(job: &'a Job, task: &TaskName) -> Vec<&'a TaskName> {
    neighbours(job, |(from, to)| (to == task).then_some(from))
}

/// The tasks that a task sends to, in the order of the catalog.
pub fn downstream<'a>(job: &'a Job, task: &TaskName) -> Vec<&'a TaskName> {
    neighbours(job, |(from, to)| (from == task).then_some(to))
}

/// The tasks of one cycle, each before the one it sends to; none when the workflow is acyclic.
pub fn cycle(job: &Job) -> Option<Vec<TaskName>> {
    let (_, waiting) = sorted(job);
    let edges = edges(job);
    // Every task that waits for ever waits for another such task, so walking upstream among them
    // must come back to one that was passed.
    let mut at = *waiting.first()?;
    let mut passed: Vec<usize> = Vec::new();
    while !passed.contains(&at) {
        passed.push(at);
        at = *edges
            .iter()
            .find(|(from, to)| *to == at && waiting.contains(from))
            .map(|(from, _)| from)?;
    }
    let start = passed.iter().position(|task| *task == at)?;
    let mut cycle: Vec<usize> = passed[start..].iter().rev().copied().collect();
    let first = cycle
        .iter()
        .position(|task| Some(task) == cycle.iter().min())?;
    cycle.rotate_left(first);
    Some(
        cycle
            .into_iter()
            .map(|task| job.catalog[task].name.clone())
            .collect(),
    )
}

fn neighbours<'a>(
    job: &'a Job,
    other_end: impl Fn(&'a (TaskName, TaskName)) -> Option<&'a TaskName>,
) -> Vec<&'a TaskName> {
    let names: BTreeSet<&TaskName> = job.workflow.iter().filter_map(other_end).collect();
    let tasks = job.catalog.iter().map(|task| &task.name);
    tasks.filter(|name| names.contains(name)).collect()
}

/// Kahn's algorithm over positions in the catalog: the order, and what never became ready.
fn sorted(job: &Job) -> (Vec<usize>, BTreeSet<usize>) {
    let edges = edges(job);
    let mut unmet = vec![0_usize; job.catalog.len()];
    for (_, to) in &edges {
        unmet[*to] += 1;
    }
    let mut waiting: BTreeSet<usize> = (0..job.catalog.len()).collect();
    let mut ready: BTreeSet<usize> = waiting
        .iter()
        .copied()
        .filter(|at| unmet[*at] == 0)
        .collect();
    let mut order = Vec::with_capacity(job.catalog.len());
    while let Some(task) = ready.pop_first() {
        order.push(task);
        waiting.remove(&task);
        for (_, to) in edges.range((task, 0)..=(task, usize::MAX)) {
            unmet[*to] -= 1;
            if unmet[*to] == 0 {
                ready.insert(*to);
            }
        }
    }
    (order, waiting)
}

/// The edges between positions in the catalog; a repeated edge counts once.
fn edges(job: &Job) -> BTreeSet<(usize, usize)> {
    let catalog = job.catalog.iter().enumerate().rev();
    let positions: BTreeMap<&TaskName, usize> =
        catalog.map(|(at, task)| (&task.name, at)).collect();
    let position = |name| positions.get(name).copied();
    job.workflow
        .iter()
        .filter_map(|(from, to)| Some((position(from)?, position(to)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Task, TaskKind};

    fn job(tasks: &[&str], edges: &[(&str, &str)]) -> Job {
        Job {
            name: "test".into(),
            workflow: edges
                .iter()
                .map(|(from, to)| ((*from).into(), (*to).into()))
                .collect(),
            catalog: tasks
                .iter()
                .map(|name| Task::new(*name, TaskKind::Function))
                .collect(),
            ..Job::new("", [], [])
        }
    }

    fn texts(names: &[TaskName]) -> Vec<&str> {
        names.iter().map(TaskName::as_str).collect()
    }

    #[test]
    fn each_task_comes_after_what_is_upstream_and_ties_go_to_the_catalog() {
        let job = job(&["z", "b", "a", "m"], &[("a", "z"), ("m", "b"), ("b", "z")]);
        assert_eq!(texts(&topological(&job)), ["a", "m", "b", "z"]);
    }

    #[test]
    fn neighbours_come_in_the_order_of_the_catalog() {
        let job = job(&["a", "b", "c"], &[("c", "b"), ("a", "b"), ("a", "c")]);
        assert_eq!(
            upstream(&job, &"b".into()),
            [&TaskName::from("a"), &"c".into()]
        );
        assert_eq!(
            downstream(&job, &"a".into()),
            [&TaskName::from("b"), &"c".into()]
        );
    }

    #[test]
    fn a_cycle_is_named_in_the_direction_of_its_edges() {
        let edges = [
            ("in", "a"),
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "out"),
        ];
        let job = job(&["in", "out", "c", "b", "a"], &edges);
        assert_eq!(cycle(&job).as_deref().map(texts), Some(vec!["c", "a", "b"]));
        assert_eq!(texts(&topological(&job)), ["in"]);
    }

    #[test]
    fn an_unknown_name_and_a_repeated_edge_do_no_harm() {
        let job = job(&["a", "b"], &[("a", "b"), ("a", "b"), ("a", "ghost")]);
        assert_eq!(texts(&topological(&job)), ["a", "b"]);
        assert_eq!(cycle(&job), None);
    }
}
