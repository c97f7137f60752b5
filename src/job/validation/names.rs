//! Rules about names: of the job, and of its tasks.

use super::{Review, TASKS_MAX};
use crate::job::place::Place;
use std::collections::BTreeMap;

const NAME_BYTES_MAX: usize = 128;

/// Names that mean something else where a task could be named.
const RESERVED: [&str; 2] = ["all", "none"];

pub(super) fn job(review: &mut Review<'_>) {
    if let Err(message) = printable(&review.job.name) {
        review.report(Place::job().key("name"), message);
    }
    let tasks = review.job.catalog.len();
    if tasks == 0 {
        review.report(
            Place::job().key("catalog"),
            "there are no tasks; list at least two",
        );
    }
    if tasks > TASKS_MAX {
        let message = format!("{tasks} tasks; a job may have at most {TASKS_MAX}");
        review.report(Place::job().key("catalog"), message);
    }
}

pub(super) fn tasks(review: &mut Review<'_>) {
    let mut seen = BTreeMap::new();
    for (place, task) in review.tasks() {
        let name = task.name.as_str();
        if let Err(message) = task_name(name) {
            review.report(place.clone().key("name"), message);
        } else if let Some(first) = seen.insert(name, place.clone()) {
            review.report(
                place.key("name"),
                format!("there is another task named `{name}`"),
            );
            seen.insert(name, first);
        }
    }
}

fn task_name(name: &str) -> Result<(), String> {
    printable(name)?;
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{name}` means {name} of the tasks; choose another name"
        ));
    }
    if name.contains('/') {
        return Err(format!(
            "`{name}` contains `/`, which separates names; use `-` instead"
        ));
    }
    Ok(())
}

fn printable(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("the name is empty".into());
    }
    if name.len() > NAME_BYTES_MAX {
        let bytes = name.len();
        return Err(format!(
            "the name has {bytes} bytes; at most {NAME_BYTES_MAX} are allowed"
        ));
    }
    match name.chars().find(|letter| letter.is_control()) {
        Some(letter) => Err(format!(
            "the name contains {letter:?}, which cannot be printed"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_as_long_as_it_may_be_and_no_longer() {
        assert_eq!(printable(&"n".repeat(NAME_BYTES_MAX)), Ok(()));
        let refused = printable(&"n".repeat(NAME_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(refused, "the name has 129 bytes; at most 128 are allowed");
        assert_eq!(printable(" ").unwrap_err(), "the name is empty");
        let refused = printable("a\tb").unwrap_err();
        assert_eq!(refused, "the name contains '\\t', which cannot be printed");
    }
}
