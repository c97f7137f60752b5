//! Whether a job can run: every rule is looked at and every violation reported, at the place where
//! somebody has to change something.
//!
//! What a higher layer or the disk must answer comes in through [`Checks`]; the rules are pure.

mod clashes;
pub mod disk;
mod edges;
mod flux;
mod names;
mod params;
mod peers;
mod roles;
mod sharing;
mod timing;
mod words;

use crate::job::place::Place;
use crate::job::vocabulary::{PluginSignature, Signature, Vocabulary};
use crate::job::{Job, Task};
use crate::nearest::suggestion;
use std::fmt;
use std::path::{Path, PathBuf};

/// Tasks of a job, beyond which it is refused.
pub const TASKS_MAX: usize = 1_000;

/// Edges of a job, beyond which it is refused.
pub const EDGES_MAX: usize = 10_000;

/// One thing that is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where.
    pub place: Place,
    /// What is wrong, what was expected, and what to do.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::job() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)
    }
}

/// What validation asks others. Each answers with a message for people when the answer is no.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Whether an expression compiles.
    pub expression: &'a dyn Fn(&str) -> Result<(), String>,
    /// Whether the function of a task can be made. Asked once everything else about the task is
    /// right.
    pub function: &'a dyn Fn(&Task) -> Result<(), String>,
    /// The files that a path means: itself, those in a folder, those that match a pattern.
    pub files: &'a dyn Fn(&Path) -> Result<Vec<PathBuf>, String>,
    /// What a file is called that may have several names; none when that cannot be told.
    pub identity: &'a dyn Fn(&Path) -> Option<String>,
    /// Whether a file can be read.
    pub readable: &'a dyn Fn(&Path) -> Result<(), String>,
    /// Whether a file can be written.
    pub writable: &'a dyn Fn(&Path) -> Result<(), String>,
}

impl Checks<'static> {
    /// Says yes to everything: what remains are the rules that need nothing but the job.
    pub const NONE: Checks<'static> = Checks {
        expression: &|_| Ok(()),
        function: &|_| Ok(()),
        files: &|path| Ok(vec![path.into()]),
        identity: &|_| None,
        readable: &|_| Ok(()),
        writable: &|_| Ok(()),
    };
}

impl fmt::Debug for Checks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checks")
    }
}

/// A job that passed every rule, with what follows from its plugins filled in; or all violations.
pub fn accept(
    mut job: Job,
    vocabulary: &Vocabulary,
    checks: &Checks<'_>,
) -> Result<Job, Vec<Violation>> {
    complete(&mut job, vocabulary);
    let violations = validate(&job, vocabulary, checks);
    if violations.is_empty() {
        Ok(job)
    } else {
        Err(violations)
    }
}

/// Fills in what a job leaves to its plugins: the most peers of inputs and outputs.
pub fn complete(job: &mut Job, vocabulary: &Vocabulary) {
    for task in &mut job.catalog {
        peers::complete(task, vocabulary);
    }
}

/// Every violation of a completed job.
pub fn validate(job: &Job, vocabulary: &Vocabulary, checks: &Checks<'_>) -> Vec<Violation> {
    review(
        job,
        vocabulary,
        checks,
        &[WHOLE_JOB_RULES, TASK_RULES].concat(),
    )
}

/// Every violation that can be told although some tasks could not be read.
pub(super) fn validate_tasks(
    job: &Job,
    vocabulary: &Vocabulary,
    checks: &Checks<'_>,
) -> Vec<Violation> {
    review(job, vocabulary, checks, TASK_RULES)
}

type Rule = fn(&mut Review<'_>);

/// Rules about how tasks fit together.
const WHOLE_JOB_RULES: &[Rule] = &[
    names::job,
    edges::check,
    roles::check,
    clashes::check,
    words::lifecycles,
    sharing::job,
];

/// Rules about one task at a time. The last asks the function itself, if nothing was wrong so far.
const TASK_RULES: &[Rule] = &[
    names::tasks,
    words::tasks,
    peers::check,
    sharing::tasks,
    flux::check,
    timing::check,
    params::check,
    params::functions,
];

/// A validation under way.
struct Review<'a> {
    job: &'a Job,
    vocabulary: &'a Vocabulary,
    checks: &'a Checks<'a>,
    violations: Vec<Violation>,
}

fn review(
    job: &Job,
    vocabulary: &Vocabulary,
    checks: &Checks<'_>,
    rules: &[Rule],
) -> Vec<Violation> {
    let violations = Vec::new();
    let mut review = Review {
        job,
        vocabulary,
        checks,
        violations,
    };
    for rule in rules {
        rule(&mut review);
    }
    review.violations
}

impl<'a> Review<'a> {
    fn report(&mut self, place: Place, message: impl Into<String>) {
        let message = message.into();
        self.violations.push(Violation { place, message });
    }

    fn tasks(&self) -> impl Iterator<Item = (Place, &'a Task)> + use<'a> {
        self.job
            .catalog
            .iter()
            .enumerate()
            .map(|(index, task)| (Place::task(index, task), task))
    }

    fn suggest_task(&self, name: &str) -> String {
        suggestion(name, self.job.catalog.iter().map(|task| task.name.as_str()))
    }

    /// The plugin of a task, if it serves tasks of that type.
    fn plugin(&self, task: &Task) -> Option<&'a PluginSignature> {
        let plugin = self.vocabulary.plugins.get(task.plugin.as_deref()?)?;
        (plugin.kind == task.kind).then_some(plugin)
    }

    fn function(&self, task: &Task) -> Option<&'a Signature> {
        self.vocabulary.functions.get(task.function.as_deref()?)
    }
}
