//! The pulse watcher alone.

use super::*;
use crate::actors::probe::{Probe, heard};
use crate::actors::virtual_time::time_passes;
use crate::coordination::memory::{Memory, MemoryServer};
use crate::ids::IdSource;
use crate::messages::supervision::Exit;
use actix::Addr;
use std::collections::BTreeSet;
use std::time::Duration;

struct Rig {
    server: MemoryServer,
    /// Where the others live.
    others: Memory,
    watcher: Addr<PulseWatcher>,
    probe: Addr<Probe>,
}

fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}

const ME: u64 = 1;

/// A watcher, and others with pulses.
async fn start(others: impl IntoIterator<Item = u64>) -> Rig {
    tokio::time::pause();
    let (server, probe) = (MemoryServer::default(), Probe::default().start());
    let session = Arc::new(server.connect());
    let obituary = Probe::obituary(&probe, Child::PulseWatcher);
    let watcher = PulseWatcher::new(session, peer(ME), probe.clone().recipient(), obituary);
    let elsewhere = server.connect();
    for other in others {
        elsewhere.create_pulse(peer(other)).await.unwrap();
    }
    Rig {
        others: elsewhere,
        watcher: watcher.start(),
        server,
        probe,
    }
}

impl Rig {
    async fn watches(&self, peers: impl IntoIterator<Item = u64>) {
        let peers: BTreeSet<PeerId> = peers.into_iter().map(peer).collect();
        self.watcher.send(KeepWatches(peers)).await.unwrap();
    }

    /// The peers that were reported, once nobody has anything left to do.
    async fn gone(&self) -> Vec<PeerId> {
        time_passes(Duration::from_secs(1)).await;
        heard(&self.probe).await.gone
    }
}

#[actix::test]
async fn the_pulse_of_its_peer_is_there_from_its_creation_to_the_stop() {
    let rig = start([]).await;
    rig.watcher.send(CreatePulse).await.unwrap().unwrap();
    assert_eq!(rig.server.pulses(), [peer(ME)]);
    rig.watcher.send(Stop).await.unwrap();
    assert_eq!(rig.server.pulses(), []);
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(deaths.len(), 1);
    assert_eq!(deaths[0].exit, Exit::Stopped);
}

#[actix::test]
async fn a_watched_peer_that_dies_is_reported_and_others_are_not() {
    let rig = start([2, 3, 4]).await;
    rig.watches([2, 3]).await;
    rig.others.delete_pulse(peer(4)).await.unwrap();
    assert_eq!(rig.gone().await, []);
    rig.others.delete_pulse(peer(3)).await.unwrap();
    assert_eq!(rig.gone().await, [peer(3)]);
}

#[actix::test]
async fn a_peer_without_a_pulse_is_reported_at_once() {
    let rig = start([]).await;
    rig.watches([2]).await;
    assert_eq!(rig.gone().await, [peer(2)]);
}

#[actix::test]
async fn a_watch_that_is_not_wanted_any_more_reports_nothing() {
    let rig = start([2, 3]).await;
    rig.watches([2, 3]).await;
    rig.watches([3]).await;
    rig.others.delete_pulse(peer(2)).await.unwrap();
    assert_eq!(rig.gone().await, []);
}

#[actix::test]
async fn an_interruption_is_no_death_and_watches_outlive_it() {
    let rig = start([2]).await;
    rig.watches([2]).await;
    for _ in 0..3 {
        rig.server.interrupt();
        time_passes(Duration::from_secs(5)).await;
        rig.server.restore();
        assert_eq!(rig.gone().await, []);
    }
    rig.others.delete_pulse(peer(2)).await.unwrap();
    assert_eq!(rig.gone().await, [peer(2)]);
}

#[actix::test]
async fn the_end_of_its_own_session_is_nobodys_death() {
    let rig = start([2]).await;
    rig.watcher.send(CreatePulse).await.unwrap().unwrap();
    rig.watches([2]).await;
    rig.server.expire_session_of(peer(ME));
    assert_eq!(rig.gone().await, []);
    rig.watches([2, 3]).await;
    assert_eq!(rig.gone().await, []);
}

#[actix::test]
async fn a_pulse_is_created_and_deleted_through_interruptions() {
    let rig = start([]).await;
    rig.server.interrupt();
    let (created, ()) = tokio::join!(rig.watcher.send(CreatePulse), async {
        time_passes(Duration::from_secs(2)).await;
        rig.server.restore();
    });
    created.unwrap().unwrap();
    assert_eq!(rig.server.pulses(), [peer(ME)]);
    rig.server.interrupt();
    let (stopped, ()) = tokio::join!(rig.watcher.send(Stop), async {
        time_passes(Duration::from_secs(2)).await;
        rig.server.restore();
    });
    stopped.unwrap();
    assert_eq!(rig.server.pulses(), []);
}
