//! The tail of the log, for whoever follows it: entries, or the origin in place of entries that are
//! gone.

use super::origin::{Origin, read_manifest, read_origin};
use super::{Attempts, Coordination, CoordinationError, connected, patiently, read_entries};
use crate::ids::LogPosition;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;

/// Entries of one read when the log is followed, and when there is a backlog; and how many of those
/// are under way at once.
const READ_FOLLOWING: usize = 8;
const READ_BACKLOG: usize = 128;
const READS_IN_FLIGHT: u64 = 4;

/// So many entries in one piece are followed by still more.
pub const BACKLOG: usize = READ_BACKLOG * READS_IN_FLIGHT as usize;

/// A watch that was lost is made up for after this long.
const BELT: Duration = Duration::from_secs(15);

/// And so is one that came too late: of an entry that was written, and collected, before its reader
/// watched for it no watch tells.
const FIRST_BELT: Duration = Duration::from_millis(500);

/// How much of the log is still to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Probably more than one read.
    Ahead,
    /// Nothing, a moment ago.
    Reached,
}

impl Tail {
    /// After so many entries.
    pub fn after(entries: usize) -> Self {
        match entries >= READ_FOLLOWING {
            true => Tail::Ahead,
            false => Tail::Reached,
        }
    }
}

/// What comes next.
pub enum News {
    /// The entries from the position on that was asked for.
    Entries(Vec<Vec<u8>>),
    /// That position is part of an origin, and its entry is gone or need not be read.
    Origin(Origin),
}

/// What comes at a position and after it, as soon as there is something. Where nothing was left a
/// moment ago the watch comes first: then an entry is here after one notification and one read.
pub async fn next(
    session: Arc<dyn Coordination>,
    from: LogPosition,
    mut tail: Tail,
) -> Result<News, CoordinationError> {
    let session = &*session;
    let (mut looks, mut waits) = (Attempts::of(session), Attempts::of(session));
    let mut belt = FIRST_BELT;
    loop {
        if tail == Tail::Reached {
            match wait_at_most(belt, session, from).await {
                Ok(()) => waits = Attempts::of(session),
                Err(CoordinationError::Interrupted(cause)) => waits.again(&cause).await?,
                Err(error) => return Err(error),
            }
        }
        match look(session, from, tail).await {
            Ok(Some(news)) => return Ok(news),
            Ok(None) => {
                (tail, belt) = match tail {
                    Tail::Ahead => (Tail::Reached, FIRST_BELT),
                    Tail::Reached => (Tail::Reached, BELT),
                };
                looks = Attempts::of(session);
            }
            Err(CoordinationError::Interrupted(cause)) => looks.again(&cause).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Answers when something may have come at a position, and after a while in any case.
pub async fn wait_a_while(
    session: &dyn Coordination,
    from: LogPosition,
) -> Result<(), CoordinationError> {
    wait_at_most(BELT, session, from).await
}

async fn wait_at_most(
    belt: Duration,
    session: &dyn Coordination,
    from: LogPosition,
) -> Result<(), CoordinationError> {
    tokio::select! {
        waited = session.wait_for(from) => waited,
        () = back_again(session) => Ok(()),
        () = tokio::time::sleep(belt) => Ok(()),
    }
}

/// Answers when a connection is there again after it was lost: of an entry that came and was
/// collected meanwhile no watch tells.
async fn back_again(session: &dyn Coordination) {
    let mut state = session.state();
    state.mark_unchanged();
    // A session that is over tells whoever looks.
    let _ = state.changed().await;
    let _ = connected(session).await;
}

/// What is there at a position and after it; none when nothing is yet.
pub async fn look(
    session: &dyn Coordination,
    from: LogPosition,
    tail: Tail,
) -> Result<Option<News>, CoordinationError> {
    // Whoever starts has nothing to lose, and the origin is the shorter way.
    if from == LogPosition(0)
        && let Some(origin) = read_origin(session).await?
    {
        return Ok(Some(News::Origin(origin)));
    }
    let entries = match tail {
        Tail::Reached => read_fitting(session, from, READ_FOLLOWING).await?,
        Tail::Ahead => read_backlog(session, from).await?,
    };
    if entries.is_empty() {
        let origin = overtaken(session, from).await?;
        return Ok(origin.map(News::Origin));
    }
    // A number that was skipped, or an entry that is gone: the origin knows.
    if let Some(gap) = entries.iter().position(Vec::is_empty) {
        let gap = LogPosition(from.0 + gap as u64);
        if let Some(origin) = origin_beyond(session, gap).await? {
            return Ok(Some(News::Origin(origin)));
        }
    }
    Ok(Some(News::Entries(entries)))
}

/// Several reads at once, up to the first that is not full.
async fn read_backlog(
    session: &dyn Coordination,
    from: LogPosition,
) -> Result<Vec<Vec<u8>>, CoordinationError> {
    let starts = (0..READS_IN_FLIGHT).map(|n| LogPosition(from.0 + n * READ_BACKLOG as u64));
    let reads = starts.map(|start| read_fitting(session, start, READ_BACKLOG));
    let mut entries = Vec::new();
    for read in try_join_all(reads).await? {
        let is_full = read.len() == READ_BACKLOG;
        entries.extend(read);
        if !is_full {
            break;
        }
    }
    Ok(entries)
}

/// At most so many entries, and fewer where they are so large that a server refuses to send them at
/// once.
async fn read_fitting(
    session: &dyn Coordination,
    from: LogPosition,
    mut max: usize,
) -> Result<Vec<Vec<u8>>, CoordinationError> {
    loop {
        match read_entries(session, from, max).await {
            Err(CoordinationError::Refused { .. }) if max > 1 => max /= 2,
            known => return known,
        }
    }
}

/// There is nothing at a position yet; unless the log was collected beyond it, or is not the one
/// that was read: a server that came back without its data would let its readers wait for ever.
async fn overtaken(
    session: &dyn Coordination,
    from: LogPosition,
) -> Result<Option<Origin>, CoordinationError> {
    let Some(last) = from.0.checked_sub(1).map(LogPosition) else {
        return Ok(None);
    };
    let applied = patiently(session, || session.read(last, 1)).await?;
    // An entry without a byte is one as well: only what is not there is gone.
    if !applied.is_empty() {
        return Ok(None);
    }
    // The entry at the position of an origin stays.
    match origin_beyond(session, from).await? {
        Some(origin) => Ok(Some(origin)),
        None => Err(CoordinationError::LogLost(last)),
    }
}

/// The origin, if a position is part of it.
async fn origin_beyond(
    session: &dyn Coordination,
    position: LogPosition,
) -> Result<Option<Origin>, CoordinationError> {
    let manifest = patiently(session, || read_manifest(session)).await?;
    match manifest {
        Some((manifest, _)) if manifest.position >= position => {
            patiently(session, || read_origin(session)).await
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordination::collection::collect;
    use crate::coordination::memory::{Memory, MemoryServer};
    use crate::replica::Replica;
    use uuid::Uuid;

    async fn server(entries: u64) -> (MemoryServer, Arc<Memory>) {
        let server = MemoryServer::default();
        let session = Arc::new(server.connect());
        (0..entries).for_each(|_| server.append_raw(b"entry".to_vec()));
        (server, session)
    }

    async fn collect_to(session: &Memory, position: u64) {
        let (id, replica) = (Uuid::from_u128(position.into()), Arc::<Replica>::default());
        let collected = collect(session, id, LogPosition(position), replica).await;
        assert!(collected.unwrap().is_some());
    }

    /// The sizes of the entries, or the position of the origin.
    async fn read(session: &Arc<Memory>, from: u64, tail: Tail) -> Result<Vec<usize>, u64> {
        let session: Arc<dyn Coordination> = session.clone();
        match next(session, LogPosition(from), tail).await.unwrap() {
            News::Entries(entries) => Ok(entries.iter().map(Vec::len).collect()),
            News::Origin(origin) => Err(origin.position.0),
        }
    }

    #[actix::test]
    async fn whoever_starts_begins_with_the_origin() {
        let (_, session) = server(20).await;
        assert_eq!(read(&session, 0, Tail::Ahead).await, Ok(vec![5; 20]));
        collect_to(&session, 12).await;
        assert_eq!(read(&session, 0, Tail::Ahead).await, Err(12));
        assert_eq!(read(&session, 13, Tail::Ahead).await, Ok(vec![5; 7]));
    }

    #[actix::test]
    async fn what_was_collected_is_made_up_for_by_the_origin_wherever_one_stood() {
        let (_, session) = server(700).await;
        collect_to(&session, 650).await;
        for from in [1, 600, 648, 649] {
            for tail in [Tail::Ahead, Tail::Reached] {
                assert_eq!(read(&session, from, tail).await, Err(650), "from {from}");
            }
        }
        // The entry of the origin itself is there, and so is what follows.
        assert_eq!(read(&session, 650, Tail::Ahead).await, Ok(vec![5; 50]));
        assert_eq!(read(&session, 651, Tail::Reached).await, Ok(vec![5; 8]));
    }

    #[actix::test]
    async fn a_position_that_was_skipped_is_no_reason_to_jump() {
        let (server, session) = server(20).await;
        collect_to(&session, 10).await;
        server.skip_position();
        server.append_raw(b"entry".to_vec());
        assert_eq!(read(&session, 18, Tail::Ahead).await, Ok(vec![5, 5, 0, 5]));
        assert_eq!(read(&session, 20, Tail::Reached).await, Ok(vec![0, 5]));
    }

    #[actix::test]
    async fn a_log_that_is_gone_without_an_origin_is_lost() {
        let (_, session) = server(5).await;
        let session: Arc<dyn Coordination> = session;
        let beyond = next(session.clone(), LogPosition(9), Tail::Ahead).await;
        assert_eq!(
            beyond.err(),
            Some(CoordinationError::LogLost(LogPosition(8)))
        );
    }

    #[actix::test]
    async fn a_long_backlog_is_read_in_several_reads_at_once() {
        let (_, session) = server(1_000).await;
        assert_eq!(
            read(&session, 1, Tail::Ahead).await,
            Ok(vec![5; 4 * READ_BACKLOG])
        );
        assert_eq!(read(&session, 513, Tail::Ahead).await, Ok(vec![5; 487]));
    }
}
