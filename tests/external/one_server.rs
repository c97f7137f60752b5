//! One server.

use crate::proxy::{Loss, Proxy};
use crate::trouble::{
    Peers, at, every_row_is_written, every_row_is_written_when_the_session_expires,
    every_row_is_written_when_the_session_is_closed,
};
use crate::zookeeper_server::{Need, ZooKeeperServer, is_wanted};
use onyx::codec::from_payload;
use onyx::config::DigestLogin;
use onyx::coordination::Coordination;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::ids::{LogPosition, WriterId};
use onyx::log::Entry;
use std::collections::BTreeMap;

fn with_server<F: Future<Output = ()>>(test: impl FnOnce(ZooKeeperServer) -> F) {
    if is_wanted(Need::OneServer) {
        onyx::run(async {
            test(ZooKeeperServer::start().await).await;
        });
    }
}

#[test]
fn a_job_is_done_below_a_chroot_and_with_a_login() {
    with_server(async |server| {
        let mut config = at(&format!("{}/clusters/one", server.connect_string()));
        config.coordination.login = DigestLogin::new("onyx", "s3cret");
        every_row_is_written(config, async |_| {}, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_a_session_that_somebody_closes() {
    with_server(async |server| {
        let proxy = Proxy::before(server.address()).await;
        every_row_is_written_when_the_session_is_closed(&proxy, &server.connect_string()).await;
    });
}

#[test]
fn a_job_survives_a_server_that_is_killed_and_comes_back() {
    with_server(async |mut server| {
        let config = at(&server.connect_string());
        let trouble = async |_| {
            server.kill();
            server.restart().await;
        };
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_a_session_that_the_server_lets_expire() {
    with_server(async |server| {
        let proxy = Proxy::before(server.address()).await;
        every_row_is_written_when_the_session_expires(proxy, &server.connect_string()).await;
    });
}

/// The entries of the log, by writer and sequence, and how often each is there.
async fn log_of(servers: &str) -> BTreeMap<(WriterId, u64), usize> {
    let session = Connect::to(servers, "default");
    let session = ZooKeeper::connect(&session).await.unwrap();
    let mut sources = BTreeMap::new();
    let mut next = LogPosition(0);
    loop {
        let payloads = session.read(next, 64).await.unwrap();
        if payloads.is_empty() {
            return sources;
        }
        next = LogPosition(next.0 + payloads.len() as u64);
        for payload in payloads {
            let entry: Entry = from_payload(&payload).unwrap();
            let source = entry.source.unwrap();
            let source = (source.writer, source.sequence);
            *sources.entry(source).or_default() += 1;
        }
    }
}

#[test]
fn entries_that_are_cut_short_count_once() {
    with_server(async |server| {
        let proxy = Proxy::before(server.address()).await;
        let losses = [Loss::OfTheAnswer, Loss::OfTheRequest].repeat(3);
        proxy.lose(&losses);
        let config = at(&proxy.connect_string());
        // The last of them comes late in the life of the job.
        let trouble = async |_| {
            proxy.lose(&[Loss::OfTheRequest, Loss::OfTheAnswer]);
        };
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
        let happened = proxy.losses();
        assert_eq!(happened, losses.len() as u32 + 2);
        let log = log_of(&server.connect_string()).await;
        let twice = log.values().filter(|times| **times > 1).count();
        assert!(
            twice > 0 && twice as u32 <= happened / 2,
            "{twice} of {happened}"
        );
    });
}
