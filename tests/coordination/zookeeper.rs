//! What only ZooKeeper has: tenancies, and connections that break.

use crate::ground::{Servers, fresh_tenancy, peer};
use crate::pulses::{is_absent, watch};
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::coordination::{
    Coordination, CoordinationError, Layout, Node, Put, SessionState, reconnected,
};
use onyx::ids::LogPosition;
use std::time::Duration;
use zookeeper_client::{Acls, CreateMode};

#[test]
fn tenancies_see_nothing_of_each_other() {
    onyx::run(async {
        let servers = Servers::start().await;
        let (mine, theirs) = (fresh_tenancy(), fresh_tenancy());
        let (mine, theirs) = (
            servers.session_in(&mine).await,
            servers.session_in(&theirs).await,
        );
        mine.append(b"mine".to_vec()).await.unwrap();
        mine.create_pulse(peer(1)).await.unwrap();
        mine.put(Node::Origin, b"mine".to_vec(), Put::Always)
            .await
            .unwrap();
        assert_eq!(
            theirs.read(LogPosition(0), 1).await.unwrap(),
            Vec::<Vec<u8>>::new()
        );
        assert_eq!(theirs.append(b"theirs".to_vec()).await, Ok(LogPosition(0)));
        assert!(is_absent(&theirs, peer(1)).await);
        assert_eq!(theirs.get(Node::Origin).await, Ok(None));
    });
}

#[test]
fn a_position_that_somebody_else_took_is_an_empty_entry() {
    onyx::run(async {
        let servers = Servers::start().await;
        let session = servers.session().await;
        session.append(b"before".to_vec()).await.unwrap();
        let client = zookeeper_client::Client::connect(&servers.connect.address);
        let foreign = Layout::of(&servers.connect.tenancy).entry_prefix() + "foreign";
        let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
        client
            .await
            .unwrap()
            .create(&foreign, b"mine", &options)
            .await
            .unwrap();
        assert_eq!(session.append(b"after".to_vec()).await, Ok(LogPosition(2)));
        let read = session.read(LogPosition(0), 10).await.unwrap();
        assert_eq!(read, [b"before".to_vec(), vec![], b"after".to_vec()]);
    });
}

#[test]
fn a_connection_that_breaks_is_no_death_and_comes_back() {
    onyx::run(async {
        let servers = Servers::start().await;
        let Some(server) = &servers.embedded else {
            return;
        };
        let (owner, observer) = (servers.session().await, servers.session().await);
        owner.create_pulse(peer(1)).await.unwrap();
        owner.append(b"before".to_vec()).await.unwrap();
        let gone = watch(&observer, peer(1)).await;
        let next = observer.wait_for(LogPosition(1));
        server.cut_connections();
        for session in [&owner, &observer] {
            let mut state = session.state();
            // It may be back before anybody looks.
            reconnected(session).await.unwrap();
            state
                .wait_for(|state| *state == SessionState::Connected)
                .await
                .unwrap();
        }
        assert!(!is_absent(&observer, peer(1)).await);
        while let Err(error) = owner.append(b"after".to_vec()).await {
            assert!(
                matches!(error, CoordinationError::Interrupted(_)),
                "{error}"
            );
        }
        match next.await {
            Ok(()) | Err(CoordinationError::Interrupted(_)) => {}
            Err(error) => panic!("{error}"),
        }
        // The watch has survived, or says that it has not; it does not say that the peer is dead.
        owner.delete_pulse(peer(1)).await.unwrap();
        match gone.await {
            Ok(()) | Err(CoordinationError::Interrupted(_)) => {}
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn a_server_that_is_gone_for_longer_than_the_session_ends_it() {
    onyx::run(async {
        let mut servers = Servers::start().await;
        let Some(server) = servers.embedded.take() else {
            return;
        };
        let connect = Connect {
            session_timeout: Duration::from_millis(500),
            connection_timeout: Duration::from_millis(200),
            ..Connect::to(server.connect_string(), fresh_tenancy())
        };
        let session = ZooKeeper::connect(&connect).await.unwrap();
        let mut state = session.state();
        server.stop().await;
        state
            .wait_for(|state| *state == SessionState::Expired)
            .await
            .unwrap();
        assert_eq!(
            session.append(vec![]).await,
            Err(CoordinationError::Expired)
        );
    });
}

#[test]
fn a_service_that_cannot_be_reached_is_named() {
    onyx::run(async {
        // Port 9 of this machine: discard, which nobody runs.
        let mut connect = Connect::to("127.0.0.1:9/x", "default");
        connect.retry.connect_wait = Duration::from_millis(1);
        let Err(error) = ZooKeeper::connect(&connect).await else {
            panic!("somebody is there")
        };
        let text = error.to_string();
        let expected =
            "cannot reach coordination at 127.0.0.1:9/x: 127.0.0.1:9: Connection refused";
        assert!(text.starts_with(expected), "{text}");
    });
}
