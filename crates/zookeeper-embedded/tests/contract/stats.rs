//! The fields of `Stat` after each kind of change.

use crate::ground::{Ground, PERSISTENT};

#[tokio::test]
async fn a_new_node_starts_from_zero() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let (stat, _) = client.create("/a", b"12345", &PERSISTENT).await.unwrap();
    assert!(stat.czxid > 0 && stat.ctime > 0);
    assert_eq!(
        (stat.mzxid, stat.pzxid, stat.mtime),
        (stat.czxid, stat.czxid, stat.ctime)
    );
    assert_eq!((stat.version, stat.cversion, stat.aversion), (0, 0, 0));
    assert_eq!(
        (stat.data_length, stat.num_children, stat.ephemeral_owner),
        (5, 0, 0)
    );
    assert_eq!(client.check_stat("/a").await, Ok(Some(stat)));
}

#[tokio::test]
async fn changed_data_shows_in_version_and_mzxid() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let (before, _) = client.create("/a", b"12345", &PERSISTENT).await.unwrap();
    let after = client.set_data("/a", b"1", None).await.unwrap();
    assert!(after.mzxid > before.mzxid && after.mtime >= before.mtime);
    assert_eq!((after.czxid, after.pzxid), (before.czxid, before.pzxid));
    assert_eq!(
        (after.version, after.cversion, after.data_length),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn children_show_in_cversion_and_pzxid() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    let (before, _) = client.create("/a", b"", &PERSISTENT).await.unwrap();
    let (child, _) = client.create("/a/b", b"", &PERSISTENT).await.unwrap();
    let (_, with_child) = client.get_children("/a").await.unwrap();
    assert_eq!((with_child.cversion, with_child.num_children), (1, 1));
    assert_eq!(
        (with_child.pzxid, with_child.mzxid),
        (child.czxid, before.mzxid)
    );

    client.set_data("/a/b", b"x", None).await.unwrap();
    client.delete("/a/b", None).await.unwrap();
    let (_, without) = client.get_children("/a").await.unwrap();
    assert_eq!(
        (without.cversion, without.num_children, without.version),
        (2, 0, 0)
    );
    assert!(without.pzxid > child.czxid);
}

#[tokio::test]
async fn transactions_are_numbered_in_order() {
    let ground = Ground::prepare().await;
    let (one, two) = (ground.client().await, ground.client().await);
    let (first, _) = one.create("/a", b"", &PERSISTENT).await.unwrap();
    let (second, _) = two.create("/b", b"", &PERSISTENT).await.unwrap();
    let third = one.set_data("/b", b"", None).await.unwrap();
    assert!(first.czxid < second.czxid && second.czxid < third.mzxid);
}
