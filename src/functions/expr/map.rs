//! `expr/map`: sets fields of each segment to the values of expressions.

use super::meter::{Limits, Meter};
use super::program::Program;
use crate::functions::{FunctionContext, FunctionError, TaskFunction};
use crate::job::vocabulary::{KeyKind, KeySchema, Signature, expression_text};
use crate::segment::{Key, Value};

const SET: &str = "set";

pub(in crate::functions) fn signature() -> Signature {
    let set = "the fields to set, in order; each expression sees the fields set before it";
    Signature {
        doc: "Sets fields to the values of expressions; the other fields stay.".into(),
        keys: [KeySchema::required(SET, KeyKind::ExpressionTable, set)]
            .into_iter()
            .chain(Limits::keys())
            .collect(),
    }
}

pub(in crate::functions) fn make(context: &FunctionContext<'_>) -> Result<TaskFunction, String> {
    let Some(Value::Map(table)) = context.params.get(SET) else {
        return Err("`set` must be a table from field names to expressions".into());
    };
    let limits = Limits::read(context.params)?;
    let mut fields: Vec<(Key, Program)> = Vec::with_capacity(table.len());
    for (name, value) in table.iter() {
        let text = expression_text(value)
            .ok_or_else(|| format!("`set.{name}` must be an expression, found {}", value.kind()))?;
        let program = Program::compile(&text).map_err(|error| format!("`set.{name}`: {error}"))?;
        fields.push((name.clone(), program));
    }
    let mut meter = Meter::new(limits, context.stop.clone());
    Ok(TaskFunction::make(move |mut segment, out| {
        meter.reset();
        for (name, program) in &fields {
            let value = program
                .evaluate(&segment, &mut meter)
                .map_err(|error| naming(name, error))?;
            segment.set(name, value);
        }
        out.push(segment);
        Ok(())
    }))
}

fn naming(field: &Key, error: FunctionError) -> FunctionError {
    match error {
        FunctionError::Failed(reason) => {
            FunctionError::Failed(format!("cannot set `{field}` to {reason}"))
        }
        retry @ FunctionError::Retry(_) => retry,
    }
}
