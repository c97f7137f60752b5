//! Collecting the log: an origin is stored, and what it makes superfluous is deleted.
//!
//! A collector may die anywhere: the manifest says up to where its predecessors have come, and the
//! next one goes on there.

use super::job_data::nodes_of;
use super::origin::{Manifest, Stored, encode, note_cleared, store};
use super::{Coordination, CoordinationError, Folder, Node, Owner, patiently, refused};
use crate::ids::{EntrySource, JobId, LogPosition};
use crate::replica::{Replica, Tombstone};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// What a collection came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Collected {
    /// Readers start behind this entry now.
    pub position: LogPosition,
    /// How many entries the log has left.
    pub entries_left: u64,
    /// How many bytes the origin has.
    pub origin_bytes: u64,
    /// How many nodes the origin is split into.
    pub origin_pieces: u32,
    /// Of how many jobs data was deleted.
    pub jobs: u64,
    /// Of how many submissions that nobody took.
    pub not_taken: u64,
}

/// So many jobs that nobody knows are remembered until the next collection; others are for later
/// ones.
const STRANGERS_MAX: usize = 1_000;

/// What was deleted besides entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cleared {
    jobs: u64,
    not_taken: u64,
}

/// Stores the replica after the entry at a position as the origin, and deletes what is before it.
/// None when another collector has come further already.
pub async fn collect(
    session: &dyn Coordination,
    collector: Uuid,
    position: LogPosition,
    replica: Arc<Replica>,
) -> Result<Option<Collected>, CoordinationError> {
    let encoded = {
        let replica = Arc::clone(&replica);
        // A large replica takes a while, during which the log goes on.
        tokio::task::spawn_blocking(move || encode(&replica)).await
    };
    let encoded = encoded.map_err(|error| refused("to store the origin", error))??;
    let storing = || store(session, collector, position, &encoded);
    let Stored::Yes(manifest) = patiently(session, storing).await? else {
        return Ok(None);
    };
    let Cleared { jobs, not_taken } =
        patiently(session, || clear(session, &manifest, &replica)).await?;
    Ok(Some(Collected {
        position,
        entries_left: patiently(session, || session.log_len()).await?,
        origin_bytes: encoded.len() as u64,
        origin_pieces: manifest.pieces(),
        jobs,
        not_taken,
    }))
}

/// Deletes what an origin makes superfluous. The entry at its position stays, so that a log that was
/// lost can be told from one that was collected.
async fn clear(
    session: &dyn Coordination,
    manifest: &Manifest,
    replica: &Replica,
) -> Result<Cleared, CoordinationError> {
    session
        .delete_entries(manifest.cleared..manifest.position)
        .await?;
    let jobs = clear_jobs(session, manifest, replica).await?;
    for folder in [Folder::Checkpoints, Folder::Traces] {
        clear_listed(session, folder, |owner| match owner {
            Owner::Job(job) => has_ended(replica, job),
            _ => false,
        })
        .await?;
    }
    let unknown = unknown_jobs(session, replica).await?;
    let (not_taken, strangers): (BTreeSet<JobId>, BTreeSet<JobId>) = unknown
        .into_iter()
        .partition(|job| manifest.strangers.contains(job));
    clear_listed(session, Folder::Pieces, |owner| match owner {
        Owner::Job(job) => has_ended(replica, job) || not_taken.contains(&job),
        Owner::Cause(job) => causes_end(manifest, replica.jobs.tombstones.get(&job)),
        Owner::Entry(source) => entry_is_over(manifest, replica, &source),
        Owner::Origin(..) | Owner::Other => false,
    })
    .await?;
    // Of collectors that came too late, or died.
    clear_listed(
        session,
        Folder::Origin,
        |owner| matches!(owner, Owner::Origin(position, _) if position < manifest.position),
    )
    .await?;
    let nodes = not_taken.iter().copied().flat_map(nodes_of);
    session.delete(nodes.collect()).await?;
    let strangers = strangers.into_iter().take(STRANGERS_MAX).collect();
    note_cleared(session, manifest, strangers).await?;
    let not_taken = not_taken.len() as u64;
    Ok(Cleared { jobs, not_taken })
}

/// The jobs that are stored and not in the log. Each may be about to be submitted.
async fn unknown_jobs(
    session: &dyn Coordination,
    replica: &Replica,
) -> Result<BTreeSet<JobId>, CoordinationError> {
    let names = session.list(Folder::Metadata).await?;
    let owners = names.iter().map(|name| Owner::of(Folder::Metadata, name));
    let unknown = owners.filter_map(|owner| match owner {
        Owner::Job(job) if !replica.jobs.is_known(job) => Some(job),
        _ => None,
    });
    Ok(unknown.collect())
}

fn has_ended(replica: &Replica, job: JobId) -> bool {
    replica.jobs.is_known(job) && !replica.jobs.is_live(job)
}

/// Whether an entry is before the origin's position, or will never be written. The one at that
/// position stays.
fn entry_is_over(manifest: &Manifest, replica: &Replica, source: &EntrySource) -> bool {
    let stays = (source.sequence, manifest.position);
    replica.writers.has_seen(source) && replica.writers.last.get(&source.writer) != Some(&stays)
}

/// What killed a job is kept for one more collection: whoever waits for the job may be late.
fn causes_end(manifest: &Manifest, tombstone: Option<&Tombstone>) -> bool {
    tombstone.is_some_and(|tombstone| {
        (manifest.causes_cleared.0 + 1..=manifest.previous.0).contains(&tombstone.collected.0)
    })
}

async fn clear_jobs(
    session: &dyn Coordination,
    manifest: &Manifest,
    replica: &Replica,
) -> Result<u64, CoordinationError> {
    let mut nodes = Vec::new();
    let mut jobs = 0;
    for (job, tombstone) in replica.jobs.tombstones.iter() {
        if tombstone.collected > manifest.cleared {
            jobs += 1;
            nodes.extend(nodes_of(*job));
        }
        if causes_end(manifest, Some(tombstone)) {
            nodes.push(Node::Exception(*job));
        }
    }
    session.delete(nodes).await?;
    Ok(jobs)
}

async fn clear_listed(
    session: &dyn Coordination,
    folder: Folder,
    is_over: impl Fn(Owner) -> bool,
) -> Result<(), CoordinationError> {
    let mut names = session.list(folder).await?;
    names.retain(|name| is_over(Owner::of(folder, name)));
    let nodes = names.into_iter().map(|name| Node::Listed(folder, name));
    session.delete(nodes.collect()).await
}
