//! The columns of a CSV file: their names, and what their cells become.

use super::record::Cell;
use crate::nearest::nearest;
use crate::plugins::PluginError;
use crate::segment::{Key, Segment, Value};
use memchr::memchr;

/// The kinds of cells that a task can name, as they are written.
pub(super) const KINDS: [(&str, CellKind); 4] = [
    ("int", CellKind::Int),
    ("float", CellKind::Float),
    ("string", CellKind::String),
    ("bool", CellKind::Bool),
];

/// How much of a cell that will not do is shown.
const FOUND_CHARS_MAX: usize = 64;

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: Key,
    kind: CellKind,
}

/// What a cell must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellKind {
    Int,
    Float,
    String,
    Bool,
}

impl CellKind {
    fn expected(self) -> &'static str {
        match self {
            CellKind::Int => "an integer",
            CellKind::Float => "a number within ±1.8e308",
            CellKind::String => "a string",
            CellKind::Bool => "true or false",
        }
    }

    /// The value of a cell. One without text is null, except where text is what is wanted.
    fn value(self, text: &str) -> Option<Value> {
        match self {
            CellKind::String => Some(text.into()),
            _ if text.is_empty() => Some(Value::Null),
            CellKind::Int => text.parse().ok().map(Value::Int),
            // JSON and expressions have no infinity: a number that is too large is an error, not null.
            CellKind::Float => text
                .parse()
                .ok()
                .filter(|n: &f64| n.is_finite())
                .map(Value::Float),
            CellKind::Bool => match text {
                "true" | "True" | "TRUE" => Some(Value::Bool(true)),
                "false" | "False" | "FALSE" => Some(Value::Bool(false)),
                _ => None,
            },
        }
    }
}

/// The columns of a file by their names, with the kinds that a task gives some of them.
pub(super) fn columns(
    names: Vec<String>,
    kinds: &[(Key, CellKind)],
    file: &str,
) -> Result<Vec<Column>, PluginError> {
    let mut columns: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let name = Key::from(name);
        if columns.iter().any(|column| column.name == name) {
            let message = format!("{file} has two columns `{name}`; each needs a name of its own");
            return Err(PluginError(message));
        }
        let kind = CellKind::String;
        columns.push(Column { name, kind });
    }
    for (name, kind) in kinds {
        let known = columns.iter_mut().find(|column| column.name == *name);
        match known {
            Some(column) => column.kind = *kind,
            None => return Err(no_column(name.as_str(), file, &columns)),
        }
    }
    Ok(columns)
}

fn no_column(name: &str, file: &str, columns: &[Column]) -> PluginError {
    let names = || columns.iter().map(|column| column.name.as_str());
    let advice = match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has `{}`", names().collect::<Vec<_>>().join("`, `")),
    };
    PluginError(format!("`types`: {file} has no column `{name}`; {advice}"))
}

/// The segment of a record, or why there is none.
pub(super) fn segment(
    columns: &[Column],
    cells: &[Cell],
    record: &[u8],
) -> Result<Segment, String> {
    if cells.len() != columns.len() {
        let (expected, found) = (columns.len(), cells.len());
        return Err(format!("expected {expected} columns, found {found}"));
    }
    // Checked as a whole, so that no cell is checked again: a delimiter is one ASCII byte.
    let record = std::str::from_utf8(record).map_err(|_| not_utf8(columns, cells, record))?;
    if memchr(0, record.as_bytes()).is_some()
        && let Some(reason) = nul(columns, cells, record)
    {
        return Err(reason);
    }
    let mut segment = Segment::with_capacity(columns.len());
    for (column, cell) in columns.iter().zip(cells) {
        let text = cell.text(record);
        let Some(value) = column.kind.value(&text) else {
            let expected = column.kind.expected();
            return Err(refusal(expected, column.name.as_str(), &text));
        };
        segment.push_new(column.name.clone(), value);
    }
    Ok(segment)
}

fn not_utf8(columns: &[Column], cells: &[Cell], record: &[u8]) -> String {
    let is_wrong = |cell: &Cell| std::str::from_utf8(cell.bytes(record)).is_err();
    let wrong = columns.iter().zip(cells).find(|(_, cell)| is_wrong(cell));
    // Between cells there is ASCII only, so that the mistake is within one.
    wrong.map_or_else(String::new, |(column, cell)| {
        let found = String::from_utf8_lossy(cell.bytes(record));
        refusal("UTF-8", column.name.as_str(), &found)
    })
}

/// What is wrong if a cell has a NUL byte. The delimiter may be one.
fn nul(columns: &[Column], cells: &[Cell], record: &str) -> Option<String> {
    let mut cells = columns.iter().zip(cells);
    let (column, cell) = cells.find(|(_, cell)| cell.bytes(record.as_bytes()).contains(&0))?;
    let found = cell.text(record).replace('\0', "\\0");
    Some(refusal(
        "text without NUL bytes",
        column.name.as_str(),
        &found,
    ))
}

fn refusal(expected: &str, column: &str, found: &str) -> String {
    let mut shown: String = found.chars().take(FOUND_CHARS_MAX).collect();
    if shown.len() < found.len() {
        shown.push('…');
    }
    format!("expected {expected} in column `{column}`, found `{shown}`")
}

/// What to call the column at a place, which a header may not reach.
pub(super) fn name_at(columns: &[Column], at: usize) -> String {
    match columns.get(at) {
        Some(column) => format!("column `{}`", column.name),
        None => format!("column {}", at + 1),
    }
}
