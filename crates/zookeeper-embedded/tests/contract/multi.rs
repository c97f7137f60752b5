//! Several operations in one request.

use zookeeper_client::{Error, MultiReadResult, MultiWriteError, MultiWriteResult};

use crate::ground::{Ground, PERSISTENT, SEQUENTIAL};

#[tokio::test]
async fn a_multi_write_happens_as_a_whole() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/old", b"", &PERSISTENT).await.unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_check_version("/old", 0).unwrap();
    writer.add_create("/a", b"1", &PERSISTENT).unwrap();
    writer.add_create("/a/n-", b"", &SEQUENTIAL).unwrap();
    writer.add_set_data("/a", b"2", Some(0)).unwrap();
    writer.add_delete("/old", None).unwrap();
    let results = writer.commit().await.unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!(results[0], MultiWriteResult::Check);
    let MultiWriteResult::Create { path, .. } = &results[2] else {
        panic!("{results:?}")
    };
    assert_eq!(path, "/a/n-0000000000");
    let MultiWriteResult::SetData { stat } = &results[3] else {
        panic!("{results:?}")
    };
    assert_eq!(stat.version, 1);
    assert_eq!(results[4], MultiWriteResult::Delete);

    assert_eq!(client.check_stat("/old").await, Ok(None));
    let (data, stat) = client.get_data("/a").await.unwrap();
    assert_eq!(data, b"2");
    assert_eq!(stat.czxid, stat.mzxid, "one transaction did it all");
}

#[tokio::test]
async fn a_failed_multi_write_names_its_culprit_and_changes_nothing() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client
        .create("/taken", b"before", &PERSISTENT)
        .await
        .unwrap();
    let before = client.check_stat("/").await.unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_create("/a", b"", &PERSISTENT).unwrap();
    writer.add_set_data("/taken", b"after", None).unwrap();
    writer.add_create("/taken", b"", &PERSISTENT).unwrap();
    writer.add_create("/b", b"", &PERSISTENT).unwrap();
    let failure = writer.commit().await.unwrap_err();
    assert_eq!(
        failure,
        MultiWriteError::OperationFailed {
            index: 2,
            source: Error::NodeExists
        }
    );
    assert_eq!(client.list_children("/").await.unwrap(), ["taken"]);
    assert_eq!(client.get_data("/taken").await.unwrap().0, b"before");
    assert_eq!(client.check_stat("/").await.unwrap(), before);
}

#[tokio::test]
async fn a_failed_check_stops_the_write() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/guard", b"", &PERSISTENT).await.unwrap();
    let mut writer = client.new_multi_writer();
    writer.add_check_version("/guard", 3).unwrap();
    writer.add_create("/a", b"", &PERSISTENT).unwrap();
    let failure = writer.commit().await.unwrap_err();
    assert_eq!(
        failure,
        MultiWriteError::OperationFailed {
            index: 0,
            source: Error::BadVersion
        }
    );
    assert_eq!(client.check_stat("/a").await, Ok(None));
}

#[tokio::test]
async fn a_multi_read_answers_around_a_missing_node() {
    let ground = Ground::prepare().await;
    let client = ground.client().await;
    client.create("/a", b"1", &PERSISTENT).await.unwrap();
    client.create("/a/b", b"2", &PERSISTENT).await.unwrap();
    let mut reader = client.new_multi_reader();
    reader.add_get_data("/a").unwrap();
    reader.add_get_data("/missing").unwrap();
    reader.add_get_children("/a").unwrap();
    let results = reader.commit().await.unwrap();
    let [
        MultiReadResult::Data { data, .. },
        MultiReadResult::Error { err },
        MultiReadResult::Children { children },
    ] = results.as_slice()
    else {
        panic!("{results:?}")
    };
    assert_eq!((data.as_slice(), err), (b"1".as_slice(), &Error::NoNode));
    assert_eq!(children, &["b"]);
}
