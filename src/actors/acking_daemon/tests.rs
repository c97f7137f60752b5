//! The acking daemon alone.

use super::*;
use crate::acking::{Ack, AckGroup, AckMessage, Inquiry};
use crate::actors::probe::{Probe, heard};
use crate::actors::virtual_time::time_passes;
use crate::codec::{Batch, BatchMeta, EncodedBuilder, Origin};
use crate::coordination::SessionLease;
use crate::coordination::memory::MemoryServer;
use crate::ids::{IdSource, LogPosition};
use crate::messages::supervision::Exit;
use crate::messaging::{LocalTransport, SegmentsMessage};
use crate::replica::Replica;
use crate::replica::sample::member;
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use crate::task::Beat;
use crate::task::registry::Registry;
use crate::task::traces::Traces;
use actix::Addr;

struct Rig {
    transport: LocalTransport,
    daemon: Addr<AckingDaemon>,
    probe: Addr<Probe>,
    counters: Counters,
    members: watch::Sender<Snapshot>,
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
    let clock = Clock::start();
    let services = TaskServices {
        session: Arc::new(MemoryServer::default().connect()),
        lease: SessionLease::unproved(clock),
        transport: Arc::new(transport.clone()),
        registry: Arc::new(Registry::with_built_in()),
        counters: Counters::default(),
        traces: Traces::default(),
        clock,
        inbox_batches: 8,
        beat: Beat::default(),
        stop: StopFlag::default(),
    };
    let (members, latest) = watch::channel(Snapshot::default());
    members.send_modify(|snapshot| {
        let mut replica = Replica::default();
        let membership = Arc::make_mut(&mut replica.membership);
        membership.members.insert(peer(ME), member());
        snapshot.replica = Arc::new(replica);
    });
    let counters = services.counters.clone();
    let daemon = AckingDaemon::new(peer(ME), &services, settings, latest, obituary).unwrap();
    Rig {
        transport,
        daemon: daemon.start(),
        probe,
        counters,
        members,
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
                reach: Reach::Inside,
                acks,
            }],
        });
        let mut link = self.transport.link(peer(ME), InboxKind::Acker).unwrap();
        link.ready().await.unwrap();
        link.try_send(message).unwrap();
    }

    /// The source asks how its roots do.
    fn ask(&self, roots: &[u64]) {
        let mut link = self.transport.link(peer(ME), InboxKind::Acker).unwrap();
        let inquiry = Inquiry {
            source: peer(ME),
            epoch: 1,
            number: 1,
            quiet_ms: 5_000,
            roots: roots.to_vec(),
        };
        link.try_send(Message::Inquiry(inquiry)).unwrap();
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
        time_passes(Duration::from_millis(1)).await;
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
    time_passes(Duration::from_millis(1)).await;
    assert_eq!(rig.detail("undeliverable").await, 1);
}

#[actix::test]
async fn roots_that_stay_incomplete_are_swept() {
    let mut rig = start();
    rig.ack(1, 1, 7).await;
    time_passes(Duration::from_secs(50)).await;
    assert_eq!(
        (rig.detail("open").await, rig.detail("swept").await),
        (1, 0)
    );
    time_passes(Duration::from_secs(40)).await;
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

#[actix::test]
async fn a_source_that_asks_hears_what_moves_after_what_is_complete() {
    let mut rig = start();
    let mut source = rig.source(8);
    rig.ack(1, 1, 7).await;
    time_passes(Duration::from_secs(20)).await;
    rig.ack(1, 2, 7).await;
    rig.ack(1, 3, 0).await;
    rig.ask(&[1, 2, 3]);
    assert_eq!(completed(&mut source).await, (1, vec![3]));
    let answer = answer(&mut source).await;
    assert_eq!((answer.by, answer.alive), (peer(ME), vec![2]));
}

#[actix::test]
async fn a_source_hears_what_the_task_beside_the_daemon_has_until_that_is_through_with_it() {
    let rig = start();
    let mut source = rig.source(8);
    let mut link = rig.transport.link(peer(ME), InboxKind::Task).unwrap();
    link.try_send(segments(4, 2)).unwrap();
    rig.ask(&[3, 4, 5]);
    // It is out of the inbox, and not settled.
    assert!(matches!(source.next().await, Some(Message::Segments(_))));
    assert_eq!(answer(&mut source).await.alive, [4, 5]);
    source.settle();
    rig.ask(&[3, 4, 5]);
    assert!(answer(&mut source).await.alive.is_empty());
}

async fn answer(source: &mut Inbox) -> Progress {
    match source.next().await {
        Some(Message::Progress(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

/// A batch of so many consecutive roots of the source.
fn segments(first_root: u64, count: usize) -> Message {
    let origin = Origin {
        source: peer(ME),
        acker: peer(ME),
        epoch: 1,
        traced: 0,
    };
    let mut payload = EncodedBuilder::default();
    for _ in 0..count {
        payload.push(&Segment::default()).unwrap();
    }
    let meta = BatchMeta::of_roots(origin, first_root, count);
    Message::Segments(SegmentsMessage {
        job: IdSource::from_seed(3).job(),
        task: "work".into(),
        sender: peer(2),
        version: LogPosition(1),
        batch: Batch::new(meta, payload.finish()).unwrap(),
    })
}

#[actix::test]
async fn roots_of_a_peer_that_is_gone_are_given_up_at_the_next_sweep() {
    let mut rig = start();
    let open = |rig: &Rig| rig.counters.ackers().open.load(Ordering::Relaxed);
    rig.ack(1, 1, 7).await;
    time_passes(Duration::from_secs(20)).await;
    assert_eq!(open(&rig), 1);
    rig.members
        .send_modify(|snapshot| *snapshot = Snapshot::default());
    time_passes(Duration::from_secs(15)).await;
    assert_eq!((open(&rig), rig.detail("forgotten").await), (0, 1));
}
