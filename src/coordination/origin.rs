//! The origin: the replica as of a position, from which a reader starts whose entries are gone.
//!
//! It is stored in pieces, as [blobs](super::write_blob) are. A manifest, one node, says which pieces
//! make the origin; whoever stores another one writes its pieces first and then switches the
//! manifest, if that is still what it was and an older one. So there is one origin at any time, it is
//! whole, and positions only grow, whoever collects at once and wherever he dies.

use super::blob::{Head, read_pieces, write_pieces};
use super::{Coordination, CoordinationError, Node, Revision, Written, refused};
use crate::codec::{from_payload, to_payload};
use crate::ids::{JobId, LogPosition};
use crate::replica::Replica;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The replica after the entry at a position.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The last entry that is part of it.
    pub position: LogPosition,
    /// The replica after it.
    pub replica: Replica,
}

/// Which origin there is, and what was deleted since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// The last entry that is part of the origin.
    pub position: LogPosition,
    /// Who stored it.
    pub collector: Uuid,
    /// The position of the origin before.
    pub previous: LogPosition,
    /// Entries before this one, and the data of jobs that were collected up to it, are deleted.
    pub cleared: LogPosition,
    /// What killed the jobs that were collected up to this entry is deleted.
    pub causes_cleared: LogPosition,
    /// Jobs that were stored and not in the replica when it was last looked: whoever submits one of
    /// them has had until the next collection.
    #[serde(default)]
    pub strangers: BTreeSet<JobId>,
    head: Head,
}

impl Manifest {
    /// How many pieces the origin has.
    pub fn pieces(&self) -> u32 {
        self.head.pieces()
    }

    fn piece(&self, index: u32) -> Node {
        Node::OriginPiece(self.position, self.collector, index)
    }
}

/// What became of an origin that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is the origin.
    Yes(Manifest),
    /// There is one of this position, or a later one, already.
    Superseded,
}

/// How often a reader looks again before it says that the origin is damaged.
const LOOKS: usize = 8;

fn unusable(reason: impl std::fmt::Display) -> CoordinationError {
    CoordinationError::OriginUnusable(reason.to_string())
}

/// The manifest of the moment, and its revision; none when nothing was ever collected.
pub async fn read_manifest(
    session: &dyn Coordination,
) -> Result<Option<(Manifest, Revision)>, CoordinationError> {
    let Some((data, revision)) = session.get_revised(Node::Origin).await? else {
        return Ok(None);
    };
    let manifest = from_payload(&data).map_err(unusable)?;
    Ok(Some((manifest, revision)))
}

/// Reads the origin; none when nothing was ever collected.
pub async fn read_origin(session: &dyn Coordination) -> Result<Option<Origin>, CoordinationError> {
    for _ in 0..LOOKS {
        let Some((manifest, _)) = read_manifest(session).await? else {
            return Ok(None);
        };
        let piece = |index| manifest.piece(index);
        // Without its pieces it is another's turn already.
        let Some(data) = read_pieces(session, &manifest.head, piece).await? else {
            continue;
        };
        let replica = from_payload(&data).map_err(unusable)?;
        let position = manifest.position;
        return Ok(Some(Origin { position, replica }));
    }
    Err(unusable("pieces of it are missing"))
}

/// The bytes that an origin is stored as.
pub fn encode(replica: &Replica) -> Result<Vec<u8>, CoordinationError> {
    to_payload(replica).map_err(|error| refused("to store the origin", error))
}

/// Stores the bytes of a replica as the origin of a position. The collector's id is used once.
pub async fn store(
    session: &dyn Coordination,
    collector: Uuid,
    position: LogPosition,
    replica: &[u8],
) -> Result<Stored, CoordinationError> {
    let head = Head::of(replica, 0);
    let pieces = head.pieces();
    let piece = |index| Node::OriginPiece(position, collector, index);
    write_pieces(session, replica, piece).await?;
    let stored = switch(session, collector, position, head).await?;
    if stored == Stored::Superseded {
        session.delete((0..pieces).map(piece).collect()).await?;
    }
    Ok(stored)
}

async fn switch(
    session: &dyn Coordination,
    collector: Uuid,
    position: LogPosition,
    head: Head,
) -> Result<Stored, CoordinationError> {
    loop {
        let present = read_manifest(session).await?;
        let (old, revision) = match present {
            Some((old, _)) if old.collector == collector => return Ok(Stored::Yes(old)),
            Some((old, _)) if old.position >= position => return Ok(Stored::Superseded),
            Some((old, revision)) => (Some(old), Some(revision)),
            None => (None, None),
        };
        let nothing = LogPosition(0);
        let manifest = Manifest {
            position,
            collector,
            previous: old.as_ref().map_or(nothing, |old| old.position),
            cleared: old.as_ref().map_or(nothing, |old| old.cleared),
            causes_cleared: old.as_ref().map_or(nothing, |old| old.causes_cleared),
            strangers: old.map(|old| old.strangers).unwrap_or_default(),
            head: head.clone(),
        };
        if write_manifest(session, &manifest, revision).await? == Written::Yes {
            return Ok(Stored::Yes(manifest));
        }
    }
}

/// Writes down that what an origin made superfluous is deleted, and which jobs nobody knew, unless
/// there is another by now.
pub(super) async fn note_cleared(
    session: &dyn Coordination,
    manifest: &Manifest,
    strangers: BTreeSet<JobId>,
) -> Result<(), CoordinationError> {
    let Some((present, revision)) = read_manifest(session).await? else {
        return Ok(());
    };
    if (present.position, present.collector) != (manifest.position, manifest.collector) {
        return Ok(());
    }
    let cleared = Manifest {
        cleared: manifest.position,
        causes_cleared: manifest.previous,
        strangers,
        ..present
    };
    // Another origin that came between will have it deleted again, which does no harm.
    write_manifest(session, &cleared, Some(revision))
        .await
        .map(drop)
}

async fn write_manifest(
    session: &dyn Coordination,
    manifest: &Manifest,
    seen: Option<Revision>,
) -> Result<Written, CoordinationError> {
    let data = to_payload(manifest).map_err(|error| refused("to store the origin", error))?;
    session.replace(Node::Origin, data, seen).await
}
