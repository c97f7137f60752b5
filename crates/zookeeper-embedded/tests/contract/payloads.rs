//! Large requests: up to a limit they work, beyond it the connection is dropped.

use zookeeper_client::{Error, MultiReadResult, SessionState};

use crate::ground::{Ground, PERSISTENT};

#[tokio::test]
async fn almost_a_mebibyte_fits() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let data = vec![7; 1_048_450];
    client.create("/large", &data, &PERSISTENT).await.unwrap();
    let (stored, stat) = client.get_data("/large").await.unwrap();
    assert!(stored == data);
    assert_eq!(stat.data_length, 1_048_450);
}

#[tokio::test]
async fn a_larger_request_costs_the_connection_but_not_the_session() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let refused = client
        .create("/huge", &vec![7; 1_048_576], &PERSISTENT)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::ConnectionLoss | Error::Custom(_)),
        "{refused:?}"
    );
    let mut states = client.state_watcher();
    while client.state() != SessionState::SyncConnected {
        states.changed().await;
    }
    assert_eq!(client.check_stat("/huge").await, Ok(None));
}

#[tokio::test]
async fn answers_may_be_larger_than_requests() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client
        .create("/large", &vec![7; 1_000_000], &PERSISTENT)
        .await
        .unwrap();
    let mut reader = client.new_multi_reader();
    for _ in 0..4 {
        reader.add_get_data("/large").unwrap();
    }
    let results = reader.commit().await.unwrap();
    let lengths = results.iter().map(|result| match result {
        MultiReadResult::Data { data, .. } => data.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(lengths.sum::<usize>(), 4_000_000);
}
