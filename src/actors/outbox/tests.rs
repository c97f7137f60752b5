//! The outbox alone.

use super::*;
use crate::actors::probe::{Probe, heard};
use crate::actors::supervision::remember_panics;
use crate::actors::virtual_time::time_passes;
use crate::clock::Clock;
use crate::codec::from_payload;
use crate::coordination::memory::{AppendFault, MemoryServer};
use crate::ids::{IdSource, JobId};
use crate::log::commands::{KillJob, LeaveCluster};
use crate::messages::supervision::Exit;
use actix::Addr;
use std::time::Duration;

struct Rig {
    server: MemoryServer,
    outbox: Addr<Outbox>,
    probe: Addr<Probe>,
    clock: Clock,
    lease: SessionLease,
}

const LEASED: Duration = Duration::from_secs(3_600);

fn start(gate: SetGate, capacity: usize) -> Rig {
    tokio::time::pause();
    remember_panics();
    let (server, probe) = (MemoryServer::default(), Probe::default().start());
    let obituary = Probe::obituary(&probe, Child::Outbox);
    let writer = IdSource::from_seed(1).peer().into();
    let clock = Clock::start();
    let lease = SessionLease::unproved(clock);
    lease.extend(clock.now(), LEASED);
    let session = Arc::new(server.connect());
    let outbox = Outbox::new(session, lease.clone(), writer, gate, capacity, obituary);
    Rig {
        server,
        outbox: outbox.start(),
        probe,
        clock,
        lease,
    }
}

fn job(n: u64) -> JobId {
    IdSource::from_seed(n).job()
}

fn kill(n: u64) -> Command {
    Command::KillJob(KillJob::new(job(n), None))
}

fn leave() -> Command {
    Command::LeaveCluster(LeaveCluster::of(IdSource::from_seed(9).peer()))
}

impl Rig {
    async fn write(&self, command: Command) -> Result<(), OutboxFull> {
        self.outbox
            .send(WriteEntry {
                command,
                entry_parent: None,
            })
            .await
            .unwrap()
    }

    fn entries(&self) -> Vec<Entry> {
        self.server
            .entries()
            .iter()
            .map(|payload| from_payload(payload).unwrap())
            .collect()
    }

    fn written(&self) -> Vec<Command> {
        self.entries()
            .into_iter()
            .map(|entry| entry.command)
            .collect()
    }
}

#[actix::test]
async fn entries_are_written_in_order_and_numbered() {
    let rig = start(SetGate::Resume, 10);
    rig.server.set_delay(Duration::from_millis(50));
    for n in 0..5 {
        rig.write(kill(n)).await.unwrap();
    }
    let confirmed = rig.outbox.send(WriteAndConfirm(kill(5))).await.unwrap();
    assert_eq!(confirmed, Ok(LogPosition(5)));
    assert_eq!(rig.written(), (0..6).map(kill).collect::<Vec<_>>());
    let sequences = rig
        .entries()
        .into_iter()
        .map(|entry| entry.source.unwrap().sequence);
    assert_eq!(sequences.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

#[actix::test]
async fn while_paused_only_the_join_and_leaves_pass_and_the_others_keep_their_order() {
    let rig = start(SetGate::Pause, 10);
    for command in [kill(1), leave(), kill(2)] {
        rig.write(command).await.unwrap();
    }
    time_passes(Duration::from_secs(1)).await;
    assert_eq!(rig.written(), [leave()]);
    rig.outbox.send(SetGate::Resume).await.unwrap();
    rig.outbox
        .send(WriteAndConfirm(kill(3)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rig.written(), [leave(), kill(1), kill(2), kill(3)]);
}

#[actix::test]
async fn a_full_outbox_refuses_and_says_how_much_it_holds() {
    let rig = start(SetGate::Pause, 2);
    rig.write(kill(1)).await.unwrap();
    rig.write(kill(2)).await.unwrap();
    let full = OutboxFull { capacity: 2 };
    let refused = rig.outbox.send(WriteAndConfirm(kill(3))).await.unwrap();
    assert_eq!(refused, Err(WriteFailed::Full(full)));
    assert!(rig.outbox.connected(), "a client may try again");
    assert_eq!(rig.write(kill(3)).await, Err(full));
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(
        deaths.len(),
        1,
        "a peer may not go on without having said it"
    );
    assert_eq!(deaths[0].exit, Exit::Failed(full.to_string()));
}

#[actix::test]
async fn an_entry_of_unknown_outcome_is_written_again_under_its_number() {
    let rig = start(SetGate::Resume, 10);
    rig.server
        .fail_appends([AppendFault::UnknownButStored, AppendFault::UnknownAndLost]);
    let confirmed = rig.outbox.send(WriteAndConfirm(kill(1))).await.unwrap();
    assert_eq!(confirmed, Ok(LogPosition(1)));
    assert_eq!(rig.written(), [kill(1), kill(1)]);
    let sequences: Vec<u64> = rig
        .entries()
        .into_iter()
        .map(|entry| entry.source.unwrap().sequence)
        .collect();
    assert_eq!(sequences, [1, 1]);
}

#[actix::test]
async fn a_stop_writes_what_may_pass_first() {
    let rig = start(SetGate::Resume, 10);
    rig.server.set_delay(Duration::from_millis(50));
    for n in 0..3 {
        rig.write(kill(n)).await.unwrap();
    }
    rig.outbox.send(Stop).await.unwrap();
    assert_eq!(rig.written().len(), 3);
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(deaths.len(), 1);
    assert_eq!(
        (deaths[0].child, &deaths[0].exit),
        (Child::Outbox, &Exit::Stopped)
    );
}

#[actix::test]
async fn it_dies_once_with_its_cause() {
    let rig = start(SetGate::Resume, 10);
    // Nobody answers an actor that panics.
    let _ = rig.outbox.send(Crash(Child::Outbox)).await;
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(deaths.len(), 1);
    let Exit::Panicked(cause) = &deaths[0].exit else {
        panic!("{deaths:?}")
    };
    assert!(
        cause.starts_with("crashed by a test (src/actors/outbox"),
        "{cause}"
    );
}

#[actix::test]
async fn it_ends_with_its_session_and_tells_who_waits() {
    let rig = start(SetGate::Resume, 10);
    rig.server.set_delay(Duration::from_millis(50));
    let first = rig.outbox.send(WriteAndConfirm(kill(1)));
    let second = rig.outbox.send(WriteAndConfirm(kill(2)));
    let (first, second, ()) = tokio::join!(first, second, async {
        time_passes(Duration::from_millis(20)).await;
        rig.server.end_all_sessions();
    });
    assert_eq!(first.unwrap(), Ok(LogPosition(0)));
    assert!(matches!(
        second,
        Ok(Err(
            WriteFailed::Refused(CoordinationError::Expired) | WriteFailed::Ended
        ))
    ));
    let deaths = heard(&rig.probe).await.deaths;
    assert_eq!(
        deaths[0].exit,
        Exit::Failed("the coordination session is over".into())
    );
}

#[actix::test]
async fn nothing_is_written_while_the_lease_of_the_session_does_not_hold() {
    let rig = start(SetGate::Resume, 10);
    tokio::time::advance(LEASED).await;
    rig.write(kill(1)).await.unwrap();
    rig.write(leave()).await.unwrap();
    time_passes(Duration::from_secs(60)).await;
    assert_eq!(rig.written(), []);
    rig.lease.extend(rig.clock.now(), LEASED);
    time_passes(Duration::from_secs(1)).await;
    assert_eq!(rig.written(), [kill(1), leave()]);
}

#[actix::test]
async fn an_outbox_ends_with_the_lease() {
    let rig = start(SetGate::Resume, 10);
    tokio::time::advance(LEASED).await;
    rig.write(kill(1)).await.unwrap();
    rig.lease.end();
    time_passes(Duration::from_secs(1)).await;
    let deaths = heard(&rig.probe).await.deaths;
    assert!(deaths[0].exit.to_string().contains("session is over"));
    assert_eq!(rig.written(), []);
}
