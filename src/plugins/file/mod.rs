//! Files of one machine: lines and CSV rows in, JSON lines out.

mod csv;
mod json_lines;
mod lines;
mod source;

use super::{PluginContext, PluginError, PluginRegistry};
use crate::job::TaskKind;
use crate::job::vocabulary::{KeySchema, PluginSignature, Signature};
use std::num::NonZeroU32;
use std::path::Path;

/// Registers every plugin of this folder.
pub(super) fn register(registry: &mut PluginRegistry) {
    registry.input("file/lines", lines::signature(), lines::open);
    registry.input("file/csv", csv::signature(), csv::open);
    registry.output("file/json-lines", json_lines::signature(), json_lines::open);
}

/// A file has one reader or writer: two would read the same lines or tear each other's.
fn signature(kind: TaskKind, doc: &str, keys: Vec<KeySchema>) -> PluginSignature {
    PluginSignature {
        kind,
        max_peers: Some(NonZeroU32::MIN),
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
