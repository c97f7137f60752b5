//! From text to a tree, within bounds: what a job file may cost is known before it is read.

use super::Format;
use super::tree::{BEYOND, Content, Entry, Node, Origin, Position, beyond};
use serde_saphyr::options::AliasLimits;
use serde_saphyr::{Error, Options, Spanned};

/// Bytes of a job file, beyond which it is refused.
pub(super) const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Lists and tables within each other.
const DEPTH_MAX: usize = 32;

/// Values of a document, those that aliases repeat included.
const VALUES_MAX: usize = 100_000;

/// Why a text is no document.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) position: Option<Position>,
    pub(super) message: String,
}

pub(super) fn document(text: &str, format: Format) -> Result<Node, Unreadable> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let bytes = text.len();
        let message = format!("the file has {bytes} bytes; at most {DOCUMENT_BYTES_MAX} are read");
        return Err(Unreadable {
            position: None,
            message,
        });
    }
    // Editors of some systems begin a text with this mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => yaml(text),
        Format::Json => json(text),
    }
}

fn yaml(text: &str) -> Result<Node, Unreadable> {
    let node = serde_saphyr::from_str_with_options::<Spanned<Content>>(text, options());
    let node = node.map_err(|error| unreadable(&error, "YAML"))?;
    exact(node.into(), text)
}

/// The tree with its integers. The parser takes one with a leading zero, and one beyond 64 bits, for a
/// float.
fn exact(mut node: Node, text: &str) -> Result<Node, Unreadable> {
    let lines: Vec<&str> = text.lines().collect();
    make_exact(&mut node, &lines)?;
    Ok(node)
}

fn make_exact(node: &mut Node, lines: &[&str]) -> Result<(), Unreadable> {
    match &mut node.content {
        Content::Float(_) => {
            let written = node.written;
            let digits = written.and_then(|position| integer_at(lines, position));
            if let Some(digits) = digits {
                let integer = digits.parse().map_err(|_| Unreadable {
                    position: written,
                    message: beyond(&digits),
                })?;
                node.content = Content::Int(integer);
            }
            Ok(())
        }
        Content::List(items) => items
            .iter_mut()
            .try_for_each(|item| make_exact(item, lines)),
        Content::Table(entries) => entries
            .iter_mut()
            .try_for_each(|entry| make_exact(&mut entry.value, lines)),
        Content::Null | Content::Bool(_) | Content::Int(_) | Content::Text(_) => Ok(()),
    }
}

/// The integer that is written there, if it is one: a sign, and digits.
fn integer_at(lines: &[&str], position: Position) -> Option<String> {
    let index = |from_one: u64| usize::try_from(from_one).ok()?.checked_sub(1);
    let line = lines.get(index(position.line)?)?;
    let scalar = line.chars().skip(index(position.column)?);
    let scalar: String = scalar
        .take_while(|c| !c.is_whitespace() && !",]}#".contains(*c))
        .collect();
    let digits = scalar.strip_prefix(['+', '-']).unwrap_or(&scalar);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer.then_some(scalar)
}

/// JSON is checked as JSON, then read as the YAML that it nearly always is too, for the positions.
fn json(text: &str) -> Result<Node, Unreadable> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line").next().unwrap_or_default();
        Unreadable {
            position: Some(position_in_json(text, &error)),
            message: format!("this is not valid JSON: {message}"),
        }
    })?;
    match serde_saphyr::from_str_with_options::<Spanned<Content>>(text, options()) {
        Ok(node) => exact(node.into(), text),
        Err(error) if error.to_string().contains(BEYOND) => Err(unreadable(&error, "JSON")),
        Err(error @ (Error::Budget { .. } | Error::DuplicateMappingKey { .. })) => {
            Err(unreadable(&error, "JSON"))
        }
        Err(_) => without_positions(value),
    }
}

/// The parser counts bytes, and says 0 where a line or the text has ended.
fn position_in_json(text: &str, error: &serde_json::Error) -> Position {
    let line = text.split('\n').nth(error.line().saturating_sub(1));
    let starts = line.unwrap_or_default().char_indices();
    let column = starts
        .take_while(|(start, _)| *start < error.column())
        .count();
    Position {
        line: error.line().max(1) as u64,
        column: column.max(1) as u64,
    }
}

fn options() -> Options {
    let mut limits = AliasLimits::default();
    limits.max_total_replayed_events = VALUES_MAX;
    limits.max_replay_stack_depth = DEPTH_MAX;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: VALUES_MAX,
            max_events: 4 * VALUES_MAX,
        },
        alias_limits: limits,
        // YAML 1.2: `no` and `on` are text.
        strict_booleans: true,
        with_snippet: false,
    }
}

fn unreadable(error: &Error, format: &str) -> Unreadable {
    let error = error.without_snippet();
    let position = error.location().map(|at| Position {
        line: at.line(),
        column: at.column(),
    });
    let text = error.to_string();
    let message = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is here a second time")
        }
        Error::MultipleDocuments { .. } => "a second document begins; a file is one job".into(),
        Error::Budget { .. } => too_large(),
        _ if text.contains(BEYOND) => text.split(" at line ").next().unwrap_or_default().into(),
        _ if text.contains("Option<String>") => {
            "a key is missing or `null`; put it in quotes if it is meant to be a text".into()
        }
        _ if text.contains("limit exceeded") => too_large(),
        // The position is told already.
        _ => {
            let reason = text.split(" at line ").next().unwrap_or_default();
            format!("this is not valid {format}: {reason}")
        }
    };
    Unreadable { position, message }
}

fn too_large() -> String {
    format!(
        "the document is too large: it may have {VALUES_MAX} values, those that aliases repeat \
         included, and {DEPTH_MAX} lists and tables within each other"
    )
}

fn without_positions(value: serde_json::Value) -> Result<Node, Unreadable> {
    let content = match value {
        serde_json::Value::Null => Content::Null,
        serde_json::Value::Bool(b) => Content::Bool(b),
        serde_json::Value::Number(n) => match n.as_i64() {
            Some(n) => Content::Int(n),
            None => Content::Float(float(&n)?),
        },
        serde_json::Value::String(text) => Content::Text(text),
        serde_json::Value::Array(items) => {
            let items = items.into_iter().map(without_positions);
            Content::List(items.collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(map) => {
            let entries = map.into_iter().map(entry);
            Content::Table(entries.collect::<Result<_, _>>()?)
        }
    };
    Ok(Node::unwritten(Origin::File, content))
}

/// A number that is no integer of 64 bits. A whole one of that size is taken for an integer: which of them
/// was written with an exponent is not known here.
fn float(n: &serde_json::Number) -> Result<f64, Unreadable> {
    let float = n.as_f64().unwrap_or_default();
    match float.fract() == 0.0 && float.abs() >= 9_223_372_036_854_775_808.0 {
        true => Err(Unreadable {
            position: None,
            message: beyond(&n.to_string()),
        }),
        false => Ok(float),
    }
}

fn entry((key, value): (String, serde_json::Value)) -> Result<Entry, Unreadable> {
    Ok(Entry {
        key,
        origin: Origin::File,
        value: without_positions(value)?,
    })
}
