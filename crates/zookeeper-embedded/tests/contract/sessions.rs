//! Sessions: what ends with them, and coming back to one.

use zookeeper_client::{Client, EventType, SessionState};

use crate::ground::{EPHEMERAL, Ground};

#[tokio::test]
async fn ephemeral_nodes_go_when_their_client_leaves() {
    let ground = Ground::prepare().await;
    let (observer, owner) = (ground.client().await, ground.client().await);
    owner.create("/e", b"", &EPHEMERAL).await.unwrap();
    observer.sync("/").await.unwrap();
    let (stat, watch) = observer.check_and_watch_stat("/e").await.unwrap();
    assert_eq!(
        stat.map(|stat| stat.ephemeral_owner),
        Some(owner.session_id().0)
    );
    drop(owner);
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
    assert_eq!(observer.check_stat("/e").await, Ok(None));
}

#[tokio::test]
async fn ephemeral_nodes_go_when_their_session_expires() {
    let ground = Ground::prepare().await;
    let (observer, owner) = (ground.client().await, ground.detached_client().await);
    owner.create("/e", b"", &EPHEMERAL).await.unwrap();
    observer.sync("/").await.unwrap();
    let (stat, watch) = observer.check_and_watch_stat("/e").await.unwrap();
    assert!(stat.is_some());
    drop(owner);
    assert!(observer.check_stat("/e").await.unwrap().is_some());
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
}

#[tokio::test]
async fn a_session_can_be_continued_by_another_client() {
    let ground = Ground::prepare().await;
    let first = ground.detached_client().await;
    let id = first.session_id();
    first.create("/e", b"", &EPHEMERAL).await.unwrap();
    let session = first.into_session();
    let connector = Client::connector().with_session(session);
    let second = connector.connect(&ground.connect_string()).await.unwrap();
    assert_eq!(second.session_id(), id);
    let stat = second.check_stat("/e").await.unwrap();
    assert_eq!(stat.map(|stat| stat.ephemeral_owner), Some(id.0));
}

#[tokio::test]
async fn an_idle_client_keeps_its_session() {
    let ground = Ground::prepare().await;
    let idle = ground.detached_client().await;
    idle.create("/idle", b"", &EPHEMERAL).await.unwrap();
    let witness = ground.detached_client().await;
    witness.create("/witness", b"", &EPHEMERAL).await.unwrap();

    // The witness's session has the same time-out: when it has expired, pings kept the other one.
    let (_, watch) = idle.check_and_watch_stat("/witness").await.unwrap();
    drop(witness);
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
    assert_eq!(idle.state(), SessionState::SyncConnected);
    assert!(idle.check_stat("/idle").await.unwrap().is_some());
}
