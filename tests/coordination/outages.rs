//! Outages of the only server that are shorter than a session: nobody is dead afterwards, and every
//! entry is written once for whoever compares writer and sequence.

use crate::apache::on_apache;
use crate::ground::{fresh_tenancy, peer};
use crate::proxy::{Loss, Network, Proxy};
use crate::pulses::{is_absent, watch};
use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use futures_util::FutureExt;
use onyx::clock::Clock;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::coordination::{Coordination, CoordinationError, SessionState};
use onyx::ids::LogPosition;
use std::time::Duration;

/// What an outage costs: the default session of six seconds, through five seconds without a server.
async fn nobody_dies<F: Future<Output = ()>>(address: String, outage: impl FnOnce() -> F) {
    let connect = Connect::to(address, fresh_tenancy());
    assert_eq!(connect.session_timeout, Duration::from_secs(6));
    let owner = ZooKeeper::connect(&connect).await.unwrap();
    let observer = ZooKeeper::connect(&connect).await.unwrap();
    owner.create_pulse(peer(1)).await.unwrap();
    owner.append(b"before".to_vec()).await.unwrap();
    let mut gone = watch(&observer, peer(1)).await;
    let mut states = [owner.state(), observer.state()];
    outage().await;
    let clock = Clock::start();
    for state in &mut states {
        let is_known = |state: &SessionState| *state != SessionState::Disconnected;
        let known = *state.wait_for(is_known).await.unwrap();
        assert_eq!(known, SessionState::Connected);
    }
    println!("back {} ms after the server", clock.now().0);
    // A request of the same session is behind whatever it was told of before.
    assert!(!is_absent(&observer, peer(1)).await);
    match (&mut gone).now_or_never() {
        None | Some(Err(CoordinationError::Interrupted(_))) => {}
        Some(end) => panic!("{end:?}"),
    }
    assert_eq!(owner.append(b"after".to_vec()).await, Ok(LogPosition(1)));
}

const OUTAGE: Duration = Duration::from_secs(5);

#[test]
fn five_seconds_without_a_connection_cost_no_session_of_six() {
    on_apache(async |server| {
        let mut proxy = Proxy::before(server.address()).await;
        let address = proxy.connect_string();
        nobody_dies(address, async || {
            proxy.set(Network::Refuses).await;
            tokio::time::sleep(OUTAGE).await;
            proxy.set(Network::Works).await;
        })
        .await;
    });
}

#[test]
fn five_seconds_of_a_server_that_hangs_cost_no_session_of_six() {
    if !is_wanted(Need::OneServer) {
        return;
    }
    onyx::run(async {
        let server = ZooKeeperServer::start().await;
        nobody_dies(server.connect_string(), async || {
            server.pause();
            tokio::time::sleep(OUTAGE).await;
            server.resume();
        })
        .await;
    });
}

#[test]
fn five_seconds_without_the_only_server_cost_no_session_of_six() {
    if !is_wanted(Need::OneServer) {
        return;
    }
    onyx::run(async {
        let mut server = ZooKeeperServer::start().await;
        nobody_dies(server.connect_string(), async || {
            server.kill();
            // It takes a second or two to come up.
            tokio::join!(tokio::time::sleep(OUTAGE), async {
                tokio::time::sleep(OUTAGE - Duration::from_secs(2)).await;
                server.restart().await;
            });
        })
        .await;
    });
}

#[test]
fn an_entry_that_is_cut_short_is_there_or_not_and_nobody_is_told_that_it_is_not() {
    on_apache(async |server| {
        let proxy = Proxy::before(server.address()).await;
        let connect = Connect::to(proxy.connect_string(), fresh_tenancy());
        let session = ZooKeeper::connect(&connect).await.unwrap();
        for (n, (loss, stored)) in [(Loss::OfTheAnswer, 1), (Loss::OfTheRequest, 0)]
            .into_iter()
            .enumerate()
        {
            let entry = vec![n as u8];
            proxy.lose(&[loss]);
            let answer = session.append(entry.clone()).await;
            assert!(
                matches!(answer, Err(CoordinationError::Interrupted(_))),
                "{loss:?}: {answer:?}"
            );
            assert_eq!(proxy.losses(), n as u32 + 1);
            let mut state = session.state();
            let is_connected = |state: &SessionState| *state == SessionState::Connected;
            state.wait_for(is_connected).await.unwrap();
            let log = session.read(LogPosition(0), 10).await.unwrap();
            let there = log.iter().filter(|stored| **stored == entry).count();
            assert_eq!(there, stored, "{loss:?}");
        }
    });
}
