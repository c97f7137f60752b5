//! The rules of the house that a compiler does not know: layers, rooms of crates, sizes, names.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest layer first. A module imports only from layers above its own line, or from itself.
const LAYERS: &[&[&str]] = &[
    &["ids", "segment", "clock", "nearest", "stop_flag"],
    &["codec", "config", "files"],
    &["job"],
    &["replica"],
    &["scheduler"],
    &["log"],
    &["acking", "functions"],
    &["coordination", "messaging", "plugins"],
    &["task"],
    &["messages"],
    &["actors"],
    &["api"],
    &["http"],
    &["node"],
    &["testing"],
    &["cli"],
];

/// Crates that may be named in some places only.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "actix",
        &[
            "messages", "actors", "api", "http", "node", "testing", "cli",
        ],
    ),
    ("actix_web", &["http"]),
    ("zookeeper_client", &["coordination/zookeeper"]),
    ("zookeeper_embedded", &["node", "cli/coordination"]),
    ("rusteron_client", &["messaging/aeron"]),
    ("rusteron_media_driver", &["messaging/aeron"]),
    ("rustix", &["files", "plugins/file/raw_file", "cli/secrets"]),
    ("rmp", &["codec"]),
    ("rmp_serde", &["codec"]),
    ("cel", &["functions/expr"]),
    ("regex", &["functions/expr"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("ureq", &["cli"]),
    ("toml", &["config"]),
    ("serde_saphyr", &["job/file"]),
    (
        "tokio",
        &[
            // The one clock, which is the timer's.
            "clock",
            "coordination",
            "messaging",
            "task",
            "messages",
            "actors",
            "api",
            "http",
            "node",
            "testing",
            "cli",
        ],
    ),
];

const FILE_LINES_MAX: usize = 700;
const EXAMPLE_LINES_MAX: usize = 80;
const UNTELLING_NAMES: &[&str] = &["utils", "util", "common", "helpers", "manager", "misc"];

struct Source {
    path: PathBuf,
    /// The part before the tests.
    code: String,
    lines: usize,
    first_line: String,
}

fn sources(root: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(Path::new(root), &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources under {root}");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .split("#[cfg(test)]\nmod ")
                .next()
                .unwrap_or_default()
                .to_owned();
            let first_line = text.lines().next().unwrap_or_default().to_owned();
            found.push(Source {
                path,
                code,
                lines: text.lines().count(),
                first_line,
            });
        }
    }
}

/// The path below `src`, without the extension: `log/commands/leave_cluster`.
fn room(source: &Source) -> String {
    let below = source.path.strip_prefix("src").unwrap().with_extension("");
    below.display().to_string().replace('\\', "/")
}

fn is_test_only(source: &Source) -> bool {
    let name = source.path.file_stem().unwrap().to_string_lossy();
    ["tests", "laws", "sample"].contains(&&*name)
        || source
            .path
            .components()
            .any(|part| part.as_os_str() == "tests")
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Code lines that are not comments, with their numbers.
fn code_lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = code
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()));
    numbered.filter(|(_, line)| !line.starts_with("//"))
}

fn no_offences(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn imports_point_downwards() {
    let mut offences = Vec::new();
    for source in sources("src").iter().filter(|source| !is_test_only(source)) {
        let room = room(source);
        let module = room.split('/').next().unwrap();
        if module == "lib" || module == "bin" {
            continue;
        }
        let Some(own) = layer_of(module) else {
            offences.push(format!(
                "{}: `{module}` has no layer",
                source.path.display()
            ));
            continue;
        };
        for (number, line) in code_lines(&source.code) {
            for target in line.split("crate::").skip(1) {
                let target: String = target
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = target == module || layer_of(&target).is_none_or(|layer| layer < own);
                if !fine {
                    let path = source.path.display();
                    offences.push(format!(
                        "{path}:{number}: `{module}` must not import `{target}`"
                    ));
                }
            }
        }
    }
    no_offences(&offences);
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut offences = Vec::new();
    for source in sources("src").iter().filter(|source| !is_test_only(source)) {
        let room = room(source);
        for (number, line) in code_lines(&source.code) {
            for (name, rooms) in ROOMS {
                let used = line.starts_with(&format!("use {name}::"))
                    || line
                        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                        .any(|word| word.starts_with(&format!("{name}::")));
                if used && !rooms.iter().any(|allowed| room.starts_with(allowed)) {
                    offences.push(format!(
                        "{}:{number}: `{name}` has no place here",
                        source.path.display()
                    ));
                }
            }
        }
    }
    no_offences(&offences);
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    let mut offences = Vec::new();
    let roots = [
        "src",
        "crates/zookeeper-embedded/src",
        "tests",
        "benches",
        "examples",
        "fuzz/src",
        "fuzz/targets",
    ];
    for source in roots.iter().flat_map(|root| sources(root)) {
        let path = source.path.display();
        if !source.first_line.starts_with("//!") {
            offences.push(format!("{path}: does not open with `//!` and what it is"));
        }
        if source.lines > FILE_LINES_MAX {
            offences.push(format!(
                "{path}: {} lines, at most {FILE_LINES_MAX}",
                source.lines
            ));
        }
        let name = source
            .path
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if UNTELLING_NAMES.contains(&name.as_str()) {
            offences.push(format!("{path}: `{name}` does not say what is in it"));
        }
    }
    no_offences(&offences);
}

#[test]
fn examples_are_short() {
    let long: Vec<String> = sources("examples")
        .iter()
        .filter(|source| source.lines > EXAMPLE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path.display(), source.lines))
        .collect();
    no_offences(&long);
}

#[test]
fn every_dependency_is_justified() {
    let mut offences = Vec::new();
    for path in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut inside = false;
        for line in fs::read_to_string(path).unwrap().lines() {
            if line.starts_with('[') {
                inside = line.ends_with("dependencies]");
            } else if inside && line.contains('=') && !line.contains('#') {
                offences.push(format!("{path}: `{line}` does not say why"));
            }
        }
    }
    no_offences(&offences);
}

#[test]
fn decisions_have_their_parts() {
    let mut offences = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir("docs/decisions").unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        count += 1;
        for part in ["## Context", "## Decision", "## Consequence"] {
            if !text.contains(part) {
                offences.push(format!("{}: no `{part}`", entry.path().display()));
            }
        }
    }
    assert!(count > 0, "no decision is recorded");
    no_offences(&offences);
}
