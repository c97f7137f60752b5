//! `expr/filter`: keeps the segments for which an expression is true.

use super::meter::{Limits, Meter};
use super::program::Program;
use crate::functions::{FunctionContext, TaskFunction};
use crate::job::vocabulary::{KeyKind, KeySchema, Signature, expression_text};
use crate::segment::Segment;

const WHERE: &str = "where";

pub(in crate::functions) fn signature() -> Signature {
    let condition = "true for the segments to keep; anything but true and false is an error";
    Signature {
        doc: "Keeps the segments for which an expression is true.".into(),
        keys: [KeySchema::required(WHERE, KeyKind::Expression, condition)]
            .into_iter()
            .chain(Limits::keys())
            .collect(),
    }
}

pub(in crate::functions) fn make(context: &FunctionContext<'_>) -> Result<TaskFunction, String> {
    let text = context.params.get(WHERE).and_then(expression_text);
    let text = text.ok_or("`where` must be an expression")?;
    let limits = Limits::read(context.params)?;
    let condition = Program::compile(&text).map_err(|error| format!("`where`: {error}"))?;
    let fields = condition.fields();
    let mut meter = Meter::new(limits, context.stop.clone());
    let test = move |segment: &Segment| {
        meter.reset();
        condition.holds(segment, &mut meter)
    };
    Ok(match fields {
        Some(fields) => TaskFunction::keep_by(fields, test),
        None => TaskFunction::keep(test),
    })
}
