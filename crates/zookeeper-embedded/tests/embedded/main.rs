//! What only the embedded server has: fault tools, limits, refusals and its end.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail with the tests")]

mod crowds;
mod login;
mod wire;

use std::net::SocketAddr;

use tokio::net::TcpStream;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, EventType, SessionState};
use zookeeper_embedded::{Config, Server, StartError};

use crate::wire::{Wire, ask};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());

async fn start() -> Server {
    Server::start(Config::default()).await.unwrap()
}

async fn connect(server: &Server) -> Client {
    Client::connect(&server.connect_string()).await.unwrap()
}

#[tokio::test]
async fn a_cut_client_comes_back_to_its_session_and_its_watches() {
    let server = start().await;
    let (watcher, actor) = (connect(&server).await, connect(&server).await);
    let (_, created) = watcher.check_and_watch_stat("/later").await.unwrap();
    actor.create("/data", b"", &PERSISTENT).await.unwrap();
    let (_, _, changed) = watcher.get_and_watch_data("/data").await.unwrap();
    let (_, kept) = watcher.check_and_watch_stat("/much-later").await.unwrap();
    let session = watcher.session_id();

    let mut states = watcher.state_watcher();
    states.state();
    server.cut_connections();
    // The actor is cut as well; whoever comes back first makes no difference to the watches.
    let mut raw = Wire::open(&server).await;
    raw.new_session().await;
    raw.create("/later").await;
    raw.set_data("/data").await;

    assert_eq!(created.changed().await.event_type, EventType::NodeCreated);
    assert_eq!(
        changed.changed().await.event_type,
        EventType::NodeDataChanged
    );
    while watcher.state() != SessionState::SyncConnected {
        states.changed().await;
    }
    assert_eq!(watcher.session_id(), session);
    raw.create("/much-later").await;
    assert_eq!(kept.changed().await.event_type, EventType::NodeCreated);
}

#[tokio::test]
async fn an_expired_client_learns_of_it() {
    let server = start().await;
    let (owner, observer) = (connect(&server).await, connect(&server).await);
    owner.create("/e", b"", &EPHEMERAL).await.unwrap();
    let (_, watch) = observer.check_and_watch_stat("/e").await.unwrap();
    assert!(server.expire_session(owner.session_id().0));
    assert!(!server.expire_session(owner.session_id().0));
    assert_eq!(watch.changed().await.event_type, EventType::NodeDeleted);
    let mut states = owner.state_watcher();
    while owner.state() != SessionState::Expired {
        states.changed().await;
    }
}

#[tokio::test]
async fn a_taken_port_is_explained() {
    let server = start().await;
    let config = Config {
        address: server.address(),
        ..Config::default()
    };
    let error = Server::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::AddressInUse { address } if address == server.address()));
    assert!(error.to_string().contains(&server.connect_string()));
}

#[tokio::test]
async fn other_machines_are_let_in_only_on_request() {
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = Server::start(Config {
        address,
        ..Config::default()
    })
    .await
    .unwrap_err();
    assert!(matches!(error, StartError::NotLoopback { .. }));
    assert!(error.to_string().contains("allow_non_loopback"));
    let config = Config {
        address,
        allow_non_loopback: true,
        ..Config::default()
    };
    assert!(Server::start(config).await.is_ok());
}

#[tokio::test]
async fn garbage_ends_the_connection_and_is_counted() {
    let server = start().await;
    let huge = i32::MAX.to_be_bytes();
    let negative = (-5_i32).to_be_bytes();
    let short_handshake = *b"\0\0\0\x03abc";
    let inputs: [&[u8]; 4] = [
        &huge,
        &negative,
        &short_handshake,
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for (count, input) in (1..).zip(inputs) {
        assert_eq!(ask(&server, input).await, b"", "{input:?}");
        assert_eq!(server.statistics().garbled_connections, count, "{input:?}");
    }
}

#[tokio::test]
async fn garbage_within_a_session_ends_only_that_connection() {
    let server = start().await;
    let client = connect(&server).await;
    let mut wire = Wire::open(&server).await;
    wire.new_session().await;
    // An `exists` whose path announces two gigabytes.
    wire.send(&[1_i32, 3, i32::MAX].map(i32::to_be_bytes).concat())
        .await;
    assert_eq!(wire.receive().await, None);
    assert_eq!(server.statistics().garbled_connections, 1);
    assert!(client.check_stat("/").await.unwrap().is_some());
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_session_are_answered_with_session_zero() {
    let server = start().await;
    let mut owner = Wire::open(&server).await;
    let (session, password) = owner.new_session().await;
    for (session, password) in [(session, [1; 16]), (session + 99, password)] {
        let mut thief = Wire::open(&server).await;
        assert_eq!(
            thief.connect(0, session, password).await,
            Some((0, [0; 16]))
        );
        assert_eq!(thief.receive().await, None);
    }
    owner.create("/still-mine").await;
}

#[tokio::test]
async fn the_last_connection_of_a_session_wins() {
    let server = start().await;
    let mut first = Wire::open(&server).await;
    let (session, password) = first.new_session().await;
    let mut second = Wire::open(&server).await;
    assert_eq!(
        second.connect(0, session, password).await,
        Some((session, password))
    );
    assert_eq!(first.receive().await, None);
    second.create("/mine").await;
    assert_eq!(server.statistics().sessions, 1);
}

#[tokio::test]
async fn a_client_from_the_future_is_sent_away() {
    let server = start().await;
    let mut wire = Wire::open(&server).await;
    assert_eq!(wire.connect(1_000_000, 0, [0; 16]).await, None);
}

#[tokio::test]
async fn four_letter_words_are_answered_in_text() {
    let server = start().await;
    let client = connect(&server).await;
    assert_eq!(ask(&server, b"ruok").await, b"imok");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let srvr = text(ask(&server, b"srvr").await);
    assert!(srvr.starts_with("Zookeeper version: 3."), "{srvr}");
    assert!(srvr.contains("\nMode: standalone\n"), "{srvr}");
    assert!(srvr.contains("\nConnections: 2\n"), "{srvr}");
    assert!(srvr.contains("\nNode count: 4\n"), "{srvr}");
    assert!(text(ask(&server, b"mntr").await).contains("zk_server_state\tstandalone\n"));
    let port = format!("clientPort={}\n", server.address().port());
    assert!(text(ask(&server, b"conf").await).contains(&port));
    drop(client);
}

#[tokio::test]
async fn a_client_that_never_reads_is_given_up() {
    let server = start().await;
    let client = connect(&server).await;
    let path = format!("/{}", "x".repeat(1000));
    client.create(&path, b"", &PERSISTENT).await.unwrap();
    let mut deaf = Wire::open(&server).await;
    deaf.new_session().await;
    deaf.watch_for_ever(&path).await;
    while server.statistics().overflowed_connections == 0 {
        let mut writer = client.new_multi_writer();
        for _ in 0..900 {
            writer.add_set_data(&path, b"", None).unwrap();
        }
        writer.commit().await.unwrap();
    }
    assert!(client.check_stat(&path).await.unwrap().is_some());
}

#[tokio::test]
async fn a_stopped_server_leaves_nothing_behind() {
    let server = start().await;
    let address = server.address();
    let mut wire = Wire::open(&server).await;
    wire.new_session().await;
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(wire.receive().await, None);
    // The port is free again.
    assert!(
        Server::start(Config {
            address,
            ..Config::default()
        })
        .await
        .is_ok()
    );
}

#[tokio::test]
async fn a_dropped_server_ends_too() {
    let server = start().await;
    let address = server.address();
    let mut wire = Wire::open(&server).await;
    wire.new_session().await;
    drop(server);
    assert_eq!(wire.receive().await, None);
    assert!(TcpStream::connect(address).await.is_err());
}
