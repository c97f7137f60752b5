//! One compiled expression, and its evaluation against a segment.

use super::convert::{borrow, borrow_map, own};
use crate::functions::FunctionError;
use crate::job::nearest::listed;
use crate::segment::{Segment, Value};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, extensions};
use std::fmt::Display;
use std::sync::{Arc, LazyLock};

/// Bytes of an expression, beyond which it is refused.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// Bytes of an error's text, beyond which it is cut; it may quote values of the data.
const ERROR_BYTES_MAX: usize = 300;

/// The name under which an expression sees the whole segment.
const SEGMENT: &str = "segment";

/// The language of every expression: the standard library, and what can be said about strings,
/// lists, numbers and base64.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(true);
    let added = [
        env.add_extension(extensions::strings),
        env.add_extension(extensions::lists),
        env.add_extension(extensions::math),
        env.add_extension(extensions::encoders),
    ];
    debug_assert!(
        added.iter().all(Result::is_ok),
        "extensions do not overlap: {added:?}"
    );
    Arc::new(env)
});

/// The parts of evaluation that do not depend on the segment, made once per task.
pub(super) fn root() -> Context<'static, 'static> {
    Context::with_env(Arc::clone(&LANGUAGE))
}

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
        if text.len() > EXPRESSION_BYTES_MAX {
            let bytes = text.len();
            return Err(format!(
                "an expression of {bytes} bytes; at most {EXPRESSION_BYTES_MAX} are allowed"
            ));
        }
        let compiled = LANGUAGE.compile(text).map_err(|errors| {
            let first = errors.errors.into_iter().next();
            first.map_or_else(
                || not_an_expression(text, "it is empty"),
                |error| {
                    let (line, column) = error.pos;
                    let on_line = if line > 1 {
                        format!(" of line {line}")
                    } else {
                        String::new()
                    };
                    let at = format!("at column {column}{on_line}: {}", error.msg);
                    not_an_expression(text, &at)
                },
            )
        })?;
        if let Some(function) = unknown_function(&compiled) {
            return Err(not_an_expression(
                text,
                &format!("there is no function `{function}`"),
            ));
        }
        Ok(Program {
            text: text.into(),
            compiled,
        })
    }

    /// The value of the expression for a segment. Nothing of the segment is copied but what
    /// becomes part of the value, and the maps and lists that the expression names.
    pub(super) fn evaluate(
        &self,
        root: &Context<'_, '_>,
        segment: &Segment,
    ) -> Result<Value, FunctionError> {
        let fields = Fields(segment);
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
        FunctionError::Failed(format!("`{}`: {}", self.text, cut(reason.to_string())))
    }

    fn explain(&self, error: &ExecutionError, segment: &Segment) -> FunctionError {
        let ExecutionError::UndeclaredReference(name) = error else {
            return self.failed(error);
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

/// The variables of an expression are the fields of the segment.
struct Fields<'s>(&'s Segment);

impl VariableResolver for Fields<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if variable == SEGMENT {
            return Some(CowVal::owned(borrow_map(self.0)));
        }
        self.0
            .get(variable)
            .map(|value| CowVal::Owned(borrow(value)))
    }
}

/// The first function that an expression calls and the language does not have. The language does
/// not look for it before the call.
fn unknown_function(program: &cel::Program) -> Option<String> {
    let references = program.references();
    let mut names: Vec<&str> = references.functions();
    names.sort_unstable();
    let namespaces = references.variables();
    let is_known = |name: &str| {
        // Operators and what macros expand to are no names.
        !name.starts_with(|letter: char| letter.is_alphabetic())
            || is_declared(name)
            || namespaces
                .iter()
                .any(|space| is_declared(&format!("{space}.{name}")))
    };
    names
        .into_iter()
        .find(|name| !is_known(name))
        .map(String::from)
}

/// Whether the language has a function: it then refuses another one of that name.
fn is_declared(name: &str) -> bool {
    root().add_function(name, || true).is_err()
}

fn not_an_expression(text: &str, reason: &str) -> String {
    let reason = cut(reason.lines().next().unwrap_or_default().into());
    format!("`{text}` is not an expression: {reason}")
}

fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
    }
    text
}
