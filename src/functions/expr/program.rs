//! One compiled expression, and its evaluation against a segment.

use super::compile::compile;
use super::convert::{borrow, borrow_map, own};
use super::cut;
use crate::functions::FunctionError;
use crate::nearest::listed;
use crate::segment::{Key, Segment, Value};
use cel::common::types::CelMap;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, ExecutionError};
use std::fmt::Display;
use std::sync::OnceLock;

/// The name under which an expression sees the whole segment.
const SEGMENT: &str = "segment";

/// Whether a text is an expression; if not, why, and at which column.
pub fn check_expression(text: &str) -> Result<(), String> {
    Program::compile(text).map(drop)
}

pub(super) struct Program {
    text: String,
    compiled: cel::Program,
}

impl Program {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let compiled = compile(text)?;
        Ok(Program {
            text: text.into(),
            compiled,
        })
    }

    /// The fields that the expression may look at, if it does not take the segment as a whole.
    pub(super) fn fields(&self) -> Option<Vec<Key>> {
        let references = self.compiled.references();
        let mut names = references.variables();
        names.sort_unstable();
        let takes_the_whole = names.contains(&SEGMENT);
        (!takes_the_whole).then(|| names.into_iter().map(Key::from).collect())
    }

    /// The value of the expression for a segment. Nothing of the segment is copied but what
    /// becomes part of the value, and the maps and lists that the expression names.
    pub(super) fn evaluate(
        &self,
        root: &Context<'_, '_>,
        segment: &Segment,
    ) -> Result<Value, FunctionError> {
        let fields = Fields {
            segment,
            whole: OnceLock::new(),
        };
        let mut scope = root.new_inner_scope();
        scope.set_variable_resolver(&fields);
        let value = cel::Value::resolve_val(self.compiled.expression(), &scope);
        match value {
            Ok(value) => own(value.as_ref()).map_err(|reason| self.failed(reason)),
            Err(error) => Err(self.explain(&error, segment)),
        }
    }

    /// The error of this expression for a reason.
    pub(super) fn failed(&self, reason: impl Display) -> FunctionError {
        FunctionError::Failed(format!("`{}`: {}", self.text, cut(&reason.to_string())))
    }

    fn explain(&self, error: &ExecutionError, segment: &Segment) -> FunctionError {
        let ExecutionError::UndeclaredReference(name) = error else {
            return self.failed(reason(error));
        };
        let has = match listed(segment.iter().map(|(key, _)| key.as_str())) {
            nothing if nothing.is_empty() => "it has none".into(),
            fields => format!("it has: {fields}"),
        };
        self.failed(format!(
            "the segment has no field `{name}`; {has}. `has(segment.{name})` tells whether it is there"
        ))
    }
}

/// Why an evaluation failed, in the words of segments.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            let (one, other) = (one.type_of(), other.type_of());
            format!("`{operator}` does not take {one} and {other}")
        }
        ExecutionError::ValuesNotComparable(one, other) => {
            format!(
                "{} and {} cannot be compared",
                one.type_of(),
                other.type_of()
            )
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".into()
        }
        ExecutionError::Overflow(operator, ..) => format!("`{operator}` overflows"),
        ExecutionError::NoSuchKey(key) => format!("there is no key `{key}`"),
        ExecutionError::NoSuchOverload(error) => {
            let types = error.argument_types().join(" and ");
            // Operators are called `_<_`.
            let function = error.function().trim_matches('_');
            format!("`{function}` does not take {types}")
        }
        other => other.to_string(),
    }
}

/// The variables of an expression are the fields of the segment.
struct Fields<'s> {
    segment: &'s Segment,
    /// The segment as a map, once an expression has asked for it.
    whole: OnceLock<CelMap<'s>>,
}

impl VariableResolver for Fields<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if variable == SEGMENT {
            let whole = self.whole.get_or_init(|| borrow_map(self.segment));
            return Some(CowVal::Borrowed(whole));
        }
        self.segment
            .get(variable)
            .map(|value| CowVal::Owned(borrow(value)))
    }
}
