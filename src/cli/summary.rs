//! What is told when a job has ended: how, how much, and where the results are.

use super::progress::{grouped, rate};
use crate::api::{JobOutcome, JobReport};
use crate::clock::Millis;
use crate::files::is_in_place;
use crate::job::vocabulary::{KeyKind, Vocabulary};
use crate::job::{Job, Task, TaskKind};
use crate::plugins::file_names::{of_all_slots, unfinished};
use crate::segment;
use crate::task::counters::TaskFigures;
use serde_json::{Value, json};
use std::fmt;
use std::path::{Path, PathBuf};

/// A job that has ended.
pub(super) struct Summary<'a> {
    pub(super) job: &'a Job,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) outcome: &'a JobOutcome,
    pub(super) report: &'a JobReport,
    pub(super) time: Millis,
}

/// A file that an output has written.
enum Written {
    /// Under its name.
    File(PathBuf),
    /// The part of a file that a killed job has left.
    Part(PathBuf),
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            JobOutcome::Completed => "completed",
            JobOutcome::Killed(_) => "killed",
        };
        let TaskFigures {
            read,
            completed,
            retried,
            rejected,
            ..
        } = self.report.totals();
        let Millis(time) = self.time;
        write!(f, "job {}: {outcome}", self.job.name)?;
        write!(f, "\n  read       {} segments", grouped(read))?;
        write!(f, "\n  completed  {}", grouped(completed))?;
        write!(f, "\n  retried    {}", grouped(retried))?;
        write!(f, "\n  rejected   {}", grouped(rejected))?;
        let rate = grouped(rate(completed, self.time));
        write!(
            f,
            "\n  time       {}.{:03} s, {rate} segments/s",
            time / 1_000,
            time % 1_000
        )?;
        for event in &self.report.events {
            write!(f, "\n  event      {event}")?;
        }
        for task in &self.job.catalog {
            self.results(task, f)?;
            self.dead_letters(task, f)?;
        }
        Ok(())
    }
}

impl Summary<'_> {
    /// For programs: what `GET /jobs/{id}` answers, with the time and the files of outputs.
    pub(super) fn to_json(&self) -> Value {
        let mut summary = json!(self.report);
        summary["time-ms"] = json!(self.time.0);
        let outputs = self.job.catalog.iter();
        let outputs = outputs.filter(|task| task.kind == TaskKind::Output);
        let outputs = outputs.map(|task| {
            let files = self.files(task);
            let paths = files.iter().map(|written| match written {
                Written::File(path) => json!({ "path": path, "is-finished": true }),
                Written::Part(path) => json!({ "path": path, "is-finished": false }),
            });
            json!({
                "task": task.name,
                "rows": self.figures(task).written,
                "files": paths.collect::<Vec<Value>>(),
            })
        });
        summary["outputs"] = outputs.collect();
        summary
    }

    fn figures(&self, task: &Task) -> TaskFigures {
        let mut tasks = self.report.tasks.iter();
        tasks
            .find(|report| report.name == task.name)
            .map(|it| it.counts)
            .unwrap_or_default()
    }

    fn results(&self, task: &Task, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if task.kind != TaskKind::Output {
            return Ok(());
        }
        let rows = grouped(self.figures(task).written);
        write!(f, "\n  {}: {rows} rows", task.name)?;
        for written in self.files(task) {
            match written {
                Written::File(path) => write!(f, " in {}", path.display())?,
                Written::Part(path) => write!(f, " in {}, not finished", path.display())?,
            }
        }
        Ok(())
    }

    /// The files that an output has written.
    fn files(&self, task: &Task) -> Vec<Written> {
        let paths = self.output_paths(task).into_iter();
        let written = paths.filter_map(|path| match self.outcome {
            JobOutcome::Completed => Some(Written::File(path)),
            JobOutcome::Killed(_) if is_in_place(&path) => Some(Written::File(path)),
            // Its files have no names yet; what has one may be of an earlier job.
            JobOutcome::Killed(_) => Some(unfinished(&path))
                .filter(|part| part.exists())
                .map(Written::Part),
        });
        written.collect()
    }

    fn dead_letters(&self, task: &Task, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskFigures {
            rejected,
            dead_lettered,
            ..
        } = self.figures(task);
        let see = match &task.dead_letter {
            Some(path) => format!(", see {}", of_all_slots(Path::new(path), task).display()),
            None => String::new(),
        };
        if rejected > 0 && task.dead_letter.is_some() {
            write!(f, "\n  {}: {} rejected{see}", task.name, grouped(rejected))?;
        }
        if dead_lettered > 0 {
            let count = grouped(dead_lettered);
            write!(f, "\n  {}: {count} given up{see}", task.name)?;
        }
        Ok(())
    }

    fn output_paths(&self, task: &Task) -> Vec<PathBuf> {
        let name = task.plugin.as_deref().unwrap_or_default();
        let keys = self.vocabulary.plugins.get(name).into_iter();
        let keys = keys.flat_map(|plugin| &plugin.signature.keys);
        let outputs = keys.filter(|key| key.kind == KeyKind::OutputPath);
        let paths = outputs.filter_map(|key| match task.params.get(&key.name) {
            Some(segment::Value::String(path)) => {
                Some(of_all_slots(Path::new(path.as_str()), task))
            }
            _ => None,
        });
        paths.collect()
    }
}
