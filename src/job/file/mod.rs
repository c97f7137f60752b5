//! Job files: YAML or JSON to a job that passed validation, with the line of everything that is
//! wrong.

mod describe;
mod document;
mod leaf;
mod locate;
mod parse;
mod problem;
mod read;
mod set;
mod task;
mod tree;

pub use describe::describe;
pub use problem::Problem;
pub use tree::Position;

use crate::job::max_rejected::MaxRejected;
use crate::job::place::Place;
use crate::job::validation::{self, Checks};
use crate::job::vocabulary::{KeyKind, Vocabulary};
use crate::job::{Job, Task};
use crate::segment::Value;
use locate::locate;
use read::Reading;
use std::path::{Path, PathBuf};
use tree::{Node, Origin};

/// How a job file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl Format {
    /// JSON for `*.json`, YAML for every other name.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("json") => Format::Json,
            _ => Format::Yaml,
        }
    }
}

/// A job file that was parsed but not understood yet.
#[derive(Clone, Debug)]
pub struct JobFile {
    source: String,
    root: Node,
    default_name: String,
    folder: PathBuf,
    options: Vec<SetOption>,
}

/// An option `--set` that was applied.
#[derive(Clone, Debug)]
struct SetOption {
    text: String,
    folder: PathBuf,
}

impl JobFile {
    /// Parses a document. `source` is what problems call it; its file stem is the job's name when
    /// the document gives none.
    pub fn parse(source: &str, text: &str, format: Format) -> Result<Self, Vec<Problem>> {
        let root = parse::document(text, format).map_err(|error| {
            vec![Problem {
                source: source.into(),
                position: error.position,
                place: Place::job(),
                message: error.message,
            }]
        })?;
        let stem = Path::new(source).file_stem().unwrap_or_default();
        Ok(JobFile {
            source: source.into(),
            root,
            default_name: stem.to_string_lossy().into_owned(),
            folder: PathBuf::new(),
            options: Vec::new(),
        })
    }

    /// The job's name when the document gives none.
    pub fn name_if_missing(&mut self, name: &str) {
        self.default_name = name.into();
    }

    /// The folder at which relative paths of the document start: the one the file is in.
    pub fn resolve_paths(&mut self, base: &Path) {
        self.folder = base.into();
    }

    /// Sets a key of a task, as in `read-flights.path=other.csv` or `derive.set.late=delay > 30`.
    /// The value is read as YAML would read it. A relative path starts at `base`. Whether the task
    /// takes the key is told by [`JobFile::into_job`].
    pub fn set(&mut self, option: &str, base: &Path) -> Result<(), Problem> {
        let origin = Origin::Set(self.options.len());
        self.options.push(SetOption {
            text: option.into(),
            folder: base.into(),
        });
        set::apply(&mut self.root, option, origin).map_err(|message| Problem {
            source: format!("--set {option}"),
            position: None,
            place: Place::job(),
            message,
        })
    }

    /// Sets how much every input may reject. Tasks that cannot be read are reported later.
    pub fn set_max_rejected(&mut self, limit: MaxRejected) {
        let option = format!("--max-rejected {limit}");
        let origin = Origin::Set(self.options.len());
        self.options.push(SetOption {
            text: option,
            folder: PathBuf::new(),
        });
        set::for_inputs(&mut self.root, "max-rejected", &limit.to_string(), origin);
    }

    /// The job, if everything about it is right; or everything that is not, in the order of the
    /// file.
    pub fn into_job(
        self,
        vocabulary: &Vocabulary,
        checks: Checks<'_>,
    ) -> Result<Job, Vec<Problem>> {
        let mut reading = read::read(&self.root, &self.default_name);
        self.make_paths_absolute(&mut reading, vocabulary);
        validation::complete(&mut reading.job, vocabulary);
        let violations = if reading.misfits.whole {
            validation::validate(&reading.job, vocabulary, &checks)
        } else {
            validation::validate_tasks(&reading.job, vocabulary, &checks)
        };
        let mut problems: Vec<(Origin, Problem)> = Vec::new();
        for violation in violations {
            let (origin, place) = locate(&self.root, &reading, &violation.place);
            // What could not be read is not also missing.
            if !reading
                .misfits
                .list
                .iter()
                .any(|misfit| misfit.place == place)
            {
                problems.push((origin, self.problem(origin, place, violation.message)));
            }
        }
        for misfit in reading.misfits.list {
            let problem = self.problem(misfit.origin, misfit.place, misfit.message);
            problems.push((misfit.origin, problem));
        }
        if problems.is_empty() {
            return Ok(reading.job);
        }
        problems.sort_by_key(|(origin, _)| *origin);
        Err(problems.into_iter().map(|(_, problem)| problem).collect())
    }

    /// The file as a JSON document that means the same anywhere on this machine: with what was set,
    /// with absolute paths where `vocabulary` knows a key to be one, and with a name. Nothing is
    /// checked.
    pub fn document(&self, vocabulary: &Vocabulary) -> serde_json::Value {
        let mut document = document::json(&self.root);
        let Some(table) = document.as_object_mut() else {
            return document;
        };
        table
            .entry("name")
            .or_insert_with(|| self.default_name.as_str().into());
        let mut reading = read::read(&self.root, &self.default_name);
        self.make_paths_absolute(&mut reading, vocabulary);
        for (task, index) in reading.job.catalog.iter().zip(&reading.tasks) {
            let mut put = |key: &str, path: &str| {
                let place = document.pointer_mut(&format!("/catalog/{index}"));
                if let Some(serde_json::Value::String(text)) =
                    place.and_then(|entry| entry.get_mut(key))
                {
                    path.clone_into(text);
                }
            };
            for key in path_keys(task, vocabulary) {
                if let Some(Value::String(path)) = task.params.get(&key) {
                    put(&key, path);
                }
            }
            if let Some(path) = &task.dead_letter {
                put("dead-letter", path);
            }
        }
        document
    }

    fn problem(&self, origin: Origin, place: Place, message: String) -> Problem {
        let (source, position) = match origin {
            Origin::File => (self.source.clone(), None),
            Origin::At(position) => (self.source.clone(), Some(position)),
            Origin::Set(option) => (format!("--set {}", self.options[option].text), None),
        };
        Problem {
            source,
            position,
            place,
            message,
        }
    }

    fn make_paths_absolute(&self, reading: &mut Reading, vocabulary: &Vocabulary) {
        for (task, index) in reading.job.catalog.iter_mut().zip(&reading.tasks) {
            let catalog = self.root.entry("catalog").map(|entry| &entry.value);
            let node = catalog.and_then(|catalog| catalog.items().get(*index));
            let folder = |key: &str| match node.and_then(|node| node.entry(key))?.value.origin {
                Origin::Set(option) => Some(&self.options[option].folder),
                Origin::File | Origin::At(_) => Some(&self.folder),
            };
            for key in path_keys(task, vocabulary) {
                let Some(folder) = folder(&key) else { continue };
                match task.params.get_mut(&key) {
                    Some(Value::String(path)) => *path = absolute(folder, path).into(),
                    Some(Value::List(paths)) => {
                        for path in paths.iter_mut() {
                            if let Value::String(path) = path {
                                *path = absolute(folder, path).into();
                            }
                        }
                    }
                    _ => {}
                }
            }
            if let (Some(path), Some(folder)) = (&mut task.dead_letter, folder("dead-letter")) {
                *path = absolute(folder, path);
            }
        }
    }
}

/// The keys of a task whose values are paths.
fn path_keys(task: &Task, vocabulary: &Vocabulary) -> Vec<String> {
    let plugin = task
        .plugin
        .as_ref()
        .and_then(|name| vocabulary.plugins.get(name));
    let function = task
        .function
        .as_ref()
        .and_then(|name| vocabulary.functions.get(name));
    let signatures = plugin
        .map(|plugin| &plugin.signature)
        .into_iter()
        .chain(function);
    let keys = signatures.flat_map(|signature| &signature.keys);
    let paths = keys.filter(|key| {
        matches!(
            key.kind,
            KeyKind::InputPath | KeyKind::InputPaths | KeyKind::OutputPath
        )
    });
    paths.map(|key| key.name.clone()).collect()
}

fn absolute(folder: &Path, path: &str) -> String {
    // Collecting components takes out every `.`; `..` stays, since a folder may be a link.
    let path: PathBuf = folder.join(path).components().collect();
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod number_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;
