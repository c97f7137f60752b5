//! `expr/filter`: keeps the segments for which an expression is true.

use super::compile::root;
use super::program::Program;
use crate::functions::{FunctionContext, TaskFunction};
use crate::job::vocabulary::{KeyKind, KeySchema, Signature, expression_text};
use crate::segment::{Segment, Value};

const WHERE: &str = "where";

pub(in crate::functions) fn signature() -> Signature {
    let condition = "true for the segments to keep; anything but true and false is an error";
    Signature {
        doc: "Keeps the segments for which an expression is true.".into(),
        keys: vec![KeySchema::required(WHERE, KeyKind::Expression, condition)],
    }
}

pub(in crate::functions) fn make(context: &FunctionContext<'_>) -> Result<TaskFunction, String> {
    let text = context.params.get(WHERE).and_then(expression_text);
    let text = text.ok_or("`where` must be an expression")?;
    let condition = Program::compile(&text).map_err(|error| format!("`where`: {error}"))?;
    let (root, fields) = (root(), condition.fields());
    let test = move |segment: &Segment| match condition.evaluate(&root, segment)? {
        Value::Bool(passes) => Ok(passes),
        other => {
            let kind = other.kind();
            Err(condition.failed(format!("expected true or false, found {kind}")))
        }
    };
    Ok(match fields {
        Some(fields) => TaskFunction::keep_by(fields, test),
        None => TaskFunction::keep(test),
    })
}
