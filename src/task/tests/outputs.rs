//! What an output writes, acks and seals; and exceptions.

use super::exception::Phase;
use super::lifecycles::{Handling, LifecycleCalls};
use super::stations::Ends;
use super::*;
use crate::job::{Lifecycle, LifecycleTarget};
use crate::log::wants::TaskPhase;
use std::sync::Mutex;

async fn line(limit: i64) -> (Rig, Ends) {
    let ends = Ends::default();
    let rig = Rig::new(ends.registry(numbers(0..limit)), |_| ()).await;
    (rig, ends)
}

#[tokio::test]
async fn a_line_completes_every_root_exactly_when_its_output_has_written() {
    let (mut rig, ends) = line(100).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    assert_eq!((rig.complete(), ends.written()), (vec![], vec![]));
    work_off(&mut write);
    assert_eq!(ends.written(), (0..100).collect::<Vec<_>>());
    rig.settle();
    work_off(&mut read);
    assert_eq!(read.phase(), TaskPhase::Exhausted);
    let (read, written) = (rig.figures("in"), rig.figures("out"));
    assert_eq!(
        (read.read, read.completed, read.in_flight, read.retried),
        (100, 100, 0, 0)
    );
    assert_eq!(
        (written.received, written.written, written.misdirected),
        (100, 100, 0)
    );
}

#[tokio::test]
async fn what_could_not_be_written_is_not_acked() {
    let (mut rig, ends) = line(10).await;
    ends.told(|told| told.refuses = Some("the disk is full".into()));
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    let exception = write.turn().unwrap_err();
    assert_eq!(
        (exception.phase, exception.message.as_str()),
        (Phase::WriteBatch, "the disk is full")
    );
    assert_eq!((exception.task.as_str(), exception.segment), ("out", None));
    assert!(rig.complete().is_empty());
    assert_eq!(
        (rig.figures("out").written, rig.figures("out").exceptions),
        (0, 1)
    );
}

#[tokio::test]
async fn an_output_is_sealed_when_it_is_told_to_be() {
    let (rig, ends) = line(1).await;
    let mut write = rig.start("out").await;
    assert!(!write.should_seal());
    write.reassign(Assignment {
        seal: Seal::Now,
        ..rig.assignment("out")
    });
    assert!(write.should_seal());
    write.seal(&rig.services).await.unwrap();
    assert_eq!(write.phase(), TaskPhase::Sealed);
    assert!(!write.should_seal());
    assert_eq!(ends.told(|told| told.seals), 1);
}

#[tokio::test]
async fn nothing_is_sealed_while_acks_are_not_sent() {
    let (rig, _) = line(10).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    // The daemon of the source takes nothing.
    let Rig {
        acks, transport, ..
    } = &rig;
    assert!(!acks.is_empty());
    let mut link = transport.link(peer("in"), InboxKind::Acker).unwrap();
    let stray = Retries {
        source: peer("in"),
        epoch: 0,
        cause: Cause::GivenBack,
        reason: String::new(),
        roots: vec![],
    };
    while link.try_send(Message::Retries(stray.clone())).is_ok() {}
    write.reassign(Assignment {
        seal: Seal::Now,
        ..rig.assignment("out")
    });
    write.turn().unwrap();
    assert!(!write.should_seal());
}

/// Lifecycle calls that note when they were called, and fail where they are told to.
fn noting(notes: &Arc<Mutex<Vec<String>>>) -> LifecycleCalls {
    let note = |name: &'static str| -> Option<lifecycles::Call> {
        let notes = Arc::clone(notes);
        Some(Arc::new(move |event: &lifecycles::LifecycleEvent<'_>| {
            notes
                .lock()
                .unwrap()
                .push(format!("{name} {}", event.segments));
            Ok(())
        }))
    };
    LifecycleCalls {
        before_task_start: note("start"),
        before_batch: note("before"),
        after_batch: note("after"),
        after_task_stop: note("stop"),
        handle_exception: None,
    }
}

async fn with_calls(calls: LifecycleCalls) -> Rig {
    let mut registry = Ends::default().registry(numbers(0..10));
    registry.lifecycles.register("calls", calls);
    let lifecycle = Lifecycle {
        task: LifecycleTarget::Task("out".into()),
        calls: "calls".into(),
    };
    Rig::new(registry, |job| job.lifecycles.push(lifecycle)).await
}

#[tokio::test]
async fn lifecycle_calls_surround_the_task_and_each_batch() {
    let notes = Arc::default();
    let rig = with_calls(noting(&notes)).await;
    let mut write = rig.start("out").await;
    let mut work = rig.start("work").await;
    work_off(&mut rig.start("in").await);
    work_off(&mut work);
    work_off(&mut write);
    write.stopped();
    assert_eq!(
        *notes.lock().unwrap(),
        ["start 0", "before 0", "after 10", "stop 0"]
    );
}

#[tokio::test]
async fn a_start_that_is_refused_goes_to_the_handlers() {
    let calls = LifecycleCalls {
        before_task_start: Some(Arc::new(|_| Err("not today".into()))),
        handle_exception: Some(Arc::new(|exception| match exception.phase {
            Phase::StartTask => Handling::Restart,
            _ => Handling::Kill,
        })),
        ..LifecycleCalls::default()
    };
    let rig = with_calls(calls).await;
    let Err(StartFailed::Exception(exception, handling)) = rig.try_start("out").await else {
        panic!("it was refused")
    };
    assert_eq!(
        (exception.message.as_str(), handling),
        ("not today", Handling::Restart)
    );
    // What had been opened is closed again.
    assert!(
        rig.transport
            .open_inbox(peer("out"), InboxKind::Task, 1)
            .is_ok()
    );
}

#[tokio::test]
async fn a_panic_in_a_call_is_an_exception_of_its_phase() {
    let calls = LifecycleCalls {
        after_batch: Some(Arc::new(|_| panic!("oh no"))),
        ..LifecycleCalls::default()
    };
    let rig = with_calls(calls).await;
    let mut write = rig.start("out").await;
    let mut work = rig.start("work").await;
    work_off(&mut rig.start("in").await);
    work_off(&mut work);
    let exception = write.turn().unwrap_err();
    assert_eq!(exception.phase, Phase::CloseResources);
    assert_eq!(exception.message, "panicked: oh no");
    assert_eq!(write.handling(&exception), Handling::Kill);
}

#[tokio::test]
async fn the_first_slot_seals_what_is_left_of_slots_that_went_and_nothing_is_sealed_twice() {
    let (rig, ends) = line(1).await;
    let of = |slot: u32, rank: u32, held: &[u32], version: u64| Assignment {
        slot: SlotId(slot),
        rank,
        slots: held.len() as u32,
        held: held.iter().copied().map(SlotId).collect(),
        version: LogPosition(version),
        seal: Seal::Now,
        ..rig.assignment("out")
    };
    let seals = || ends.told(|told| told.seals);
    let start = |assignment: Assignment, epoch: u64| {
        TaskRun::start(&rig.services, peer("out"), assignment, epoch, 42)
    };
    // Three hold a slot each. The second seals its own, the others go.
    for (slot, epoch) in [(0, 1), (1, 2), (2, 3)] {
        let mut write = start(of(slot, slot, &[0, 1, 2], 7), epoch).await.unwrap();
        if slot == 1 {
            write.seal(&rig.services).await.unwrap();
        }
        drop(write);
    }
    assert_eq!(seals(), 1);
    // Who is first now has slot 1, which is sealed; 0 and 2 nobody holds.
    let mut write = start(of(1, 0, &[1], 9), 4).await.unwrap();
    assert!(write.should_seal());
    write.seal(&rig.services).await.unwrap();
    assert_eq!((write.phase(), seals()), (TaskPhase::Sealed, 3));
    drop(write);
    // Its successor finds all of them sealed.
    let mut write = start(of(1, 0, &[1], 11), 5).await.unwrap();
    write.seal(&rig.services).await.unwrap();
    assert_eq!(seals(), 3);
}
