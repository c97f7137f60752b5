//! `expr/map`: sets fields of each segment to the values of expressions.

use super::compile::root;
use super::program::Program;
use crate::functions::{FunctionContext, FunctionError, TaskFunction};
use crate::job::vocabulary::{KeyKind, KeySchema, Signature, expression_text};
use crate::segment::{Key, Value};

const SET: &str = "set";

pub(in crate::functions) fn signature() -> Signature {
    let set = "the fields to set, in order; each expression sees the fields set before it";
    Signature {
        doc: "Sets fields to the values of expressions; the other fields stay.".into(),
        keys: vec![KeySchema::required(SET, KeyKind::ExpressionTable, set)],
    }
}

pub(in crate::functions) fn make(context: &FunctionContext<'_>) -> Result<TaskFunction, String> {
    let Some(Value::Map(table)) = context.params.get(SET) else {
        return Err("`set` must be a table from field names to expressions".into());
    };
    let mut fields: Vec<(Key, Program)> = Vec::with_capacity(table.len());
    for (name, value) in table.iter() {
        let text = expression_text(value)
            .ok_or_else(|| format!("`set.{name}` must be an expression, found {}", value.kind()))?;
        let program = Program::compile(&text).map_err(|error| format!("`set.{name}`: {error}"))?;
        fields.push((name.clone(), program));
    }
    let root = root();
    Ok(TaskFunction::make(move |mut segment, out| {
        for (name, program) in &fields {
            let value = program
                .evaluate(&root, &segment)
                .map_err(|error| naming(name, error))?;
            segment.set(name, value);
        }
        out.push(segment);
        Ok(())
    }))
}

fn naming(field: &Key, error: FunctionError) -> FunctionError {
    FunctionError::Failed(format!("cannot set `{field}` to {error}"))
}
