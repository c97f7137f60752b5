//! One compiled expression, and its evaluation against a segment.

use super::compile::compile;
use super::convert::own;
use super::cut;
use super::eval::evaluate;
use super::failure::Failure;
use super::lower::Lowered;
use super::meter::Meter;
use super::val::{List, Map, Val};
use crate::functions::FunctionError;
use crate::nearest::listed;
use crate::segment::{Key, Segment, Value};
use std::fmt::Display;

/// Whether a text is an expression; if not, why, and at which column.
pub fn check_expression(text: &str) -> Result<(), String> {
    Program::compile(text).map(drop)
}

pub(super) struct Program {
    text: String,
    lowered: Lowered,
}

impl Program {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let lowered = compile(text)?;
        Ok(Program {
            text: text.into(),
            lowered,
        })
    }

    /// The fields that the expression may look at, if it does not take the segment as a whole.
    pub(super) fn fields(&self) -> Option<Vec<Key>> {
        self.lowered.fields.clone()
    }

    /// The value of the expression for a segment. Nothing of the segment is copied but what
    /// becomes part of the value.
    pub(super) fn evaluate(
        &self,
        segment: &Segment,
        meter: &mut Meter,
    ) -> Result<Value, FunctionError> {
        let value = evaluate(&self.lowered.node, segment, meter);
        let owned = value.and_then(|value| {
            // What was made is counted already; this would be a copy of the segment's.
            if let Val::List(List::Borrowed(_)) | Val::Map(Map::Borrowed(_)) = &value {
                let size = value.size(meter)?;
                meter.make(size.bytes)?;
            }
            own(value)
        });
        owned.map_err(|failure| self.explain(&failure, segment))
    }

    /// Whether the expression is true for a segment.
    pub(super) fn holds(
        &self,
        segment: &Segment,
        meter: &mut Meter,
    ) -> Result<bool, FunctionError> {
        match evaluate(&self.lowered.node, segment, meter) {
            Ok(Val::Bool(holds)) => Ok(holds),
            Ok(other) => {
                let kind = other.kind();
                Err(self.failed(format!("expected true or false, found {kind}")))
            }
            Err(failure) => Err(self.explain(&failure, segment)),
        }
    }

    /// The error of this expression for a reason.
    fn failed(&self, reason: impl Display) -> FunctionError {
        FunctionError::Failed(format!("`{}`: {}", self.text, cut(&reason.to_string())))
    }

    fn explain(&self, failure: &Failure, segment: &Segment) -> FunctionError {
        match failure {
            // The job has ended: its stop is no exception.
            Failure::Stopped => FunctionError::Retry(failure.to_string()),
            Failure::NoField(name) => {
                let has = match listed(segment.iter().map(|(key, _)| key.as_str())) {
                    nothing if nothing.is_empty() => "it has none".into(),
                    fields => format!("it has: {fields}"),
                };
                self.failed(format!(
                    "{failure}; {has}. `has(segment.{name})` tells whether it is there"
                ))
            }
            _ => self.failed(failure),
        }
    }
}
