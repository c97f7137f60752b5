//! Exceptions: errors and panics of user code and plugins, as values.

use super::lifecycles::{Handling, LifecycleCalls};
use crate::ids::{JobId, SlotId, TaskName};
use serde::Serialize;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What went wrong in a phase of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exception {
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskName,
    /// The slot.
    pub slot: SlotId,
    /// Where in the batch or the task's life.
    pub phase: Phase,
    /// What it said.
    pub message: String,
    /// The segment it was about, as JSON, when it was about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

/// The places in which user code and plugins run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Building functions and plugins, `before-task-start`.
    StartTask,
    /// `before-batch`.
    InjectResources,
    /// Polling an input.
    ReadBatch,
    /// The task's function.
    ApplyFunction,
    /// Encoding new segments.
    BuildNewSegments,
    /// Writing to an output.
    WriteBatch,
    /// Saving an input's position.
    Checkpoint,
    /// `after-batch`.
    CloseResources,
    /// Sealing an output.
    SealTask,
}

impl Phase {
    /// All of them, each at the place of its number.
    pub const ALL: [Phase; 9] = [
        Phase::StartTask,
        Phase::InjectResources,
        Phase::ReadBatch,
        Phase::ApplyFunction,
        Phase::BuildNewSegments,
        Phase::WriteBatch,
        Phase::Checkpoint,
        Phase::CloseResources,
        Phase::SealTask,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::StartTask => "start-task",
            Phase::InjectResources => "inject-resources",
            Phase::ReadBatch => "read-batch",
            Phase::ApplyFunction => "apply-function",
            Phase::BuildNewSegments => "build-new-segments",
            Phase::WriteBatch => "write-batch",
            Phase::Checkpoint => "checkpoint",
            Phase::CloseResources => "close-resources",
            Phase::SealTask => "seal-task",
        })
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "task {} (slot {}), {}: {}",
            self.task, self.slot, self.phase, self.message
        )?;
        match &self.segment {
            Some(segment) => write!(f, "; segment {segment}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Exception {}

/// What a phase ran into, before it is known which task it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub phase: Phase,
    /// What it said.
    pub message: String,
    /// The segment it was about, as JSON.
    pub segment: Option<String>,
}

impl Fault {
    /// A fault that is about no segment.
    pub fn in_phase(phase: Phase, message: impl fmt::Display) -> Self {
        Fault {
            phase,
            message: message.to_string(),
            segment: None,
        }
    }
}

/// The longest text of a segment that an exception carries.
pub const SEGMENT_TEXT_BYTES_MAX: usize = 2_000;

/// The longest message of an exception. Users format whole values into theirs.
pub const MESSAGE_BYTES_MAX: usize = 8_000;

/// The longest reason for which a root is given back. It travels to its source.
pub const REASON_BYTES_MAX: usize = 300;

/// A text of bounded length; what was cut off is told by an ellipsis.
pub fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

/// Runs user code; a panic in it becomes a fault like any other.
///
/// The code may leave its own state broken, which is why whoever handles the fault ends the task.
pub fn guarded<T>(phase: Phase, run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Fault::in_phase(phase, panic_message(&*panic))))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Asks the task's exception handlers in order; the first that does not defer decides, and the job
/// is killed when all do.
pub fn handle(lifecycles: &[LifecycleCalls], exception: &Exception) -> Handling {
    let answers = lifecycles
        .iter()
        .filter_map(|calls| calls.handle_exception.as_ref());
    for handler in answers {
        let answer = catch_unwind(AssertUnwindSafe(|| handler(exception)));
        match answer {
            Ok(Handling::Defer) => {}
            Ok(decided) => return decided,
            Err(_) => {
                tracing::error!(job = %exception.job, task = %exception.task, "an exception handler panicked; it is passed over")
            }
        }
    }
    Handling::Kill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdSource;
    use std::sync::Arc;

    fn exception() -> Exception {
        Exception {
            job: IdSource::from_seed(1).job(),
            task: "t".into(),
            slot: SlotId(0),
            phase: Phase::ApplyFunction,
            message: "no".into(),
            segment: None,
        }
    }

    fn answering(answer: Handling) -> LifecycleCalls {
        LifecycleCalls {
            handle_exception: Some(Arc::new(move |_| answer)),
            ..LifecycleCalls::default()
        }
    }

    #[test]
    fn the_first_handler_that_does_not_defer_decides() {
        let calls = [
            answering(Handling::Defer),
            answering(Handling::Restart),
            answering(Handling::Kill),
        ];
        assert_eq!(handle(&calls, &exception()), Handling::Restart);
    }

    #[test]
    fn without_a_decision_the_job_is_killed() {
        assert_eq!(
            handle(&[answering(Handling::Defer)], &exception()),
            Handling::Kill
        );
        assert_eq!(handle(&[], &exception()), Handling::Kill);
    }

    #[test]
    fn a_panic_is_a_fault_with_its_message() {
        let fault = guarded(Phase::ApplyFunction, || -> Result<(), Fault> {
            panic!("odd {}", 3)
        });
        assert_eq!(
            fault,
            Err(Fault::in_phase(Phase::ApplyFunction, "panicked: odd 3"))
        );
    }
}
