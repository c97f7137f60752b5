//! `file/csv`: each row of a CSV file is a segment of its columns.
//!
//! A row that is not right is rejected with its line and what was expected, and reading goes on behind the
//! row: nothing that is between its quotes becomes a row.

mod column;
mod record;
mod rows;
mod skip;

use super::part_input::PartInput;
use super::parts::{Division, Stretch, part};
use super::source::Source;
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature};
use crate::plugins::{PluginContext, PluginError};
use crate::segment::{Key, Value};
use column::{CellKind, Column};
use rows::Rows;
use std::sync::Arc;

/// What the plugin takes.
pub(super) fn signature() -> PluginSignature {
    let kinds = column::KINDS.iter().map(|(word, _)| (*word).into());
    let types = "What the cells of columns are; a column that is not named holds strings. An \
                 empty cell that is not a string is null.";
    let delimiter = "The byte between cells; a comma if left out.";
    let columns = "The names of the columns, for a file without a row that names them.";
    super::signature(
        TaskKind::Input,
        "Reads each row of CSV files as a segment of its columns.",
        vec![
            super::input_paths(),
            KeySchema::optional("types", KeyKind::TableOf(kinds.collect()), types),
            KeySchema::optional("delimiter", KeyKind::String, delimiter),
            KeySchema::optional("columns", KeyKind::Any, columns),
            super::split_key(Division::Files),
        ],
    )
}

/// Opens the part of a slot.
pub(super) fn open(context: &PluginContext<'_>) -> Result<PartInput<Rows>, PluginError> {
    let division = super::division(context, Division::Files)?;
    let table = Arc::new(Table {
        delimiter: delimiter(context)?,
        names: given_names(context)?,
        types: types(context)?,
    });
    let access = context.files.clone();
    let part = part(context, division)?;
    let open = move |stretch: &Stretch| {
        let source = Source::open(&stretch.path, &access)?;
        Ok(Rows::new(source, stretch.clone(), Arc::clone(&table)))
    };
    PartInput::open(context, part, Box::new(open))
}

/// What a task says of its files.
#[derive(Debug)]
struct Table {
    delimiter: u8,
    /// The names of the columns. `None` if the first record of each file has them.
    names: Option<Vec<String>>,
    types: Vec<(Key, CellKind)>,
}

impl Table {
    /// The columns of a file with these names.
    fn columns(&self, names: Vec<String>, file: &str) -> Result<Vec<Column>, PluginError> {
        column::columns(names, &self.types, file)
    }
}

fn types(context: &PluginContext<'_>) -> Result<Vec<(Key, CellKind)>, PluginError> {
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
        kinds.push((name.clone(), *kind));
    }
    Ok(kinds)
}

fn delimiter(context: &PluginContext<'_>) -> Result<u8, PluginError> {
    let Some(value) = context.task.params.get("delimiter") else {
        return Ok(b',');
    };
    match value.as_str().map(str::as_bytes) {
        // YAML leaves it as it is unless it stands in double quotes.
        Some(br"\t") => Ok(b'\t'),
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
