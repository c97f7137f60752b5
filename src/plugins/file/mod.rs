//! Files of one machine: lines and CSV rows in, JSON lines out.

#[cfg(test)]
pub(super) mod bench;
mod csv;
mod format;
mod json_lines;
mod lines;
mod part_input;
mod parts;
mod pieces;
mod raw_file;
mod source;
mod tail;

pub(crate) use tail::cut_torn_line;

use super::{PluginContext, PluginError, PluginRegistry};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeyKind, KeySchema, PluginSignature, Signature};
use parts::Division;
use std::path::Path;

/// Registers every plugin of this folder.
pub(super) fn register(registry: &mut PluginRegistry) {
    let survey = parts::survey;
    registry.surveyed_input("file/lines", lines::signature(), survey, lines::open);
    registry.surveyed_input("file/csv", csv::signature(), survey, csv::open);
    registry.output("file/json-lines", json_lines::signature(), json_lines::open);
}

/// Any number of peers: each slot reads a part of its own, or writes files of its own.
fn signature(kind: TaskKind, doc: &str, keys: Vec<KeySchema>) -> PluginSignature {
    PluginSignature {
        kind,
        max_peers: None,
        signature: Signature {
            doc: doc.into(),
            keys,
        },
    }
}

/// The key of what an input reads.
fn input_paths() -> KeySchema {
    let doc = "A file, a folder, a pattern such as `**/*.csv`, or a list of them; files that end in .gz \
               are decompressed.";
    KeySchema::required("path", KeyKind::InputPaths, doc)
}

const SPLIT: &str = "split";
const SPLIT_WORDS: [(&str, Division); 2] = [("lines", Division::Lines), ("files", Division::Files)];

/// The key of how the slots of an input divide its files.
fn split_key(default: Division) -> KeySchema {
    let words = SPLIT_WORDS.iter().map(|(word, _)| (*word).into()).collect();
    let doc = match default {
        Division::Lines => {
            "Whether peers divide the lines of files, or whole files; lines if left out."
        }
        Division::Files => {
            "Whether peers divide whole files, or the rows of files as well; files if left out."
        }
    };
    KeySchema::optional(SPLIT, KeyKind::OneOf(words), doc)
}

fn division(context: &PluginContext<'_>, default: Division) -> Result<Division, PluginError> {
    let Some(value) = context.task.params.get(SPLIT) else {
        return Ok(default);
    };
    let mut words = SPLIT_WORDS.iter();
    let known = words.find(|(word, _)| value.as_str() == Some(word));
    let (_, division) =
        known.ok_or_else(|| PluginError("`split` must be lines or files".into()))?;
    Ok(*division)
}

fn path_of<'a>(context: &PluginContext<'a>) -> Result<&'a Path, PluginError> {
    let path = context.task.params.get("path");
    let path = path.and_then(|path| path.as_str()).map(Path::new);
    path.ok_or_else(|| {
        let message = format!("task `{}`: `path` must be a string", context.task.name);
        PluginError(message)
    })
}

#[cfg(test)]
mod pipe_tests;
#[cfg(test)]
mod tests;
