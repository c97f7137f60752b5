//! The log.

use crate::ground::Ground;
use futures_util::future::join_all;
use onyx::coordination::{CoordinationError, NODE_BYTES_MAX};
use onyx::ids::LogPosition;

fn entry(n: u64) -> Vec<u8> {
    n.to_string().into_bytes()
}

pub(crate) async fn entries_stand_in_the_order_of_the_calls(ground: Ground) {
    let session = ground.session().await;
    let positions = join_all((0..50).map(|n| session.append(entry(n)))).await;
    let dense: Vec<_> = (0..50).map(|n| Ok(LogPosition(n))).collect();
    assert_eq!(positions, dense);
    let other = ground.session().await;
    assert_eq!(other.append(entry(50)).await, Ok(LogPosition(50)));
    let read = other.read(LogPosition(0), 100).await.unwrap();
    assert_eq!(read, (0..51).map(entry).collect::<Vec<_>>());
}

pub(crate) async fn a_read_is_a_range_of_the_log(ground: Ground) {
    let session = ground.session().await;
    assert_eq!(
        session.read(LogPosition(0), 8).await.unwrap(),
        Vec::<Vec<u8>>::new()
    );
    for n in 0..20 {
        session.append(entry(n)).await.unwrap();
    }
    let range = async |from, max| session.read(LogPosition(from), max).await.unwrap();
    assert_eq!(range(0, 8).await, (0..8).map(entry).collect::<Vec<_>>());
    assert_eq!(range(17, 8).await, (17..20).map(entry).collect::<Vec<_>>());
    assert_eq!(range(20, 8).await, Vec::<Vec<u8>>::new());
    assert_eq!(range(9_999_999_999, 1).await, Vec::<Vec<u8>>::new());
}

pub(crate) async fn whoever_waits_for_an_entry_hears_of_it(ground: Ground) {
    let (reader, writer) = (ground.session().await, ground.session().await);
    // The last of these is there when its turn comes, whether it was waited for or not.
    for n in 0..10 {
        let position = LogPosition(n);
        let waiting = async {
            while reader.read(position, 1).await.unwrap().is_empty() {
                reader.wait_for(position).await.unwrap();
            }
        };
        let ((), written) = tokio::join!(waiting, writer.append(entry(n)));
        assert_eq!(written, Ok(position));
    }
    reader.wait_for(LogPosition(3)).await.unwrap();
}

/// A server would drop the connection, and with it whatever else is under way.
pub(crate) async fn an_entry_that_is_too_large_costs_no_other(ground: Ground) {
    let session = ground.session().await;
    let mut state = session.state();
    state.mark_unchanged();
    let entries = (0..40).map(|n| match n {
        20 => vec![7; NODE_BYTES_MAX + 1],
        n => entry(n),
    });
    let answers = join_all(entries.map(|entry| session.append(entry))).await;
    let (written, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(
        written,
        (0..39).map(|n| Ok(LogPosition(n))).collect::<Vec<_>>()
    );
    assert!(matches!(
        refused[..],
        [Err(CoordinationError::TooLarge { .. })]
    ));
    assert!(!state.has_changed().unwrap(), "the connection was lost");
    assert_eq!(session.retry().interruptions(), 0);
}

pub(crate) async fn an_entry_that_is_too_large_is_not_sent(ground: Ground) {
    let session = ground.session().await;
    let bytes = NODE_BYTES_MAX + 1;
    let refused = session.append(vec![7; bytes]).await;
    let what = "the entry".to_owned();
    let limit = NODE_BYTES_MAX;
    assert_eq!(
        refused,
        Err(CoordinationError::TooLarge { what, bytes, limit })
    );
    // The session is as it was, and what just fits does fit.
    assert_eq!(session.append(vec![7; limit]).await, Ok(LogPosition(0)));
    assert_eq!(
        session.read(LogPosition(0), 1).await.unwrap()[0].len(),
        limit
    );
}
