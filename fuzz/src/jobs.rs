//! Job files, with the expressions in them.

use onyx::Registry;
use onyx::codec::{from_payload, to_payload};
use onyx::functions::check_expression;
use onyx::job::file::{Format, JobFile, Position, Problem, describe};
use onyx::job::validation::{Checks, accept};
use onyx::job::vocabulary::Vocabulary;
use onyx::job::{Job, Task};
use onyx::segment::{Segment, Value};
use onyx::stop_flag::StopFlag;
use std::sync::LazyLock;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::with_built_in);
static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| REGISTRY.vocabulary());

/// An input is a job file, as YAML and as JSON.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for format in [Format::Yaml, Format::Json] {
        match read(text, format) {
            Ok(job) => stands(&job),
            Err(problems) => help(&problems, text),
        }
    }
}

fn read(text: &str, format: Format) -> Result<Job, Vec<Problem>> {
    let file = JobFile::parse("job", text, format)?;
    // The document that is sent to another machine can always be made, and is JSON.
    let document = file.document(&VOCABULARY).to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
    with_checks(|checks| file.into_job(&VOCABULARY, *checks))
}

/// Everything but the disk is asked.
fn with_checks<T>(call: impl FnOnce(&Checks<'_>) -> T) -> T {
    let function = |task: &Task| {
        REGISTRY
            .functions
            .build(task, &StopFlag::default())
            .map(|_| ())
    };
    call(&Checks {
        expression: &check_expression,
        function: &function,
        ..Checks::NONE
    })
}

/// A job that was taken passes validation again, and reads back as it is stored and as it is shown.
fn stands(job: &Job) {
    let accepted = with_checks(|checks| accept(job.clone(), &VOCABULARY, checks));
    // As text, in which NaN equals itself.
    assert_eq!(format!("{accepted:?}"), format!("Ok({job:?})"));
    let stored = to_payload(job).expect("a job can be stored");
    let again = from_payload::<Job>(&stored).expect("a stored job can be read");
    assert_eq!(format!("{again:?}"), format!("{job:?}"));
    // JSON has no word for infinity.
    if job.catalog.iter().all(|task| is_finite(&task.params)) {
        let shown = serde_json::to_string(&describe(job)).expect("a job can be shown");
        assert_eq!(read(&shown, Format::Json).as_ref(), Ok(job), "{shown}");
    }
}

fn is_finite(segment: &Segment) -> bool {
    fn one(value: &Value) -> bool {
        match value {
            Value::Float(f) => f.is_finite(),
            Value::List(list) => list.iter().all(one),
            Value::Map(map) => is_finite(map),
            _ => true,
        }
    }
    segment.iter().all(|(_, value)| one(value))
}

/// Problems say something, on one line, at a place that the file has.
fn help(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in problems {
        assert!(!problem.message.is_empty());
        if let Some(position) = problem.position {
            assert!(is_inside(position, text), "{problem}");
        }
    }
}

/// A lone carriage return ends a line of YAML, and is nothing to other parsers.
fn is_inside(position: Position, text: &str) -> bool {
    let as_yaml = text.replace("\r\n", "\n").replace('\r', "\n");
    [text, &as_yaml].into_iter().any(|text| has(text, position))
}

/// The end of a line, and of the file, are places too.
fn has(text: &str, Position { line, column }: Position) -> bool {
    let lines: Vec<&str> = text.split('\n').collect();
    let Some(found) = line
        .checked_sub(1)
        .and_then(|line| lines.get(line as usize))
    else {
        return false;
    };
    (1..=found.chars().count() as u64 + 1).contains(&column)
}
