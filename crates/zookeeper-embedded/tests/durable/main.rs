//! A server with a data folder: what a restart keeps, and what it costs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail with the tests")]

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use zookeeper_client::{
    Acl, Acls, AuthId, Client, CreateMode, CreateOptions, EventType, Permission,
};
use zookeeper_embedded::{Config, Server, StartError, StorageError};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
const SEQUENTIAL: CreateOptions<'static> =
    CreateMode::PersistentSequential.with_acls(Acls::anyone_all());

fn config(folder: &Path) -> Config {
    Config {
        data_dir: Some(folder.to_owned()),
        ..Config::default()
    }
}

async fn start(folder: &TempDir) -> Server {
    Server::start(config(folder.path())).await.unwrap()
}

async fn connect(server: &Server) -> Client {
    Client::connect(&server.connect_string()).await.unwrap()
}

#[tokio::test]
async fn a_restart_keeps_nodes_with_all_that_is_known_of_them() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder).await;
    let client = connect(&server).await;
    client.create("/a", b"1", &PERSISTENT).await.unwrap();
    client.set_data("/a", b"2", None).await.unwrap();
    client.create("/a/n-", b"", &SEQUENTIAL).await.unwrap();
    client.create("/gone", b"", &PERSISTENT).await.unwrap();
    client.delete("/gone", None).await.unwrap();
    let acl = [Acl::new(Permission::READ, AuthId::anyone())];
    client.set_acl("/a", &acl, None).await.unwrap();
    let before = client.get_data("/a").await.unwrap();
    server.stop().await;

    let server = start(&folder).await;
    let client = connect(&server).await;
    assert_eq!(client.get_data("/a").await.unwrap(), before);
    assert_eq!(client.get_acl("/a").await.unwrap().0, acl);
    assert_eq!(client.check_stat("/gone").await, Ok(None));
    assert_eq!(client.list_children("/a").await.unwrap(), ["n-0000000000"]);
}

#[tokio::test]
async fn a_client_that_comes_back_after_a_restart_has_its_session_and_its_watches() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder).await;
    let address = server.address();
    let client = connect(&server).await;
    client.create("/mine", b"", &EPHEMERAL).await.unwrap();
    let (_, created) = client.check_and_watch_stat("/later").await.unwrap();
    let session = client.session_id();
    server.stop().await;

    let server = Server::start(Config {
        address,
        ..config(folder.path())
    })
    .await
    .unwrap();
    let other = connect(&server).await;
    other.create("/later", b"", &PERSISTENT).await.unwrap();
    assert_eq!(created.changed().await.event_type, EventType::NodeCreated);
    assert_eq!(client.session_id(), session);
    let stat = client.check_stat("/mine").await.unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, session.0);
}

#[tokio::test]
async fn a_session_that_nobody_comes_back_to_expires_after_the_restart() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder).await;
    let connector = Client::connector()
        .with_detached()
        .with_session_timeout(Duration::from_millis(700));
    let owner = connector.connect(&server.connect_string()).await.unwrap();
    owner.create("/theirs", b"", &EPHEMERAL).await.unwrap();
    server.stop().await;
    drop(owner);

    let server = start(&folder).await;
    let observer = connect(&server).await;
    let (stat, watch) = observer.check_and_watch_stat("/theirs").await.unwrap();
    assert!(stat.is_some());
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
}

#[tokio::test]
async fn many_waiting_requests_share_one_sync() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder).await;
    let client = connect(&server).await;
    let before = server.statistics();
    let creates: Vec<_> = (0..1000)
        .map(|_| client.create("/n-", b"", &SEQUENTIAL))
        .collect();
    for create in creates {
        create.await.unwrap();
    }
    let after = server.statistics();
    assert_eq!(after.zxid - before.zxid, 1000);
    let syncs = after.log_syncs - before.log_syncs;
    assert!(syncs < 500, "{syncs} syncs for 1000 requests");
}

#[tokio::test]
async fn snapshots_are_made_while_clients_write_and_old_files_go() {
    let folder = TempDir::new().unwrap();
    let frequent = || Config {
        snapshot_transactions: 50,
        ..config(folder.path())
    };
    let server = Server::start(frequent()).await.unwrap();
    let client = connect(&server).await;
    let mut created = 0;
    while server.statistics().snapshots < 4 {
        client.create("/n-", b"data", &SEQUENTIAL).await.unwrap();
        created += 1;
    }
    assert_eq!(server.statistics().failed_snapshots, 0);
    server.stop().await;
    let count = |prefix: &str| {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(prefix)).count()
    };
    assert_eq!(count("snapshot."), 2);
    assert!(count("log.") <= 4, "{} segments", count("log."));

    let server = Server::start(frequent()).await.unwrap();
    let children = connect(&server).await.list_children("/").await.unwrap();
    let survivors = children.iter().filter(|name| name.starts_with("n-"));
    assert_eq!(survivors.count(), created);
}

#[tokio::test]
async fn one_folder_has_one_server_at_a_time() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder).await;
    let error = Server::start(config(folder.path())).await.unwrap_err();
    assert!(matches!(
        error,
        StartError::Storage(StorageError::InUse { .. })
    ));
    drop(server);
    start(&folder).await;
}
