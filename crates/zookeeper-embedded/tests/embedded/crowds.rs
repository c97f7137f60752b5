//! More connections than a server has places for, and connections that do nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zookeeper_embedded::{Config, Server};

use crate::wire::{Wire, ask};

async fn start(config: Config) -> Server {
    Server::start(config).await.unwrap()
}

/// Waits until the server has hung up.
async fn ends(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // It may reset the connection.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

/// A server that takes one client and turns a second one away.
async fn with_room_for_one(config: Config) -> (Server, Wire) {
    let server = start(config).await;
    let mut first = Wire::open(&server).await;
    first.new_session().await;
    let mut second = Wire::open(&server).await;
    assert_eq!(second.connect(0, 0, [0; 16]).await, None);
    (server, first)
}

#[tokio::test]
async fn more_sessions_than_allowed_are_turned_away_and_questions_are_answered() {
    let (server, mut first) = with_room_for_one(Config {
        max_connections: 1,
        ..Config::default()
    })
    .await;
    assert_eq!(server.statistics().refused_connections, 1);
    assert_eq!(ask(&server, b"ruok").await, b"imok");
    first.create("/still-served").await;
}

#[tokio::test]
async fn more_sessions_of_one_address_than_allowed_are_turned_away() {
    let (server, first) = with_room_for_one(Config {
        max_connections_per_address: 1,
        ..Config::default()
    })
    .await;
    drop(first);
    while server.statistics().connections > 0 {
        tokio::task::yield_now().await;
    }
    Wire::open(&server).await.new_session().await;
}

#[tokio::test]
async fn a_connection_that_asks_for_no_session_is_closed() {
    let server = start(Config {
        handshake_timeout: Duration::from_millis(50),
        ..Config::default()
    })
    .await;
    let mut settled = Wire::open(&server).await;
    settled.new_session().await;
    ends(TcpStream::connect(server.address()).await.unwrap()).await;
    assert_eq!(server.statistics().closed_newcomers, 1);
    settled.create("/still-served").await;
}

#[tokio::test]
async fn a_handshake_that_comes_byte_by_byte_is_cut_off() {
    let server = start(Config {
        handshake_timeout: Duration::from_millis(200),
        ..Config::default()
    })
    .await;
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    // The length of a handshake, and then as much of one as the server lets us send.
    let mut handshake = [0, 0, 0, 45].into_iter().chain(std::iter::repeat_n(0, 40));
    while server.statistics().closed_newcomers == 0 {
        let byte = handshake.next().expect("the server cuts it off");
        // It may have done so just now.
        let _ = slow.write_all(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.statistics().garbled_connections, 0);
    ends(slow).await;
}

#[tokio::test]
async fn idle_connections_keep_no_client_out() {
    let server = start(Config {
        max_newcomers: 10,
        handshake_timeout: Duration::from_secs(600),
        ..Config::default()
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let mut client = Wire::open(&server).await;
    client.new_session().await;
    client.create("/served").await;
    let statistics = server.statistics();
    assert!(statistics.closed_newcomers >= 90, "{statistics:?}");
    let first = idle.swap_remove(0);
    ends(first).await;
}
