//! The acking daemon alone.

use super::*;
use crate::acking::{Ack, AckGroup, AckMessage};
use crate::actors::probe::{Probe, heard};
use crate::ids::IdSource;
use crate::messages::supervision::Exit;
use crate::messaging::LocalTransport;
use actix::Addr;

struct Rig {
    transport: LocalTransport,
    daemon: Addr<AckingDaemon>,
    probe: Addr<Probe>,
    sequence: u64,
}

fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}

const ME: u64 = 1;

fn start() -> Rig {
    tokio::time::pause();
    let (transport, probe) = (LocalTransport::new(), Probe::default().start());
    let settings = AckingSettings {
        inbox_messages: 8,
        timeout: Duration::from_secs(60),
        sweep_interval: Duration::from_secs(15),
    };
    let obituary = Probe::obituary(&probe, Child::AckingDaemon);
    let shared: Arc<dyn Transport> = Arc::new(transport.clone());
    let daemon = AckingDaemon::new(peer(ME), shared, settings, Clock::start(), obituary).unwrap();
    Rig {
        transport,
        daemon: daemon.start(),
        probe,
        sequence: 0,
    }
}

impl Rig {
    /// Sends the ack of a root of an epoch of the source.
    async fn ack(&mut self, epoch: u64, root: u64, value: u64) {
        self.sequence += 1;
        let acks = vec![Ack { root, value }];
        let message = Message::Acks(AckMessage {
            sender: peer(2),
            epoch: 1,
            sequence: self.sequence,
            groups: vec![AckGroup {
                source: peer(ME),
                epoch,
                acks,
            }],
        });
        let mut link = self.transport.link(peer(ME), InboxKind::Acker).unwrap();
        link.ready().await.unwrap();
        link.try_send(message).unwrap();
    }

    async fn detail(&self, name: &str) -> u64 {
        let report = self.daemon.send(Observe).await.unwrap();
        report.detail[name].as_u64().unwrap()
    }

    fn source(&self, messages: usize) -> Inbox {
        self.transport
            .open_inbox(peer(ME), InboxKind::Task, messages)
            .unwrap()
    }
}

async fn completed(source: &mut Inbox) -> (u64, Vec<u64>) {
    match source.next().await {
        Some(Message::Completions(done)) => (done.epoch, done.roots),
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_source_hears_of_its_complete_roots_only() {
    let mut rig = start();
    let mut source = rig.source(8);
    rig.ack(1, 5, 0b110).await;
    rig.ack(1, 6, 0b001).await;
    rig.ack(1, 5, 0b110).await;
    assert_eq!(completed(&mut source).await, (1, vec![5]));
    assert_eq!(rig.detail("open").await, 1);
}

#[actix::test]
async fn a_source_that_started_another_task_hears_of_its_roots_there() {
    let mut rig = start();
    let mut source = rig.source(8);
    rig.ack(1, 1, 0).await;
    assert_eq!(completed(&mut source).await, (1, vec![1]));
    drop(source);
    let mut source = rig.source(8);
    rig.ack(2, 1, 0).await;
    assert_eq!(completed(&mut source).await, (2, vec![1]));
    assert_eq!(rig.detail("undeliverable").await, 0);
}

#[actix::test]
async fn a_source_that_is_full_makes_it_wait_and_misses_nothing() {
    let mut rig = start();
    let mut source = rig.source(1);
    for root in 1..=6 {
        rig.ack(1, root, 0).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut roots = Vec::new();
    while roots.len() < 6 {
        roots.extend(completed(&mut source).await.1);
    }
    assert_eq!(roots, [1, 2, 3, 4, 5, 6]);
}

#[actix::test]
async fn what_is_meant_for_a_source_that_is_gone_is_counted() {
    let mut rig = start();
    rig.ack(1, 1, 0).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.detail("undeliverable").await, 1);
}

#[actix::test]
async fn roots_that_stay_incomplete_are_swept() {
    let mut rig = start();
    rig.ack(1, 1, 7).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(
        (rig.detail("open").await, rig.detail("swept").await),
        (1, 0)
    );
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(
        (rig.detail("open").await, rig.detail("swept").await),
        (0, 1)
    );
}

#[actix::test]
async fn its_inbox_closes_with_it_and_it_dies_once() {
    let rig = start();
    rig.daemon.send(Stop).await.unwrap();
    assert!(
        rig.transport
            .open_inbox(peer(ME), InboxKind::Acker, 1)
            .is_ok()
    );
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(deaths.len(), 1);
    assert_eq!(deaths[0].exit, Exit::Stopped);
}
