//! Functions: what a task applies to each segment. A name leads to a factory, a factory makes the
//! function of one task on one peer.

pub mod expr;
mod registry;
mod task_function;

pub use expr::check_expression;
pub use registry::{FunctionEntry, FunctionRegistry};
pub use task_function::TaskFunction;
pub(crate) use task_function::{Application, NotTested};

use crate::ids::TaskName;
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Makes the function of a task from its catalog keys. An error is a message for people; it is
/// given at submission, not when the task starts.
pub type FunctionFactory =
    Arc<dyn Fn(&FunctionContext<'_>) -> Result<TaskFunction, String> + Send + Sync>;

/// What a factory may look at.
#[derive(Clone, Copy, Debug)]
pub struct FunctionContext<'a> {
    /// The task the function is for.
    pub task: &'a TaskName,
    /// The catalog keys that are the function's own.
    pub params: &'a Segment,
    /// Set when the job has ended, its node stops, or the task was abandoned: a function that works for
    /// long on one segment keeps a clone and gives up when it is set.
    pub stop: &'a StopFlag,
}

/// Why a function did not do its work on a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// It failed; `handle-exception` of the task's lifecycles decides, and kills the job when
    /// nobody does.
    Failed(String),
    /// The root of the segment shall be played again from the input.
    Retry(String),
}

impl FunctionError {
    fn of<E: fmt::Display + 'static>(error: &E) -> Self {
        match (error as &dyn Any).downcast_ref::<FunctionError>() {
            Some(known) => known.clone(),
            None => FunctionError::Failed(error.to_string()),
        }
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FunctionError::Failed(message) | FunctionError::Retry(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for FunctionError {}

/// What a user's closure may return: nothing, one segment, many, or an error instead. Any error fails
/// with its text; a [`FunctionError`] says itself what is to be done.
pub trait Emits {
    /// Pushes what there is.
    fn emit(self, out: &mut Vec<Segment>) -> Result<(), FunctionError>;
}

impl Emits for Segment {
    fn emit(self, out: &mut Vec<Segment>) -> Result<(), FunctionError> {
        out.push(self);
        Ok(())
    }
}

impl Emits for Option<Segment> {
    fn emit(self, out: &mut Vec<Segment>) -> Result<(), FunctionError> {
        out.extend(self);
        Ok(())
    }
}

impl Emits for Vec<Segment> {
    fn emit(self, out: &mut Vec<Segment>) -> Result<(), FunctionError> {
        out.extend(self);
        Ok(())
    }
}

impl<T: Emits, E: fmt::Display + 'static> Emits for Result<T, E> {
    fn emit(self, out: &mut Vec<Segment>) -> Result<(), FunctionError> {
        match self {
            Ok(value) => value.emit(out),
            Err(error) => Err(FunctionError::of(&error)),
        }
    }
}
