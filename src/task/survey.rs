//! What an input found when its job began, kept with the job: its slots divide that.

use super::exception::{Fault, Phase, guarded};
use super::medium::ClaimFailed;
use super::start::TaskServices;
use crate::codec::{from_payload, to_payload};
use crate::coordination::{CoordinationError, Node, Put, patiently, read_blob, write_blob};
use crate::job::Task;
use crate::log::wants::Assignment;
use crate::segment::Segment;

/// What the medium of an input consisted of when the job began, if its plugin looks: whoever looks
/// first says so for all slots, since what is divided must be the same for all of them.
pub(super) async fn survey(
    services: &TaskServices,
    assignment: &Assignment,
    task: &Task,
) -> Result<Option<Segment>, ClaimFailed> {
    let plugin = task.plugin.as_deref().unwrap_or_default();
    let Some(survey) = services.registry.plugins.survey(plugin) else {
        return Ok(None);
    };
    let session = &*services.session;
    let node = || Node::Survey(assignment.job, assignment.task.clone());
    let read = || read_blob(session, node());
    let mut stored = patiently(session, read).await?;
    if stored.is_none() {
        let found = guarded(Phase::StartTask, || {
            let files = &services.registry.files;
            survey(task, files).map_err(|error| Fault::in_phase(Phase::StartTask, error))
        })?;
        let data = to_payload(&found).map_err(|error| unreadable(assignment, error))?;
        let write = || write_blob(session, node(), data.clone(), Put::IfAbsent);
        patiently(session, write).await?;
        stored = patiently(session, read).await?;
    }
    let data = stored.ok_or_else(|| unreadable(assignment, "it was there a moment ago"))?;
    let survey = from_payload(&data).map_err(|error| unreadable(assignment, error))?;
    Ok(Some(survey))
}

fn unreadable(assignment: &Assignment, error: impl std::fmt::Display) -> CoordinationError {
    CoordinationError::Refused {
        what: format!("the survey of task {}", assignment.task),
        reason: error.to_string(),
    }
}
