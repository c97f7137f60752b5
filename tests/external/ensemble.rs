//! An ensemble of three.

use crate::proxy::{Network, Proxy};
use crate::trouble::{
    Peers, at, every_row_is_written, every_row_is_written_when_the_session_expires,
    every_row_is_written_when_the_session_is_closed,
};
use crate::zookeeper_server::{Ensemble, Need, is_wanted};
use std::time::Duration;

fn with_ensemble<F: Future<Output = ()>>(test: impl FnOnce(Ensemble) -> F) {
    if is_wanted(Need::Ensemble) {
        onyx::run(async {
            test(Ensemble::start().await).await;
        });
    }
}

#[test]
fn a_job_survives_the_death_of_the_leader() {
    with_ensemble(async |mut ensemble| {
        let config = at(&ensemble.connect_string());
        let trouble = async |_| {
            ensemble.leader().await.kill();
            ensemble.leader().await;
        };
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_a_leader_that_hangs() {
    with_ensemble(async |mut ensemble| {
        let config = at(&ensemble.connect_string());
        let trouble = async |_| {
            let leader = ensemble.leader().await;
            leader.pause();
            tokio::time::sleep(Duration::from_secs(3)).await;
            leader.resume();
        };
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_the_restart_of_all_servers() {
    with_ensemble(async |mut ensemble| {
        let config = at(&ensemble.connect_string());
        let trouble = async |_| ensemble.restart().await;
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_a_session_that_somebody_closes() {
    with_ensemble(async |ensemble| {
        let proxy = Proxy::before(ensemble.servers[0].address()).await;
        every_row_is_written_when_the_session_is_closed(&proxy, &ensemble.connect_string()).await;
    });
}

#[test]
fn a_job_survives_the_loss_of_the_way_to_one_server() {
    with_ensemble(async |ensemble| {
        let mut near = Proxy::before(ensemble.servers[0].address()).await;
        let far = Proxy::before(ensemble.servers[1].address()).await;
        let config = at(&format!(
            "{},{}",
            near.connect_string(),
            far.connect_string()
        ));
        let trouble = async |_| {
            // Whichever it uses: it moves to the other, with its session.
            near.set(Network::Refuses).await;
        };
        every_row_is_written(config, trouble, Peers::AreTheSame).await;
    });
}

#[test]
fn a_job_survives_a_session_that_the_servers_let_expire() {
    with_ensemble(async |ensemble| {
        let proxy = Proxy::before(ensemble.servers[0].address()).await;
        every_row_is_written_when_the_session_expires(proxy, &ensemble.connect_string()).await;
    });
}
