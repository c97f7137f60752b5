//! Data of any size in nodes of a bounded one.
//!
//! What fits into a node is one. What does not is cut into pieces, nodes of their own, and the node
//! itself holds a head that says where they are. Pieces are written before the head, so that a head
//! always has its pieces; a reader that finds them gone has lost a race, and looks at the head again.

use super::{
    Coordination, CoordinationError, NODE_BYTES_MAX, Node, Put, Written, patiently, refused,
};
use crate::codec::{from_payload, to_payload};
use crate::ids::{EntrySource, LogPosition};
use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The first byte of a head. Payloads begin with their format version, which is small, and no text
/// begins with this byte.
const HEAD: u8 = 0xff;

/// A piece has at most so many bytes; and so many are under way at once.
const PIECE_BYTES: usize = NODE_BYTES_MAX / 2;
const PIECES_IN_FLIGHT: usize = 8;

/// How often a reader looks again before it says that pieces are missing.
const LOOKS: usize = 5;

/// Where the pieces of a node are, and what they make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Head {
    /// Tells the pieces of one writing from those of another.
    mark: u64,
    pieces: u32,
    bytes: u64,
    checksum: u32,
}

impl Head {
    pub(super) fn of(data: &[u8], mark: u64) -> Self {
        Head {
            mark,
            pieces: u32::try_from(data.len().div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX),
            bytes: data.len() as u64,
            checksum: crc32fast::hash(data),
        }
    }

    pub(super) fn pieces(&self) -> u32 {
        self.pieces
    }
}

/// The bytes of what stands for data in pieces.
fn marked(head: &impl Serialize, what: &str) -> Result<Vec<u8>, CoordinationError> {
    let mut bytes = vec![HEAD];
    bytes.extend(to_payload(head).map_err(|error| refused(what, error))?);
    Ok(bytes)
}

/// What stands for data in pieces; none when this is the data.
fn unmarked<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&HEAD, payload) = bytes.split_first()? else {
        return None;
    };
    from_payload(payload).ok()
}

/// Writes data of any size to a node of a job.
pub async fn write_blob(
    session: &dyn Coordination,
    node: Node,
    data: Vec<u8>,
    put: Put,
) -> Result<Written, CoordinationError> {
    if data.len() <= NODE_BYTES_MAX {
        return session.put(node, data, put).await;
    }
    let what = format!("{node:?}");
    let present = session.get(node.clone()).await?;
    let present: Option<Head> = present.as_deref().and_then(unmarked);
    let head = match put {
        // Of several writers one wins, and the others must not have touched its pieces.
        Put::IfAbsent => Head::of(&data, content_mark(&data)),
        // The pieces that the head of the moment has are kept until the next writing.
        Put::Always => Head::of(&data, u64::from(present.is_some_and(|head| head.mark == 0))),
    };
    let piece = |index| Node::JobPiece(Box::new(node.clone()), head.mark, index);
    write_pieces(session, &data, piece).await?;
    let written = session
        .put(node.clone(), marked(&head, &what)?, put)
        .await?;
    if written == Written::KeptExisting {
        let kept = session.get(node.clone()).await?;
        let kept: Option<Head> = kept.as_deref().and_then(unmarked);
        if kept.is_none_or(|kept| kept.mark != head.mark) {
            session
                .delete((0..head.pieces).map(piece).collect())
                .await?;
        }
    }
    Ok(written)
}

fn content_mark(data: &[u8]) -> u64 {
    u64::from(crc32fast::hash(data)) << 32 | data.len() as u64 & 0xffff_ffff
}

/// Reads data of any size from a node of a job; none when it is not there.
pub async fn read_blob(
    session: &dyn Coordination,
    node: Node,
) -> Result<Option<Vec<u8>>, CoordinationError> {
    for _ in 0..LOOKS {
        let Some(data) = session.get(node.clone()).await? else {
            return Ok(None);
        };
        let Some(head) = unmarked::<Head>(&data) else {
            return Ok(Some(data));
        };
        let piece = |index| Node::JobPiece(Box::new(node.clone()), head.mark, index);
        if let Some(data) = read_pieces(session, &head, piece).await? {
            return Ok(Some(data));
        }
    }
    Err(refused(
        &format!("to read {node:?}"),
        "pieces of it are missing",
    ))
}

pub(super) async fn write_pieces(
    session: &dyn Coordination,
    data: &[u8],
    piece: impl Fn(u32) -> Node,
) -> Result<(), CoordinationError> {
    let pieces: Vec<(u32, &[u8])> = (0..).zip(data.chunks(PIECE_BYTES)).collect();
    for pieces in pieces.chunks(PIECES_IN_FLIGHT) {
        let puts = pieces
            .iter()
            .map(|(index, data)| session.put(piece(*index), data.to_vec(), Put::Always));
        try_join_all(puts).await?;
    }
    Ok(())
}

/// None when pieces are missing or belong to another writing.
pub(super) async fn read_pieces(
    session: &dyn Coordination,
    head: &Head,
    piece: impl Fn(u32) -> Node,
) -> Result<Option<Vec<u8>>, CoordinationError> {
    let mut data = Vec::new();
    let indices: Vec<u32> = (0..head.pieces).collect();
    for indices in indices.chunks(PIECES_IN_FLIGHT) {
        let gets = indices.iter().map(|index| session.get(piece(*index)));
        for piece in try_join_all(gets).await? {
            let Some(piece) = piece else { return Ok(None) };
            data.extend(piece);
        }
    }
    let whole = data.len() as u64 == head.bytes && crc32fast::hash(&data) == head.checksum;
    Ok(whole.then_some(data))
}

/// Appends an entry of any size. One that is written again under its source, because the outcome
/// was unknown, has the same pieces.
pub async fn append_entry(
    session: &dyn Coordination,
    source: EntrySource,
    payload: &[u8],
) -> Result<LogPosition, CoordinationError> {
    if payload.len() <= NODE_BYTES_MAX {
        return session.append(payload.to_vec()).await;
    }
    let piece = |index| Node::EntryPiece(source, index);
    write_pieces(session, payload, piece).await?;
    let large = LargeEntry {
        source,
        head: Head::of(payload, 0),
    };
    session.append(marked(&large, "an entry")?).await
}

/// What stands in the log in place of a large entry.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LargeEntry {
    source: EntrySource,
    head: Head,
}

/// The entries from a position on, as [`Coordination::read`] has them, the large ones whole. A large
/// one of which pieces are missing is read again: if the entry is still there, it never had them.
pub async fn read_entries(
    session: &dyn Coordination,
    from: LogPosition,
    max: usize,
) -> Result<Vec<Vec<u8>>, CoordinationError> {
    let mut entries = session.read(from, max).await?;
    for (position, entry) in (from.0..).map(LogPosition).zip(&mut entries) {
        let Some(LargeEntry { source, head }) = unmarked(entry) else {
            continue;
        };
        let piece = |index| Node::EntryPiece(source, index);
        let read = || read_pieces(session, &head, piece);
        match patiently(session, read).await? {
            Some(whole) => *entry = whole,
            None => {
                let again = patiently(session, || session.read(position, 1)).await?;
                *entry = again.into_iter().next().unwrap_or_default();
            }
        }
    }
    Ok(entries)
}
