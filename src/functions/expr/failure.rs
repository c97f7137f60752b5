//! Why an expression has no value for a segment.

use super::meter::{MAX_RESULT_BYTES, MAX_STEPS};
use crate::segment::Key;
use std::fmt;

/// Why an expression has no value.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// An operation does not apply to its operands.
    Wrong(String),
    /// The segment has no such field.
    NoField(Key),
    /// It takes more steps than this for one segment.
    TooManySteps(u64),
    /// It makes more bytes than this for one segment.
    TooManyBytes(u64),
    /// The job has ended meanwhile.
    Stopped,
}

impl Failure {
    pub(super) fn wrong(reason: impl Into<String>) -> Self {
        Failure::Wrong(reason.into())
    }

    /// Whether `||`, `&&` and macros may pass over it, as in `true || 1 / 0 == 1`. They never pass
    /// over a bound.
    pub(super) fn is_of_operation(&self) -> bool {
        matches!(self, Failure::Wrong(_) | Failure::NoField(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Wrong(reason) => f.write_str(reason),
            Failure::NoField(name) => write!(f, "the segment has no field `{name}`"),
            Failure::TooManySteps(most) => write!(
                f,
                "more than {most} steps for one segment; make the expressions of the task cheaper, or raise its `{MAX_STEPS}`"
            ),
            Failure::TooManyBytes(most) => write!(
                f,
                "its values come to more than {most} bytes for one segment; make them smaller, or raise the task's `{MAX_RESULT_BYTES}`"
            ),
            Failure::Stopped => f.write_str("the job has ended, so the expression was stopped"),
        }
    }
}
