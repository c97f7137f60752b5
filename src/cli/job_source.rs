//! From the arguments to a job file with its options.

use super::args::JobArgs;
use super::console::Console;
use crate::api::with_checks;
use crate::job::Job;
use crate::job::file::{Format, JobFile, Problem};
use crate::task::registry::Registry;
use std::io;
use std::path::Path;

/// Reads the job file and sets what is to be set. Every problem is one line.
pub(super) fn read(args: &JobArgs) -> Result<JobFile, Vec<String>> {
    let path = &args.file;
    let source = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![format!("{source}: {}", unreadable(path, &error))])?;
    let here = std::env::current_dir()
        .map_err(|error| vec![format!("the working directory is gone: {error}")])?;
    let mut file = JobFile::parse(&source, &text, Format::of(path)).map_err(lines)?;
    file.resolve_paths(&here.join(path.parent().unwrap_or(Path::new(""))));
    let problems = args
        .set
        .iter()
        .filter_map(|option| file.set(option, &here).err());
    let problems: Vec<Problem> = problems.collect();
    if let Some(limit) = args.max_rejected {
        file.set_max_rejected(limit);
    }
    if problems.is_empty() {
        Ok(file)
    } else {
        Err(lines(problems))
    }
}

/// The job of a file, if everything about it is right as far as this process can tell.
pub(super) fn judge(file: JobFile, registry: &Registry) -> Result<Job, Vec<String>> {
    let job = with_checks(registry, |checks| {
        file.into_job(&registry.vocabulary(), *checks)
    });
    job.map_err(lines)
}

/// Tells what is wrong.
pub(super) fn complain(problems: &[String], console: &mut Console) {
    for problem in problems {
        console.complain(problem);
    }
}

fn lines(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::InvalidData => "this is no text in UTF-8".into(),
        _ if path.is_dir() => "this is a folder; name a job file in it".into(),
        _ => format!("cannot read it: {error}"),
    }
}
