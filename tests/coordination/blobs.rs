//! Data that is larger than a node.

use crate::ground::Ground;
use onyx::coordination::{Folder, NODE_BYTES_MAX, Node, Put, Written, read_blob, write_blob};
use onyx::ids::{IdSource, JobId, SlotId};

fn job_id(seed: u64) -> JobId {
    IdSource::from_seed(seed).job()
}

fn checkpoint() -> Node {
    Node::Checkpoint(job_id(1), "read".into(), SlotId(3))
}

/// Data that differs everywhere from that of another number.
fn data(number: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| number ^ (at / 3) as u8).collect()
}

pub(crate) async fn data_of_any_size_is_kept_or_written_over(ground: Ground) {
    let (first, second) = (ground.session().await, ground.session().await);
    let sizes = [
        NODE_BYTES_MAX,
        NODE_BYTES_MAX + 1,
        3_700_000,
        12,
        1_600_000,
        2_600_000,
        0,
    ];
    for (number, size) in (0..).zip(sizes) {
        let data = data(number, size);
        let written = write_blob(&*first, checkpoint(), data.clone(), Put::Always).await;
        assert_eq!(written, Ok(Written::Yes));
        second.prove_alive().await.unwrap();
        let read = read_blob(&*second, checkpoint()).await.unwrap();
        assert!(read == Some(data), "{size} bytes");
    }
    // Two writings may lie beside each other, no more.
    let pieces = second.list(Folder::Pieces).await.unwrap().len();
    assert!(
        pieces <= 2 * 3_700_000_usize.div_ceil(NODE_BYTES_MAX / 2),
        "{pieces}"
    );
    let absent = Node::Checkpoint(job_id(1), "other".into(), SlotId(3));
    assert_eq!(read_blob(&*second, absent).await, Ok(None));
}

pub(crate) async fn of_several_that_write_at_once_one_is_kept(ground: Ground) {
    let (first, second) = (ground.session().await, ground.session().await);
    let node = || Node::Catalog(job_id(2));
    let (one, other) = (data(1, 1_500_000), data(2, 1_500_000));
    let (a, b) = tokio::join!(
        write_blob(&*first, node(), one.clone(), Put::IfAbsent),
        write_blob(&*second, node(), other.clone(), Put::IfAbsent)
    );
    let winner = match (a.unwrap(), b.unwrap()) {
        (Written::Yes, Written::KeptExisting) => one,
        (Written::KeptExisting, Written::Yes) => other,
        both => panic!("{both:?}"),
    };
    let again = write_blob(&*second, node(), winner.clone(), Put::IfAbsent).await;
    assert_eq!(again, Ok(Written::KeptExisting));
    first.prove_alive().await.unwrap();
    assert!(read_blob(&*first, node()).await.unwrap() == Some(winner));
    assert_eq!(first.list(Folder::Pieces).await.unwrap().len(), 3);
}

pub(crate) async fn a_reader_never_sees_half_of_one_and_half_of_another(ground: Ground) {
    let (writer, reader) = (ground.session().await, ground.session().await);
    let versions = [data(1, 1_200_000), data(2, 2_200_000), data(3, 1_700_000)];
    write_blob(&*writer, checkpoint(), versions[0].clone(), Put::Always)
        .await
        .unwrap();
    reader.prove_alive().await.unwrap();
    let writes = async {
        for version in versions.iter().cycle().take(6) {
            write_blob(&*writer, checkpoint(), version.clone(), Put::Always)
                .await
                .unwrap();
        }
    };
    let reads = async {
        for _ in 0..6 {
            let read = read_blob(&*reader, checkpoint()).await.unwrap().unwrap();
            assert!(versions.contains(&read), "{} bytes of nobody", read.len());
        }
    };
    tokio::join!(writes, reads);
}
