//! Watches: what fires them, how often, and before which answers.

use zookeeper_client::{AddWatchMode, EventType, OneshotWatcher, WatchedEvent};

use crate::ground::{Ground, PERSISTENT};

/// The event of a watch that must have fired already.
async fn fired(watcher: OneshotWatcher) -> WatchedEvent {
    tokio::select! {
        biased;
        event = watcher.changed() => event,
        () = std::future::ready(()) => panic!("the watch has not fired yet"),
    }
}

fn check(event: &WatchedEvent, expected: EventType, path: &str) {
    assert_eq!((event.event_type, event.path.as_str()), (expected, path));
}

#[tokio::test]
async fn an_exists_watch_waits_for_a_missing_node() {
    let ground = Ground::prepare().await;
    let (watcher, actor) = (ground.client().await, ground.client().await);
    let (stat, watch) = watcher.check_and_watch_stat("/a").await.unwrap();
    assert_eq!(stat, None);
    actor.create("/a", b"", &PERSISTENT).await.unwrap();
    check(&watch.changed().await, EventType::NodeCreated, "/a");
}

#[tokio::test]
async fn an_exists_watch_fires_on_deletion_and_on_data() {
    let ground = Ground::prepare().await;
    let (watcher, actor) = (ground.client().await, ground.client().await);
    actor.create("/a", b"", &PERSISTENT).await.unwrap();
    watcher.sync("/").await.unwrap();
    let (_, watch) = watcher.check_and_watch_stat("/a").await.unwrap();
    actor.set_data("/a", b"x", None).await.unwrap();
    check(&watch.changed().await, EventType::NodeDataChanged, "/a");
    let (_, watch) = watcher.check_and_watch_stat("/a").await.unwrap();
    actor.delete("/a", None).await.unwrap();
    check(&watch.changed().await, EventType::NodeDeleted, "/a");
}

#[tokio::test]
async fn a_data_watch_ignores_children() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let (_, _, watch) = client.get_and_watch_data("/a").await.unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    client.set_data("/a", b"x", None).await.unwrap();
    check(&fired(watch).await, EventType::NodeDataChanged, "/a");
}

#[tokio::test]
async fn a_child_watch_ignores_data() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let (_, _, watch) = client.get_and_watch_children("/a").await.unwrap();
    client.set_data("/a", b"x", None).await.unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    check(&fired(watch).await, EventType::NodeChildrenChanged, "/a");

    let (_, watch) = client.list_and_watch_children("/a").await.unwrap();
    client.delete("/a/b", None).await.unwrap();
    check(&fired(watch).await, EventType::NodeChildrenChanged, "/a");

    let (_, watch) = client.list_and_watch_children("/a").await.unwrap();
    client.delete("/a", None).await.unwrap();
    check(&fired(watch).await, EventType::NodeDeleted, "/a");
}

#[tokio::test]
async fn a_watch_fires_before_the_answer_that_shows_the_change() {
    let ground = Ground::prepare().await;
    let (watcher, actor) = (ground.client().await, ground.client().await);
    for round in 0..20 {
        let path = format!("/{round}");
        let (_, watch) = watcher.check_and_watch_stat(&path).await.unwrap();
        actor.create(&path, b"", &PERSISTENT).await.unwrap();
        while watcher.check_stat(&path).await.unwrap().is_none() {}
        check(&fired(watch).await, EventType::NodeCreated, &path);
    }
}

#[tokio::test]
async fn a_watch_fires_once() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let (_, _, first) = client.get_and_watch_data("/a").await.unwrap();
    client.set_data("/a", b"1", None).await.unwrap();
    client.set_data("/a", b"2", None).await.unwrap();
    check(&fired(first).await, EventType::NodeDataChanged, "/a");

    // Had the first watch fired twice, this one would have caught the second event.
    let (_, _, second) = client.get_and_watch_data("/a").await.unwrap();
    client.sync("/").await.unwrap();
    client.delete("/a", None).await.unwrap();
    check(&fired(second).await, EventType::NodeDeleted, "/a");
}

#[tokio::test]
async fn a_persistent_watch_keeps_firing() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let mut watch = client.watch("/a", AddWatchMode::Persistent).await.unwrap();
    client.set_data("/a", b"1", None).await.unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    client.set_data("/a/b", b"1", None).await.unwrap();
    client.delete("/a/b", None).await.unwrap();
    client.delete("/a", None).await.unwrap();
    check(&watch.changed().await, EventType::NodeDataChanged, "/a");
    check(&watch.changed().await, EventType::NodeChildrenChanged, "/a");
    check(&watch.changed().await, EventType::NodeChildrenChanged, "/a");
    check(&watch.changed().await, EventType::NodeDeleted, "/a");
}

#[tokio::test]
async fn a_recursive_watch_hears_of_all_descendants() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    let mut watch = client
        .watch("/a", AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    client.create("/a/b/c", b"", &PERSISTENT).await.unwrap();
    client.set_data("/a/b/c", b"1", None).await.unwrap();
    client.delete("/a/b/c", None).await.unwrap();
    check(&watch.changed().await, EventType::NodeCreated, "/a/b");
    check(&watch.changed().await, EventType::NodeCreated, "/a/b/c");
    check(&watch.changed().await, EventType::NodeDataChanged, "/a/b/c");
    check(&watch.changed().await, EventType::NodeDeleted, "/a/b/c");
}

#[tokio::test]
async fn an_abandoned_watch_does_no_harm() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let (_, abandoned) = client.check_and_watch_stat("/a").await.unwrap();
    let (_, kept) = client.check_and_watch_stat("/b").await.unwrap();
    drop(abandoned);
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    client.create("/b", b"", &PERSISTENT).await.unwrap();
    check(&fired(kept).await, EventType::NodeCreated, "/b");
}
