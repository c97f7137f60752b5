//! Nodes of every kind: creating, reading, changing, deleting, and what is refused.

use std::time::Duration;

use zookeeper_client::{Acls, CreateMode, Error};

use crate::ground::{EPHEMERAL, Ground, PERSISTENT, SEQUENTIAL};

#[tokio::test]
async fn a_node_holds_its_data() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let (created, _) = client.create("/a", b"one", &PERSISTENT).await.unwrap();
    let (data, stat) = client.get_data("/a").await.unwrap();
    assert_eq!((data, stat), (b"one".to_vec(), created));
    let changed = client.set_data("/a", b"two", Some(0)).await.unwrap();
    assert_eq!(
        client.get_data("/a").await.unwrap(),
        (b"two".to_vec(), changed)
    );
    client.delete("/a", Some(1)).await.unwrap();
    assert_eq!(client.get_data("/a").await, Err(Error::NoNode));
    assert_eq!(client.check_stat("/a").await, Ok(None));
}

#[tokio::test]
async fn every_kind_of_node_has_its_owner() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let owner_of = async |path: &str| {
        client
            .check_stat(path)
            .await
            .unwrap()
            .map(|stat| stat.ephemeral_owner)
    };

    client
        .create("/persistent", b"", &PERSISTENT)
        .await
        .unwrap();
    assert_eq!(owner_of("/persistent").await, Some(0));

    client.create("/ephemeral", b"", &EPHEMERAL).await.unwrap();
    assert_eq!(owner_of("/ephemeral").await, Some(client.session_id().0));

    let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let (stat, sequence) = client.create("/sequential-", b"", &options).await.unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id().0);
    let path = format!("/sequential-{sequence}");
    assert_eq!(owner_of(&path).await, Some(client.session_id().0));

    let options = CreateMode::Container.with_acls(Acls::anyone_all());
    client.create("/container", b"", &options).await.unwrap();
    assert_eq!(owner_of("/container").await, Some(0));

    let options = PERSISTENT.with_ttl(Duration::from_secs(60));
    client.create("/ttl", b"", &options).await.unwrap();
    assert_eq!(owner_of("/ttl").await, Some(0));

    let options = SEQUENTIAL.with_ttl(Duration::from_secs(60));
    let (_, sequence) = client.create("/ttl-", b"", &options).await.unwrap();
    assert_eq!(owner_of(&format!("/ttl-{sequence}")).await, Some(0));
}

#[tokio::test]
async fn pipelined_sequential_nodes_are_dense_and_in_call_order() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/log", b"", &PERSISTENT).await.unwrap();
    let creates: Vec<_> = (0..100)
        .map(|_| client.create("/log/entry-", b"", &SEQUENTIAL))
        .collect();
    for (expected, create) in (0_i64..).zip(creates) {
        let (_, sequence) = create.await.unwrap();
        assert_eq!(sequence.into_i64(), expected);
    }
    let mut children = client.list_children("/log").await.unwrap();
    children.sort();
    let expected: Vec<String> = (0..100)
        .map(|number| format!("entry-{number:010}"))
        .collect();
    assert_eq!(children, expected);
}

#[tokio::test]
async fn sequence_numbers_count_every_creation_under_the_parent() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/plain", b"", &PERSISTENT).await.unwrap();
    client.delete("/plain", None).await.unwrap();
    client.create("/plain", b"", &PERSISTENT).await.unwrap();
    let (_, sequence) = client.create("/n-", b"", &SEQUENTIAL).await.unwrap();
    assert_eq!(sequence.into_i64(), 2);
}

#[tokio::test]
async fn versions_guard_changes() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    assert_eq!(
        client.set_data("/a", b"", Some(7)).await,
        Err(Error::BadVersion)
    );
    assert_eq!(
        client.set_data("/a", b"", Some(0)).await.unwrap().version,
        1
    );
    assert_eq!(client.set_data("/a", b"", None).await.unwrap().version, 2);
    assert_eq!(client.delete("/a", Some(1)).await, Err(Error::BadVersion));
    assert_eq!(client.delete("/a", Some(2)).await, Ok(()));
}

#[tokio::test]
async fn impossible_changes_are_refused() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    client.create("/e", b"", &EPHEMERAL).await.unwrap();
    let create = async |path: &str| client.create(path, b"", &PERSISTENT).await.unwrap_err();
    assert_eq!(create("/a").await, Error::NodeExists);
    assert_eq!(create("/x/y").await, Error::NoNode);
    assert_eq!(create("/e/child").await, Error::NoChildrenForEphemerals);
    assert_eq!(client.delete("/a", None).await, Err(Error::NotEmpty));
    assert_eq!(client.delete("/x", None).await, Err(Error::NoNode));
    assert_eq!(client.set_data("/x", b"", None).await, Err(Error::NoNode));
    assert_eq!(client.list_children("/x").await, Err(Error::NoNode));
}

#[tokio::test]
async fn descendants_and_own_ephemerals_can_be_listed() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"", &PERSISTENT).await.unwrap();
    client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    client.create("/a/b/e", b"", &EPHEMERAL).await.unwrap();
    client.create("/ab", b"", &EPHEMERAL).await.unwrap();
    assert_eq!(client.count_descendants_number("/a").await, Ok(2));
    assert_eq!(client.list_ephemerals("/a/b").await.unwrap(), ["/a/b/e"]);
}

#[tokio::test]
async fn two_clients_see_each_others_changes() {
    let ground = Ground::prepare().await;
    let (one, two) = (ground.client().await, ground.client().await);
    one.create("/a", b"from one", &PERSISTENT).await.unwrap();
    two.sync("/").await.unwrap();
    assert_eq!(two.get_data("/a").await.unwrap().0, b"from one");
    two.set_data("/a", b"from two", Some(0)).await.unwrap();
    one.sync("/").await.unwrap();
    assert_eq!(one.get_data("/a").await.unwrap().0, b"from two");
}

#[tokio::test]
async fn a_chroot_is_a_prefix_of_every_path() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/inner", b"", &PERSISTENT).await.unwrap();
    let inner = client
        .clone()
        .chroot(format!("{}/inner", ground.root))
        .unwrap();
    inner.create("/leaf", b"x", &PERSISTENT).await.unwrap();
    assert_eq!(client.get_data("/inner/leaf").await.unwrap().0, b"x");
    assert_eq!(inner.list_children("/").await.unwrap(), ["leaf"]);
}
