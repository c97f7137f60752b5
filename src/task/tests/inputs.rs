//! What an input task reads, keeps pending, replays and completes.

use super::super::context::Role;
use super::stations::Ends;
use super::*;
use crate::log::wants::TaskPhase;
use crate::plugins::Start;
use std::num::NonZeroU32;
use std::time::Duration;

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

async fn reading(limit: i64, change: impl FnOnce(&mut Task)) -> (Rig, Ends) {
    let ends = Ends::default();
    let registry = ends.registry(numbers(0..limit));
    let rig = Rig::new(registry, |job| {
        job.catalog[0].batch_size = count(10);
        change(&mut job.catalog[0]);
    });
    (rig.await, ends)
}

/// Asks about its roots after a second.
fn impatient(task: &mut Task) {
    task.pending_timeout_ms = count(1_000);
    task.input_retry_timeout_ms = count(100);
}

fn completions(roots: impl IntoIterator<Item = u64>) -> Message {
    let roots = roots.into_iter().collect();
    Message::Completions(Completions {
        source: peer("in"),
        epoch: 1,
        reach: Reach::Written,
        roots,
    })
}

#[tokio::test]
async fn every_segment_becomes_a_root_and_leaves_in_order() {
    let (rig, _) = reading(25, |_| ()).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    assert_eq!(run.phase(), TaskPhase::Ready);
    assert_eq!(work_off(&mut run), 3);
    let expected: Vec<(u64, i64)> = (0..25).map(|n| (n as u64 + 1, n)).collect();
    assert_eq!(arrived(&mut next), expected);
    assert_eq!(rig.figures("in").in_flight, 25);
}

#[tokio::test]
async fn an_input_that_must_wait_for_its_job_reads_nothing() {
    let (rig, _) = reading(25, |_| ()).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    run.reassign(Assignment {
        read: Read::Wait,
        ..rig.assignment("in")
    });
    assert_eq!(work_off(&mut run), 0);
    run.reassign(rig.assignment("in"));
    assert_eq!(work_off(&mut run), 3);
    assert_eq!(arrived(&mut next).len(), 25);
}

#[tokio::test]
async fn no_more_is_read_than_may_be_pending() {
    let (rig, _) = reading(25, |task| task.max_pending = count(13)).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    assert_eq!(arrived(&mut next).len(), 13);
    rig.send("in", completions([2, 5]));
    work_off(&mut run);
    assert_eq!(arrived(&mut next).len(), 2);
}

#[tokio::test]
async fn a_full_inbox_holds_the_input_up_and_loses_nothing() {
    let (rig, _) = reading(100, |_| ()).await;
    let mut next = rig
        .transport
        .open_inbox(peer("work"), InboxKind::Task, 1)
        .unwrap();
    let mut run = rig.start("in").await;
    let mut got = Vec::new();
    while got.len() < 100 {
        work_off(&mut run);
        assert_eq!(next.len(), 1, "it was filled again");
        got.extend(arrived(&mut next).into_iter().map(|(_, n)| n));
    }
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_input_is_exhausted_when_all_it_read_is_complete_and_not_before() {
    let (rig, _) = reading(25, |_| ()).await;
    let _next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    rig.send("in", completions(1..=24));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Ready);
    rig.send("in", completions([25]));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Exhausted);
    assert_eq!(rig.figures("in").completed, 25);
}

#[tokio::test]
async fn completions_of_another_start_of_the_task_mean_nothing() {
    let (rig, _) = reading(10, |_| ()).await;
    let _next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    let roots: Vec<u64> = (1..=10).collect();
    let other_epoch = Completions {
        source: peer("in"),
        epoch: 2,
        reach: Reach::Written,
        roots: roots.clone(),
    };
    let other_source = Completions {
        source: peer("out"),
        epoch: 1,
        reach: Reach::Written,
        roots,
    };
    rig.send("in", Message::Completions(other_epoch));
    rig.send("in", Message::Completions(other_source));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Ready);
    assert_eq!(
        (rig.figures("in").completed, rig.figures("in").misdirected),
        (0, 2)
    );
}

#[tokio::test]
async fn after_a_loss_what_is_pending_is_played_again_under_new_roots() {
    let (rig, _) = reading(20, |_| ()).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    arrived(&mut next);
    rig.send("in", completions(1..=5));
    work_off(&mut run);
    // A newer version without a loss, then one with a loss, then the same loss seen again.
    let version = LogPosition(8);
    run.reassign(Assignment {
        version,
        ..rig.assignment("in")
    });
    work_off(&mut run);
    assert_eq!(arrived(&mut next), []);
    let lost = Assignment {
        version,
        last_loss: Some(version),
        ..rig.assignment("in")
    };
    run.reassign(lost.clone());
    work_off(&mut run);
    let expected: Vec<(u64, i64)> = (5..20).map(|n| (n as u64 + 16, n)).collect();
    assert_eq!(arrived(&mut next), expected);
    run.reassign(lost);
    work_off(&mut run);
    assert_eq!(arrived(&mut next), []);
    // The old trees complete nothing any more.
    rig.send("in", completions(6..=20));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Ready);
    rig.send("in", completions(21..=35));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Exhausted);
    assert_eq!(rig.figures("in").retried, 15);
}

#[tokio::test]
async fn a_root_that_is_given_back_is_played_again_alone() {
    let (rig, _) = reading(10, |_| ()).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    arrived(&mut next);
    let retries = Retries {
        source: peer("in"),
        epoch: 1,
        cause: Cause::GivenBack,
        reason: String::new(),
        roots: vec![3, 99],
    };
    rig.send("in", Message::Retries(retries));
    work_off(&mut run);
    assert_eq!(arrived(&mut next), [(11, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_not_acknowledged_in_time_is_played_again() {
    let (mut rig, _) = reading(10, impatient).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    arrived(&mut next);
    rig.send("in", completions(1..=9));
    let begin = tokio::time::Instant::now();
    while next.is_empty() {
        rig.turn_and_answer(&mut run).await;
    }
    assert_eq!(arrived(&mut next), [(11, 9)]);
    let waited = begin.elapsed();
    let in_time = Duration::from_millis(1_000)..=Duration::from_millis(1_450);
    assert!(in_time.contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lone_root_waits_with_who_has_it_and_is_a_dead_letter_when_it_is_lost_each_time() {
    let change = |task: &mut Task| {
        impatient(task);
        task.max_retries = count(3);
    };
    let (mut rig, _) = reading(1, change).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    // It stays in an inbox for twenty time-outs.
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        rig.turn_and_answer(&mut run).await;
    }
    assert_eq!((next.len(), rig.figures("in").retried), (1, 0));
    // Whoever takes it forgets it.
    let mut lost = Vec::new();
    while rig.account().dead_lettered == 0 {
        lost.extend(arrived(&mut next));
        rig.turn_and_answer(&mut run).await;
    }
    assert_eq!(lost, [(1, 0), (2, 0), (3, 0), (4, 0)]);
    let account = rig.account();
    assert_eq!((account.r#in, account.dead_lettered), (1, 1));
    assert_eq!((account.in_flight, account.unaccounted), (0, 0));
}

#[tokio::test]
async fn the_position_that_is_saved_has_nothing_pending_before_it() {
    let (rig, ends) = reading(30, |_| ()).await;
    let _next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    assert_eq!(run.reached().unwrap().position(), None);
    // The second batch and most of the first.
    rig.send("in", completions((11..=20).chain(2..=10)));
    work_off(&mut run);
    assert_eq!(run.reached().unwrap().position(), None);
    rig.send("in", completions([1]));
    work_off(&mut run);
    let reached = run.reached().unwrap();
    let position = reached.position().cloned().unwrap();
    assert_eq!(
        position.get("next").and_then(|next| next.as_int()),
        Some(20)
    );
    run.checkpoint().unwrap().save(&reached).await.unwrap();
    run.position_not_saved();
    assert_eq!(rig.figures("in").failed_saves, 1);
    run.position_saved(&position).unwrap();
    assert_eq!(ends.told(|told| told.completed.clone()), [20]);
    drop(run);
    // Its successor goes on there, and counts on from there.
    let session = rig.services.session.clone();
    let inputs = ["in".into()];
    let account = async || {
        progress_of(&*session, rig.job, &inputs)
            .await
            .unwrap()
            .account
    };
    assert_eq!((account().await.r#in, account().await.in_flight), (30, 10));
    let mut run = rig.start("in").await;
    assert_eq!((account().await.r#in, account().await.out), (20, 20));
    work_off(&mut run);
    assert_eq!(rig.figures("in").read, 40);
    let reached = run.reached().unwrap();
    run.checkpoint().unwrap().save(&reached).await.unwrap();
    let whole = account().await;
    assert_eq!((whole.r#in, whole.out, whole.in_flight), (30, 20, 10));
    assert_eq!((whole.relinquished, whole.unaccounted), (0, 0));
    let starts = ends.told(|told| told.starts.clone());
    assert_eq!(starts, [Start::Fresh, Start::Resumed(Some(position))]);
}

#[tokio::test]
async fn a_position_of_another_part_is_no_place_to_start_from() {
    let (rig, ends) = reading(30, |_| ()).await;
    let _next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    rig.send("in", completions(1..=20));
    work_off(&mut run);
    let reached = run.reached().unwrap();
    assert!(reached.position().is_some());
    run.checkpoint().unwrap().save(&reached).await.unwrap();
    drop(run);
    let of_two = Assignment {
        slots: 2,
        ..rig.assignment("in")
    };
    TaskRun::start(&rig.services, peer("in"), of_two, 2, 42)
        .await
        .unwrap();
    let starts = ends.told(|told| told.starts.clone());
    assert_eq!(starts, [Start::Fresh, Start::Resumed(None)]);
}

#[tokio::test]
async fn what_is_no_segment_is_counted_kept_with_its_reason_and_moves_the_position() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("dead/letters.jsonl");
    let path = letters.to_str().map(String::from);
    let (rig, ends) = reading(20, |task| task.dead_letter = path).await;
    ends.told(|told| told.is_damaged = true);
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    assert_eq!(arrived(&mut next).len(), 18);
    rig.send("in", completions(1..=18));
    work_off(&mut run);
    assert_eq!(run.phase(), TaskPhase::Exhausted);
    assert_eq!(
        (rig.figures("in").read, rig.figures("in").rejected),
        (18, 2)
    );
    let text = std::fs::read_to_string(letters).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("piece 10") && lines[0].contains("it is a tenth"),
        "{text}"
    );
}

#[tokio::test]
async fn in_front_of_an_output_that_stops_memory_is_bounded_in_bytes() {
    const KEPT_MAX: u32 = 1 << 20;
    const SEGMENTS: i64 = 200;
    let text = "x".repeat(64 << 10);
    let large = |n: i64| -> Segment {
        let text: crate::Value = text.as_str().into();
        [("n", n.into()), ("text", text)].into_iter().collect()
    };
    let ends = Ends::default();
    let registry = ends.registry((0..SEGMENTS).map(large).collect());
    let mut rig = Rig::new(registry, |job| {
        job.catalog[0].max_pending_bytes = KEPT_MAX.try_into().unwrap();
        job.catalog[0].batch_size = 4.try_into().unwrap();
    })
    .await;
    let (mut write, mut work) = (rig.start("out").await, rig.start("work").await);
    let mut read = rig.start("in").await;
    let kept = |read: &TaskRun| match &read.context.role {
        Role::Input(input) => input.pending.bytes(),
        _ => 0,
    };
    for _ in 0..100 {
        work_off(&mut read);
        work_off(&mut work);
        assert!(kept(&read) <= KEPT_MAX as usize);
    }
    // Four places in each inbox, of 64 KiB.
    let waiting = write.context.inbox.len() + work.context.inbox.len();
    assert!(waiting <= 2, "{waiting} batches of 256 KiB wait");
    assert!(rig.figures("in").read < 20);
    // It goes on, and nothing is missing.
    while ends.written().len() < SEGMENTS as usize {
        work_off(&mut read);
        work_off(&mut work);
        work_off(&mut write);
        rig.settle();
        assert!(kept(&read) <= KEPT_MAX as usize);
    }
    assert_eq!(ends.written(), (0..SEGMENTS).collect::<Vec<_>>());
}
