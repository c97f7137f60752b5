//! The origin, and what collecting the log deletes and keeps.

use crate::ground::Ground;
use onyx::coordination::collection::{Collected, collect};
use onyx::coordination::origin::{Origin, Stored, encode, read_manifest, read_origin, store};
use onyx::coordination::tail::{News, Tail, next};
use onyx::coordination::{
    Coordination, Folder, Node, Put, append_entry, patiently, read_blob, read_entries, read_job,
    write_blob, write_job,
};
use onyx::ids::{EntrySource, IdSource, JobId, LogPosition, SlotId, WriterId};
use onyx::job::{Job, Task, TaskKind};
use onyx::replica::{JobRecord, Jobs, Outcome, Replica, Tombstone, Writers};
use std::sync::Arc;
use uuid::Uuid;

fn position(position: u64) -> LogPosition {
    LogPosition(position)
}

fn collector(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn buried(collected: u64) -> Tombstone {
    Tombstone {
        outcome: Outcome::Killed,
        content: None,
        collected: position(collected),
    }
}

/// A replica with so many tombstones, which is as large as it takes.
fn replica(tombstones: usize) -> Arc<Replica> {
    let mut ids = IdSource::from_seed(tombstones as u64);
    let tombstones = (0..tombstones).map(|_| (ids.job(), buried(1)));
    let jobs = Jobs {
        tombstones: tombstones.collect(),
        ..Jobs::default()
    };
    Arc::new(Replica {
        jobs: Arc::new(jobs),
        ..Replica::default()
    })
}

async fn append(session: &dyn Coordination, entries: u64) {
    for _ in 0..entries {
        session.append(b"an entry".to_vec()).await.unwrap();
    }
}

/// Where the log has entries, of the first so many positions.
async fn present(session: &dyn Coordination, positions: u64) -> Vec<u64> {
    let mut present = Vec::new();
    for at in 0..positions {
        let read = session.read(position(at), 1).await.unwrap();
        present.extend(read.first().map(|_| at));
    }
    present
}

async fn collected(
    session: &dyn Coordination,
    number: u128,
    at: u64,
    replica: &Arc<Replica>,
) -> Option<Collected> {
    let collection = collect(session, collector(number), position(at), replica.clone());
    collection.await.unwrap()
}

/// The nodes that hold the origin: its manifest and the pieces.
async fn origin_nodes(session: &dyn Coordination) -> usize {
    session.list(Folder::Origin).await.unwrap().len()
}

pub(crate) async fn an_origin_of_any_size_is_read_back(ground: Ground) {
    let (session, other) = (ground.session().await, ground.session().await);
    assert_eq!(read_origin(&*session).await, Ok(None));
    append(&*session, 8).await;
    for (number, tombstones) in [(1, 0), (2, 12_000), (3, 3)] {
        let replica = replica(tombstones);
        let at = number as u64 * 2;
        let done = collected(&*session, number, at, &replica).await.unwrap();
        assert_eq!(done.origin_pieces > 1, tombstones > 10_000, "{done:?}");
        let origin = Origin {
            position: position(at),
            replica: Replica::clone(&replica),
        };
        other.prove_alive().await.unwrap();
        assert_eq!(read_origin(&*other).await, Ok(Some(origin)));
        // Nothing is left of the one before.
        let nodes = origin_nodes(&*other).await;
        assert_eq!(nodes, 1 + done.origin_pieces as usize);
    }
}

pub(crate) async fn an_older_origin_does_not_replace_a_newer_one(ground: Ground) {
    let session = ground.session().await;
    append(&*session, 8).await;
    let newer = collected(&*session, 1, 5, &replica(3)).await;
    assert!(newer.is_some());
    for at in [4, 5] {
        assert_eq!(collected(&*session, 2, at, &replica(4)).await, None);
    }
    let origin = read_origin(&*session).await.unwrap().unwrap();
    assert_eq!(
        (origin.position, origin.replica),
        (position(5), Replica::clone(&replica(3)))
    );
    // What the late one had written is gone.
    assert_eq!(origin_nodes(&*session).await, 2);
}

pub(crate) async fn entries_before_the_origin_are_deleted_and_their_positions_not_used_again(
    ground: Ground,
) {
    let session = ground.session().await;
    append(&*session, 600).await;
    let done = collected(&*session, 1, 590, &replica(0)).await.unwrap();
    assert_eq!(done.entries_left, 10);
    assert_eq!(session.log_len().await, Ok(10));
    // What is missing before an entry is empty; what is missing before none is not there yet.
    let read = session.read(position(588), 128).await.unwrap();
    let sizes: Vec<usize> = read.iter().map(Vec::len).collect();
    assert_eq!(sizes, [0, 0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
    assert_eq!(
        session.read(position(0), 128).await.unwrap(),
        Vec::<Vec<u8>>::new()
    );
    collected(&*session, 2, 599, &replica(0)).await.unwrap();
    assert_eq!(
        session.append(b"one more".to_vec()).await,
        Ok(position(600))
    );
    assert_eq!(session.log_len().await, Ok(2));
}

pub(crate) async fn collectors_may_work_at_once(ground: Ground) {
    let (one, two) = (ground.session().await, ground.session().await);
    append(&*one, 41).await;
    let (small, large) = (replica(5), replica(12_000));
    for round in 0..5_u64 {
        let at = round * 8 + 6;
        let number = u128::from(round) * 2;
        let reads = async {
            let mut positions = Vec::new();
            for _ in 0..6 {
                let read = patiently(&*two, || read_origin(&*two));
                let origin = read.await.unwrap();
                positions.extend(origin.map(|origin| origin.position));
            }
            assert!(positions.is_sorted(), "{positions:?}");
        };
        let (first, second, ()) = tokio::join!(
            collected(&*one, number, at, &large),
            collected(&*two, number + 1, at + 1, &small),
            reads
        );
        // The later position wins; the other one comes before it or not at all.
        assert!(second.is_some(), "{first:?}");
        one.prove_alive().await.unwrap();
        let origin = read_origin(&*one).await.unwrap().unwrap();
        assert_eq!(
            (origin.position, origin.replica),
            (position(at + 1), Replica::clone(&small))
        );
        assert_eq!(present(&*one, at + 2).await, [at + 1]);
    }
    // Of a slow one that came too late, the next leaves nothing.
    collected(&*one, 99, 40, &small).await.unwrap();
    assert_eq!(origin_nodes(&*one).await, 2);
}

pub(crate) async fn a_collector_that_died_is_cleaned_up_after(ground: Ground) {
    let session = ground.session().await;
    append(&*session, 20).await;
    // One died before the switch: nobody has noticed.
    for piece in 0..3 {
        let piece = Node::OriginPiece(position(4), collector(1), piece);
        session.put(piece, vec![7; 9], Put::Always).await.unwrap();
    }
    assert_eq!(read_origin(&*session).await, Ok(None));
    // Another one died right after it: its origin counts, and nothing is deleted yet.
    let bytes = encode(&replica(2)).unwrap();
    let stored = store(&*session, collector(2), position(8), &bytes)
        .await
        .unwrap();
    assert!(matches!(stored, Stored::Yes(_)));
    // A third one too, before it wrote down what it had deleted.
    session
        .delete_entries(position(0)..position(3))
        .await
        .unwrap();
    let origin = read_origin(&*session).await.unwrap().unwrap();
    assert_eq!(origin.position, position(8));
    assert_eq!(present(&*session, 20).await.len(), 17);
    collected(&*session, 3, 12, &replica(2)).await.unwrap();
    assert_eq!(present(&*session, 20).await, (12..20).collect::<Vec<_>>());
    assert_eq!(origin_nodes(&*session).await, 2);
    let (manifest, _) = read_manifest(&*session).await.unwrap().unwrap();
    assert_eq!(
        (manifest.cleared, manifest.previous),
        (position(12), position(8))
    );
    // A store that is repeated after an unknown outcome has been done.
    let again = store(&*session, collector(3), position(12), &bytes).await;
    assert!(matches!(again, Ok(Stored::Yes(_))));
}

pub(crate) async fn who_waits_for_an_entry_that_is_collected_already_gets_the_origin(
    ground: Ground,
) {
    let (collector, reader) = (ground.session().await, ground.session().await);
    append(&*collector, 20).await;
    collected(&*collector, 1, 15, &replica(3)).await.unwrap();
    for tail in [Tail::Ahead, Tail::Reached] {
        let read = next(Arc::clone(&reader), position(5), tail).await.unwrap();
        let News::Origin(origin) = read else {
            panic!("the entry is gone")
        };
        assert_eq!(origin.position, position(15));
    }
}

pub(crate) async fn the_data_of_collected_jobs_is_deleted(ground: Ground) {
    let session = ground.session().await;
    append(&*session, 40).await;
    let mut ids = IdSource::from_seed(7);
    let [live, done, unknown]: [JobId; 3] = std::array::from_fn(|_| ids.job());
    let checkpoint = |job| Node::Checkpoint(job, "in".into(), SlotId(0));
    let mut job = Job::new("copy", [("in", "out")], [Task::new("in", TaskKind::Input)]);
    job.name = "a".repeat(1_500_000);
    for id in [live, done, unknown] {
        write_job(&*session, id, &job).await.unwrap();
        for (node, size) in [(checkpoint(id), 9), (Node::Exception(id), 2_000_000)] {
            write_blob(&*session, node, vec![7; size], Put::Always)
                .await
                .unwrap();
        }
    }
    let mut replica = Replica::default();
    let jobs = Arc::make_mut(&mut replica.jobs);
    jobs.live.push(live);
    jobs.records
        .insert(live, Arc::new(JobRecord::new("live", vec![])));
    jobs.tombstones = [(done, buried(9))].into_iter().collect();
    let replica = Arc::new(replica);
    let first = collected(&*session, 1, 10, &replica).await.unwrap();
    assert_eq!((first.jobs, first.not_taken), (1, 0));
    // Whoever submits the one that nobody knows may be about to.
    for kept in [live, unknown] {
        assert_eq!(
            read_job(&*session, kept).await.unwrap().as_ref(),
            Some(&job)
        );
        assert!(session.get(checkpoint(kept)).await.unwrap().is_some());
    }
    assert_eq!(read_job(&*session, done).await, Ok(None));
    assert_eq!(session.get(checkpoint(done)).await, Ok(None));
    // What killed it is kept for whoever is late, until the next collection.
    let cause = async || read_blob(&*session, Node::Exception(done)).await.unwrap();
    assert_eq!(cause().await.map(|cause| cause.len()), Some(2_000_000));
    let second = collected(&*session, 2, 20, &replica).await.unwrap();
    assert_eq!((second.jobs, second.not_taken), (0, 1));
    assert_eq!(cause().await, None);
    assert_eq!(read_job(&*session, unknown).await, Ok(None));
    assert_eq!(session.list(Folder::Metadata).await.unwrap().len(), 1);
    let third = collected(&*session, 3, 30, &replica).await.unwrap();
    assert_eq!((third.jobs, third.not_taken), (0, 0));
    assert!(read_job(&*session, live).await.unwrap().is_some());
    let pieces = session.list(Folder::Pieces).await.unwrap();
    assert!(!pieces.is_empty());
    let of_done = pieces
        .iter()
        .filter(|name| name.starts_with(&done.to_string()));
    assert_eq!(of_done.count(), 0);
}

pub(crate) async fn an_entry_of_any_size_is_read_whole_and_collected(ground: Ground) {
    let (session, other) = (ground.session().await, ground.session().await);
    let source = |sequence| EntrySource {
        writer: WriterId(Uuid::from_u128(5)),
        sequence,
    };
    let large = |byte| vec![byte; 2_300_000];
    for (sequence, payload) in [(1, large(1)), (2, vec![1; 7]), (3, large(3)), (3, large(3))] {
        append_entry(&*session, source(sequence), &payload)
            .await
            .unwrap();
    }
    other.prove_alive().await.unwrap();
    let read = read_entries(&*other, position(0), 8).await.unwrap();
    assert_eq!(read, [large(1), vec![1; 7], large(3), large(3)]);
    let pieces = async || session.list(Folder::Pieces).await.unwrap().len();
    assert_eq!(pieces().await, 10);
    let seen = |sequence, at| Replica {
        writers: Arc::new(Writers {
            last: [(source(0).writer, (sequence, position(at)))]
                .into_iter()
                .collect(),
        }),
        ..Replica::default()
    };
    // The entry at the position of the origin stays, and is whole.
    let replica = Arc::new(seen(3, 2));
    collected(&*session, 1, 2, &replica).await.unwrap();
    other.prove_alive().await.unwrap();
    let left = read_entries(&*other, position(2), 8).await.unwrap();
    assert_eq!(left, [large(3), large(3)]);
    assert_eq!(pieces().await, 5);
    collected(&*session, 2, 3, &Arc::new(seen(3, 2)))
        .await
        .unwrap();
    assert_eq!(pieces().await, 0);
}
