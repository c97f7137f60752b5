//! Tasks that lose their slots while their peers live: they finish what they have, and nothing is
//! played again.

use super::stations::Ends;
use super::*;

/// A job in which a batch is five segments.
async fn line(segments: i64) -> (Rig, Ends) {
    let ends = Ends::default();
    let registry = ends.registry(numbers(0..segments));
    let rig = Rig::new(registry, |job| {
        job.catalog[0].batch_size = std::num::NonZeroU32::new(5).unwrap();
    });
    (rig.await, ends)
}

/// What a task sees after its peer was moved.
fn moved(rig: &Rig, task: &str) -> Assignment {
    Assignment {
        version: LogPosition(8),
        leaving: [peer(task)].into(),
        ..rig.assignment(task)
    }
}

/// Takes turns until the task has finished, or has nothing to do.
fn finish(run: &mut TaskRun) -> bool {
    for _ in 0..100 {
        work_off(run);
        if run.has_finished() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_function_that_is_moved_finishes_what_is_in_its_inbox() {
    let (mut rig, ends) = line(10).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    assert!(!work.has_finished());
    work.leave(moved(&rig, "work"));
    assert!(!work.has_finished());
    assert!(finish(&mut work));
    work.release().await;
    drop(work);
    work_off(&mut write);
    assert_eq!(ends.written(), (0..10).collect::<Vec<_>>());
    assert_eq!(rig.complete(), (1..=10).collect::<Vec<_>>());
    work_off(&mut read);
    assert_eq!(rig.figures("in").retried, 0);
}

#[tokio::test]
async fn what_a_sender_still_has_for_a_peer_that_is_moved_goes_to_its_successor() {
    let (rig, _ends) = line(10).await;
    let [mut read, mut work, _write] = rig.start_all().await;
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    work.leave(moved(&rig, "work"));
    // The sender has not read of it.
    assert!(matches!(read.turn().unwrap(), Turn::Wait(_)));
    assert!(finish(&mut work));
    assert_eq!(rig.figures("work").received, 5);
    drop(work);
    assert!(matches!(read.turn().unwrap(), Turn::Wait(_)));
    let successor = IdSource::from_seed(90).peer();
    let mut inbox = rig
        .transport
        .open_inbox(successor, InboxKind::Task, 9)
        .unwrap();
    read.reassign(Assignment {
        version: LogPosition(8),
        downstream: vec![("work".into(), vec![(SlotId(0), successor)])],
        ..rig.assignment("in")
    });
    work_off(&mut read);
    let expected: Vec<(u64, i64)> = (5..10).map(|n| (n as u64 + 1, n)).collect();
    assert_eq!(arrived(&mut inbox), expected);
    assert_eq!(rig.figures("in").retried, 0);
}

#[tokio::test]
async fn an_input_that_is_moved_reads_nothing_more_and_waits_for_what_it_has_read() {
    let (mut rig, ends) = line(20).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    read.leave(moved(&rig, "in"));
    assert!(!finish(&mut read));
    assert_eq!(rig.figures("in").read, 5);
    work_off(&mut work);
    work_off(&mut write);
    rig.settle();
    assert!(finish(&mut read));
    assert_eq!(rig.figures("in").read, 5);
    let reached = read.reached().unwrap();
    let next = reached.position().and_then(|position| position.get("next"));
    assert_eq!(next.and_then(|next| next.as_int()), Some(5));
    assert_eq!(ends.written(), (0..5).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_input_that_is_moved_plays_again_what_is_given_back_to_it() {
    let (mut rig, ends) = line(20).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    read.leave(moved(&rig, "in"));
    rig.send(
        "in",
        Message::Retries(Retries {
            source: peer("in"),
            epoch: 1,
            cause: Cause::GivenBack,
            reason: String::new(),
            roots: vec![2],
        }),
    );
    work_off(&mut read);
    work_off(&mut work);
    work_off(&mut write);
    rig.settle();
    assert!(finish(&mut read));
    assert_eq!(rig.figures("in").retried, 1);
    assert_eq!(ends.written(), [0, 1, 2, 3, 4, 1]);
}

#[tokio::test]
async fn who_was_moved_upstream_is_heard_until_a_peer_is_lost() {
    let (rig, _ends) = line(20).await;
    let [mut read, mut work, _write] = rig.start_all().await;
    let seen = |version, leaving: &[PeerId], last_loss| Assignment {
        version: LogPosition(version),
        upstream: [peer("another")].into(),
        leaving: leaving.iter().copied().collect(),
        last_loss,
        ..rig.assignment("work")
    };
    let mut received = |work: &mut TaskRun| {
        assert_eq!(read.turn().unwrap(), Turn::Worked);
        work_off(work);
        (rig.figures("work").received, rig.figures("work").displaced)
    };
    work.reassign(seen(8, &[peer("in")], None));
    assert_eq!(received(&mut work), (5, 0));
    // It is ready elsewhere, and what it sent before may still be in the inbox.
    work.reassign(seen(9, &[], None));
    assert_eq!(received(&mut work), (10, 0));
    work.reassign(seen(10, &[], Some(LogPosition(10))));
    assert_eq!(received(&mut work), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_moved_function_cannot_finish_is_given_back_and_nothing_else_is_played_again() {
    let (mut rig, ends) = line(10).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    work_off(&mut work);
    work_off(&mut write);
    rig.settle();
    drop(write);
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    work.leave(moved(&rig, "work"));
    // Its output has no receiver.
    assert!(!finish(&mut work));
    work.release().await;
    drop(work);
    let (mut work, mut write) = (rig.start("work").await, rig.start("out").await);
    for run in [&mut read, &mut work, &mut write] {
        work_off(run);
    }
    assert_eq!(rig.figures("in").retried, 5);
    assert_eq!(ends.written(), (0..10).collect::<Vec<_>>());
}
