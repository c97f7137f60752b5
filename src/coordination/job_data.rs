//! The data of a job beside the log: written before the entry that submits it, read by whoever runs
//! one of its tasks.

use super::{
    Coordination, CoordinationError, Folder, Node, Owner, Put, Written, read_blob, refused,
    write_blob,
};
use crate::codec::{from_payload, to_payload};
use crate::ids::{ContentHash, JobId, TaskName};
use crate::job::content::content_hash;
use crate::job::percent::Percent;
use crate::job::{AckerRule, Job, Lifecycle, Sends, Task, TaskScheduler};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    name: String,
    task_scheduler: TaskScheduler,
    #[serde(default)]
    percentage: Option<Percent>,
    #[serde(default)]
    sends: Sends,
    #[serde(default)]
    ackers: AckerRule,
    #[serde(default)]
    content: Option<ContentHash>,
}

/// Writes what a job is made of, and keeps what is there when another job has the id. Its hash comes
/// first, so that of two that are submitted at once under one id no parts are mixed.
pub async fn write_job(
    session: &dyn Coordination,
    id: JobId,
    job: &Job,
) -> Result<Written, CoordinationError> {
    let content = Some(content_hash(job));
    let metadata = Metadata {
        name: job.name.clone(),
        task_scheduler: job.task_scheduler,
        percentage: job.percentage,
        sends: job.sends,
        ackers: job.ackers.clone(),
        content,
    };
    let metadata = encode("the job's metadata", &metadata)?;
    let claim = write_blob(session, Node::JobMetadata(id), metadata, Put::IfAbsent);
    if claim.await? == Written::KeptExisting {
        let theirs: Option<Metadata> = read(session, Node::JobMetadata(id)).await?;
        if theirs.is_some_and(|theirs| theirs.content != content) {
            return Ok(Written::KeptExisting);
        }
    }
    let parts = [
        (Node::Catalog(id), encode("the catalog", &job.catalog)?),
        (Node::Workflow(id), encode("the workflow", &job.workflow)?),
        (
            Node::Lifecycles(id),
            encode("the lifecycles", &job.lifecycles)?,
        ),
    ];
    for (node, data) in parts {
        write_blob(session, node, data, Put::IfAbsent).await?;
    }
    Ok(Written::Yes)
}

/// Reads what a job is made of; none when any part of it is not there.
pub async fn read_job(
    session: &dyn Coordination,
    id: JobId,
) -> Result<Option<Job>, CoordinationError> {
    let catalog: Option<Vec<Task>> = read(session, Node::Catalog(id)).await?;
    let workflow: Option<Vec<(TaskName, TaskName)>> = read(session, Node::Workflow(id)).await?;
    let lifecycles: Option<Vec<Lifecycle>> = read(session, Node::Lifecycles(id)).await?;
    let metadata: Option<Metadata> = read(session, Node::JobMetadata(id)).await?;
    let (Some(catalog), Some(workflow), Some(lifecycles), Some(metadata)) =
        (catalog, workflow, lifecycles, metadata)
    else {
        return Ok(None);
    };
    let Metadata {
        name,
        task_scheduler,
        percentage,
        sends,
        ackers,
        content: _,
    } = metadata;
    Ok(Some(Job {
        name,
        workflow,
        catalog,
        lifecycles,
        task_scheduler,
        percentage,
        sends,
        ackers,
    }))
}

/// The nodes of what a job is made of. Its metadata is the last, so that what is deleted by half is
/// found again.
pub(super) fn nodes_of(id: JobId) -> [Node; 4] {
    [
        Node::Catalog(id),
        Node::Workflow(id),
        Node::Lifecycles(id),
        Node::JobMetadata(id),
    ]
}

/// Deletes what a job is made of that nobody has taken, and nobody else knows.
pub async fn delete_job(session: &dyn Coordination, id: JobId) -> Result<(), CoordinationError> {
    let pieces = session.list(Folder::Pieces).await?.into_iter();
    let pieces = pieces.filter(|name| Owner::of(Folder::Pieces, name) == Owner::Job(id));
    let pieces = pieces.map(|name| Node::Listed(Folder::Pieces, name));
    session.delete(pieces.chain(nodes_of(id)).collect()).await
}

fn encode<T: Serialize>(what: &str, value: &T) -> Result<Vec<u8>, CoordinationError> {
    to_payload(value).map_err(|error| refused(&format!("to store {what}"), error))
}

async fn read<T: DeserializeOwned>(
    session: &dyn Coordination,
    node: Node,
) -> Result<Option<T>, CoordinationError> {
    let what = format!("to read {node:?}");
    let Some(data) = read_blob(session, node).await? else {
        return Ok(None);
    };
    let value = from_payload(&data).map_err(|error| refused(&what, error))?;
    Ok(Some(value))
}
