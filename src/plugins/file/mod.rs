//! Files of one machine: lines and CSV rows in, JSON lines out.

mod csv;
mod json_lines;
mod lines;
mod pieces;
mod source;
mod tail;

use super::{PluginContext, PluginError, PluginRegistry};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeySchema, PluginSignature, Signature};
use std::path::Path;

/// Registers every plugin of this folder.
pub(super) fn register(registry: &mut PluginRegistry) {
    registry.input("file/lines", lines::signature(), lines::open);
    registry.input("file/csv", csv::signature(), csv::open);
    registry.output("file/json-lines", json_lines::signature(), json_lines::open);
}

/// Any number of peers: each slot reads a part of its own, or writes files of its own.
fn signature(kind: TaskKind, doc: &str, keys: Vec<KeySchema>) -> PluginSignature {
    PluginSignature {
        kind,
        max_peers: (kind == TaskKind::Input).then_some(std::num::NonZeroU32::MIN),
        signature: Signature {
            doc: doc.into(),
            keys,
        },
    }
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
mod tests;
