//! Where in a job something is: the path of keys that people see and a file resolves to a line.

use crate::ids::TaskName;
use crate::job::Task;
use std::fmt;

/// A path from the job to one of its parts. Prints as `catalog.keep-late.where`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list.
    Index(usize),
    /// Into the catalog, by position because names may repeat while a job is wrong.
    Task {
        /// The position in the catalog.
        index: usize,
        /// What to call it.
        name: TaskName,
    },
}

impl Place {
    /// The job as a whole.
    pub fn job() -> Self {
        Place::default()
    }

    /// A task of the catalog.
    pub fn task(index: usize, task: &Task) -> Self {
        Place::named_task(index, task.name.clone())
    }

    /// A task of the catalog, by its name.
    pub fn named_task(index: usize, name: TaskName) -> Self {
        Place::job().key("catalog").then(Step::Task { index, name })
    }

    /// An edge of the workflow.
    pub fn edge(index: usize) -> Self {
        Place::job().key("workflow").index(index)
    }

    /// A lifecycle entry.
    pub fn lifecycle(index: usize) -> Self {
        Place::job().key("lifecycles").index(index)
    }

    /// The value of a key in the table at this place.
    pub fn key(self, key: &str) -> Self {
        self.then(Step::Key(key.into()))
    }

    /// An item of the list at this place.
    pub fn index(self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The steps from the job on.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether the other place is this one or inside it.
    pub fn contains(&self, other: &Place) -> bool {
        other.0.starts_with(&self.0)
    }

    fn then(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            let dot = if depth == 0 { "" } else { "." };
            match step {
                Step::Key(key) => write!(f, "{dot}{key}")?,
                Step::Task { name, .. } if is_readable(name) => write!(f, "{dot}{name}")?,
                Step::Task { index, .. } | Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a task is better called by its name than by its position.
fn is_readable(name: &TaskName) -> bool {
    let name = name.as_str();
    !name.trim().is_empty() && name.len() <= 128 && !name.contains(char::is_control)
}
