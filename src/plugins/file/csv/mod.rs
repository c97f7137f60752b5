//! `file/csv`: each row of a CSV file is a segment of its columns.
//!
//! A row that is not right is rejected with its line and what was expected, and reading goes on
//! behind that line. A quote that never closes costs its own line, not the rest of the file.

mod column;
mod record;
mod rows;

use super::path_of;
use super::source::Source;
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::{PluginContext, PluginError, Start};
use crate::segment::{Key, Value};
use column::CellKind;
use rows::Rows;

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let kinds = column::KINDS.iter().map(|(word, _)| (*word).into());
    let path = "The file; one that ends in .csv.gz is decompressed.";
    let types = "What the cells of columns are; a column that is not named holds strings. An \
                 empty cell that is not a string is null.";
    let delimiter = "The byte between cells; a comma if left out.";
    let columns = "The names of the columns, for a file without a row that names them.";
    super::signature(
        TaskKind::Input,
        "Reads each row of a CSV file as a segment of its columns.",
        vec![
            KeySchema::required("path", KeyKind::InputPath, path),
            KeySchema::optional("types", KeyKind::TableOf(kinds.collect()), types),
            KeySchema::optional("delimiter", KeyKind::String, delimiter),
            KeySchema::optional("columns", KeyKind::Any, columns),
        ],
    )
}

/// Opens the file of a task.
pub(super) fn open(context: &PluginContext<'_>) -> Result<Rows, PluginError> {
    let mut rows = Rows::new(Source::open(path_of(context)?)?, delimiter(context)?);
    let names = match given_names(context)? {
        Some(names) => Some(names),
        None => rows.header()?,
    };
    // A file without a byte has no header, and no rows that would need one.
    if let Some(names) = names {
        let columns = column::columns(names, &types(context)?, &rows.file_name())?;
        rows.set_columns(columns);
    }
    if let Start::Resumed(Some(position)) = &context.start {
        rows.go_to(position)?;
    }
    Ok(rows)
}

fn types<'a>(context: &PluginContext<'a>) -> Result<Vec<(&'a Key, CellKind)>, PluginError> {
    let Some(types) = context.task.params.get("types") else {
        return Ok(Vec::new());
    };
    let Value::Map(types) = types else {
        let message = format!("`types` must be a table, found {}", shown(types));
        return Err(PluginError(message));
    };
    let mut kinds = Vec::with_capacity(types.len());
    for (name, kind) in types.iter() {
        let known = column::KINDS
            .iter()
            .find(|(word, _)| kind.as_str() == Some(word));
        let Some((_, kind)) = known else {
            let message = format!("`types`: `{name}` must be int, float, string or bool");
            return Err(PluginError(message));
        };
        kinds.push((name, *kind));
    }
    Ok(kinds)
}

fn delimiter(context: &PluginContext<'_>) -> Result<u8, PluginError> {
    let Some(value) = context.task.params.get("delimiter") else {
        return Ok(b',');
    };
    match value.as_str().map(str::as_bytes) {
        Some([byte]) if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err(PluginError(format!(
            "`delimiter` must be one ASCII character that is neither a quote nor a line end, \
             found {}",
            shown(value)
        ))),
    }
}

fn given_names(context: &PluginContext<'_>) -> Result<Option<Vec<String>>, PluginError> {
    let Some(columns) = context.task.params.get("columns") else {
        return Ok(None);
    };
    let names = match columns {
        Value::List(list) => list
            .iter()
            .map(|name| name.as_str().map(String::from))
            .collect(),
        _ => None,
    };
    match names {
        Some(names) if !Vec::is_empty(&names) => Ok(Some(names)),
        _ => Err(PluginError(format!(
            "`columns` must be a list of names, found {}",
            shown(columns)
        ))),
    }
}

/// A value as a job file has it.
fn shown(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.kind().into())
}

#[cfg(test)]
mod tests;
