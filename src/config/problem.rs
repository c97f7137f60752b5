//! What is wrong with a configuration: all of it, one line for each thing.

use std::fmt;
use std::io;

/// Every problem of a configuration, in the order of the file, then those of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the value was given.
    pub place: Place,
    /// The option, as `http.port`; the variable, when that is where it was given.
    pub name: Option<String>,
    /// What is wrong, what was expected, what to do.
    pub message: String,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nowhere in particular in a file.
    File(String),
    /// A line of a file, from 1.
    Line(String, usize),
    /// A variable of the environment.
    Environment,
}

impl ConfigError {
    /// Orders the problems.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| (&one.place, &one.name).cmp(&(&other.place, &other.name)));
        ConfigError { problems }
    }

    /// The file cannot be read.
    pub(super) fn unreadable(source: &str, error: &io::Error) -> Self {
        ConfigError::new(vec![Problem {
            place: Place::File(source.into()),
            name: None,
            message: format!("cannot read the configuration: {error}"),
        }])
    }

    /// The problems; there is at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(file) => f.write_str(file),
            Place::Line(file, line) => write!(f, "{file}:{line}"),
            Place::Environment => f.write_str("environment"),
        }
    }
}
