//! What is wrong with a job file, in the form in which people read it.

use super::tree::Position;
use crate::job::place::Place;
use std::fmt;

/// One thing to change. Prints as `job.yaml:12:5: catalog.derive.wher: unknown key; …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the option that was given.
    pub source: String,
    /// Where in the file, when it is known.
    pub position: Option<Position>,
    /// Where in the job.
    pub place: Place,
    /// What is wrong, what was expected, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if self.place != Place::job() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}
