//! What is asked of Apache ZooKeeper when a session is opened: servers, a chroot, time-outs.

use crate::ground::fresh_tenancy;
use crate::proxy::{Network, Proxy};
use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::coordination::{Coordination, CoordinationError, SessionState};
use onyx::ids::LogPosition;
use std::sync::Arc;
use std::time::Duration;
use zookeeper_client::Client;

/// Runs a test of one server of Apache ZooKeeper, where that is wanted.
pub(crate) fn on_apache<F: Future<Output = ()>>(test: impl FnOnce(Arc<ZooKeeperServer>) -> F) {
    if is_wanted(Need::OneServer) {
        onyx::run(async {
            test(ZooKeeperServer::shared().await).await;
        });
    }
}

#[test]
fn a_chroot_is_made_and_several_clusters_share_the_servers_by_it() {
    on_apache(async |server| {
        let servers = server.connect_string();
        let root = fresh_tenancy();
        let at = |chroot: &str| Connect::to(format!("{servers}/{root}/{chroot}"), "default");
        for _ in 0..2 {
            let one = ZooKeeper::connect(&at("one/deep")).await.unwrap();
            one.append(b"one".to_vec()).await.unwrap();
        }
        let two = ZooKeeper::connect(&at("two")).await.unwrap();
        assert_eq!(two.append(b"two".to_vec()).await, Ok(LogPosition(0)));
        let client = Client::connect(&servers).await.unwrap();
        let log = format!("/{root}/one/deep/onyx/default/log");
        assert_eq!(client.list_children(&log).await.unwrap().len(), 2);
    });
}

#[test]
fn of_several_servers_one_that_serves_is_enough() {
    on_apache(async |server| {
        // Nobody listens at the first two.
        let address = format!("127.0.0.1:9,127.0.0.2:9,{}", server.connect_string());
        let connect = Connect::to(address, fresh_tenancy());
        let session = ZooKeeper::connect(&connect).await.unwrap();
        assert_eq!(session.append(b"it".to_vec()).await, Ok(LogPosition(0)));
    });
}

#[test]
fn the_session_timeout_is_the_one_that_is_asked_for_within_the_limits_of_the_server() {
    on_apache(async |server| {
        let granted = async |asked| {
            let connect = Connect {
                session_timeout: asked,
                connection_timeout: asked / 3,
                ..Connect::to(server.connect_string(), fresh_tenancy())
            };
            ZooKeeper::connect(&connect)
                .await
                .unwrap()
                .session_timeout()
        };
        for seconds in [1, 4, 30] {
            let asked = Duration::from_secs(seconds);
            assert_eq!(granted(asked).await, asked);
        }
        assert_eq!(
            granted(Duration::from_secs(90)).await,
            Duration::from_secs(60)
        );
    });
}

#[test]
fn a_silent_server_is_noticed_after_the_connection_timeout() {
    on_apache(async |server| {
        let mut proxy = Proxy::before(server.address()).await;
        let session = async |connection_timeout| {
            let connect = Connect {
                session_timeout: Duration::from_secs(20),
                connection_timeout,
                ..Connect::to(proxy.connect_string(), fresh_tenancy())
            };
            ZooKeeper::connect(&connect).await.unwrap()
        };
        let hasty = session(Duration::from_millis(300)).await;
        let patient = session(Duration::from_secs(5)).await;
        proxy.set(Network::Silent).await;
        let mut state = hasty.state();
        let is_disconnected = |state: &SessionState| *state == SessionState::Disconnected;
        state.wait_for(is_disconnected).await.unwrap();
        assert_eq!(*patient.state().borrow(), SessionState::Connected);
        proxy.set(Network::Works).await;
        let is_connected = |state: &SessionState| *state == SessionState::Connected;
        state.wait_for(is_connected).await.unwrap();
    });
}

#[test]
fn a_session_is_asked_for_as_long_as_configured() {
    onyx::run(async {
        let mut proxy = Proxy::before(([127, 0, 0, 1], 9).into()).await;
        proxy.set(Network::Refuses).await;
        let mut connect = Connect::to(proxy.connect_string(), "default");
        connect.retry.pause_min = Duration::from_millis(1);
        connect.retry.connect_wait = Duration::from_millis(50);
        let Err(error) = ZooKeeper::connect(&connect).await else {
            panic!("nobody serves")
        };
        assert!(
            matches!(error, CoordinationError::Unreachable { .. }),
            "{error}"
        );
        // Servers that come up later are found as long as there is time left.
        let server = zookeeper_embedded::Config::default();
        let server = zookeeper_embedded::Server::start(server).await.unwrap();
        let mut proxy = Proxy::before(server.address()).await;
        proxy.set(Network::Refuses).await;
        connect.address = proxy.connect_string();
        connect.retry.connect_wait = Duration::from_secs(600);
        connect.retry.pause_max = Duration::from_millis(1);
        let (session, ()) = tokio::join!(ZooKeeper::connect(&connect), async {
            proxy.set(Network::Works).await;
        });
        session.unwrap().append(b"it".to_vec()).await.unwrap();
        server.stop().await;
    });
}
