//! A server that asks for a login.

use std::time::Duration;

use tempfile::TempDir;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error};
use zookeeper_embedded::{Access, Config, Server};

use crate::wire::{Wire, ask};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

fn guarded() -> Config {
    Config {
        access: Access::Secret {
            user: "onyx".to_owned(),
        },
        ..Config::default()
    }
}

async fn member(server: &Server) -> Client {
    let credentials = server.credentials().unwrap().as_bytes();
    let connector = Client::connector().with_auth("digest", credentials);
    connector.connect(&server.connect_string()).await.unwrap()
}

#[tokio::test]
async fn only_who_knows_the_secret_is_served() {
    let server = Server::start(guarded()).await.unwrap();
    let member = member(&server).await;
    member.create("/kept", b"data", &PERSISTENT).await.unwrap();

    let stranger = Client::connect(&server.connect_string()).await.unwrap();
    assert_eq!(stranger.get_data("/kept").await, Err(Error::NoAuth));
    assert_eq!(stranger.list_children("/").await, Err(Error::NoAuth));
    assert_eq!(stranger.delete("/kept", None).await, Err(Error::NoAuth));
    let connector = Client::connector().with_auth("digest", b"onyx:guess");
    let guesser = connector.connect(&server.connect_string()).await;
    let opened = match guesser {
        Ok(client) => client.get_data("/kept").await.err(),
        Err(error) => Some(error),
    };
    assert!(opened.is_some(), "a guess is not let in");

    assert_eq!(member.get_data("/kept").await.unwrap().0, b"data");
}

#[tokio::test]
async fn a_member_comes_back_to_its_session_and_its_watches() {
    let server = Server::start(guarded()).await.unwrap();
    let (watcher, actor) = (member(&server).await, member(&server).await);
    let (_, created) = watcher.check_and_watch_stat("/later").await.unwrap();
    let session = watcher.session_id();
    server.cut_connections();
    while actor.create("/later", b"", &PERSISTENT).await.is_err() {}
    created.changed().await;
    assert_eq!(watcher.session_id(), session);
}

#[tokio::test]
async fn questions_of_operators_tell_strangers_no_more_than_that_it_lives() {
    let server = Server::start(guarded()).await.unwrap();
    assert_eq!(ask(&server, b"ruok").await, b"imok");
    for word in ["srvr", "stat", "mntr", "conf", "envi"] {
        let answer = String::from_utf8(ask(&server, word.as_bytes()).await).unwrap();
        let expected = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn who_does_not_log_in_is_closed_and_leaves_no_session() {
    let server = Server::start(Config {
        login_timeout: Duration::from_millis(50),
        ..guarded()
    })
    .await
    .unwrap();
    let member = member(&server).await;
    let mut stranger = Wire::open(&server).await;
    stranger.new_session().await;
    assert_eq!(stranger.receive().await, None);
    while server.statistics().sessions > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.statistics().closed_newcomers, 1);
    assert!(member.check_stat("/").await.unwrap().is_some());
}

#[tokio::test]
async fn sessions_without_a_login_keep_no_member_out() {
    let server = Server::start(Config {
        max_newcomers: 10,
        max_connections: 10,
        ..guarded()
    })
    .await
    .unwrap();
    let mut strangers = Vec::new();
    for _ in 0..50 {
        let mut stranger = Wire::open(&server).await;
        stranger.new_session().await;
        strangers.push(stranger);
    }
    let member = member(&server).await;
    assert!(member.check_stat("/").await.unwrap().is_some());
    assert_eq!(strangers[0].receive().await, None);
}

#[tokio::test]
async fn a_folder_keeps_the_secret_for_the_next_start() {
    let folder = TempDir::new().unwrap();
    let config = || Config {
        data_dir: Some(folder.path().to_owned()),
        ..guarded()
    };
    let server = Server::start(config()).await.unwrap();
    let credentials = server.credentials().unwrap().to_owned();
    server.stop().await;
    let server = Server::start(config()).await.unwrap();
    assert_eq!(server.credentials(), Some(credentials.as_str()));
    let kept = std::fs::read_to_string(folder.path().join("secret")).unwrap();
    assert_eq!(credentials, format!("onyx:{}", kept.trim()));
}
