//! What a function task acks, and what it does when its function does not give one for one.

use super::stations::Ends;
use super::*;
use crate::messaging::TrySendError;

/// `in>work` with a function; the output is played by the test.
async fn worked(
    limit: i64,
    function: impl Fn(Segment, &mut Vec<Segment>) -> Result<(), FunctionError> + Send + Sync + 'static,
) -> (Rig, TaskRun, TaskRun, Inbox) {
    let mut registry = Ends::default().registry(numbers(0..limit));
    with_function(&mut registry, "function", function);
    let rig = Rig::new(registry, |job| {
        job.catalog[1].function = Some("function".into())
    })
    .await;
    let next = rig.plays("out");
    let work = rig.start("work").await;
    let read = rig.start("in").await;
    (rig, read, work, next)
}

#[tokio::test]
async fn a_function_that_gives_nothing_completes_its_segments() {
    let (mut rig, mut read, mut work, mut next) = worked(9, |_, _| Ok(())).await;
    work_off(&mut read);
    assert!(rig.complete().is_empty());
    work_off(&mut work);
    assert_eq!(rig.complete(), (1..=9).collect::<Vec<_>>());
    assert_eq!(arrived(&mut next), []);
}

#[tokio::test]
async fn a_root_is_complete_when_all_that_descends_from_it_is() {
    let twice = |segment: Segment, out: &mut Vec<Segment>| {
        out.extend([segment.clone(), segment]);
        Ok(())
    };
    let (mut rig, mut read, mut work, next) = worked(9, twice).await;
    work_off(&mut read);
    work_off(&mut work);
    assert!(rig.complete().is_empty());
    assert_eq!(next.len(), 1);
    assert_eq!(rig.figures("work").emitted, 18);
    // The output takes them.
    drop(next);
    let mut write = rig.start("out").await;
    work.reassign(rig.assignment("work"));
    // The batch went with the inbox that was closed; its roots are played again.
    let lost = Assignment {
        last_loss: Some(LogPosition(8)),
        ..rig.assignment("in")
    };
    read.reassign(lost);
    work_off(&mut read);
    work_off(&mut work);
    assert!(rig.complete().is_empty());
    work_off(&mut write);
    assert_eq!(rig.complete(), (10..=18).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_segment_that_asks_for_another_try_is_not_acked_and_its_root_is_sent_back() {
    let odd_ones_out = |segment: Segment, out: &mut Vec<Segment>| {
        out.push(segment.clone());
        match n(&segment) % 2 {
            0 => Ok(()),
            _ => Err(FunctionError::Retry("odd".into())),
        }
    };
    let (mut rig, read, mut work, mut next) = {
        let (rig, mut read, work, next) = worked(6, odd_ones_out).await;
        work_off(&mut read);
        (rig, read, work, next)
    };
    // The test hears what the source is told.
    drop(read);
    let mut source = rig.plays("in");
    work_off(&mut work);
    let retries = Retries {
        source: peer("in"),
        epoch: 1,
        cause: Cause::Asked,
        reason: "odd".into(),
        roots: vec![2, 4, 6],
    };
    assert_eq!(source.try_next(), Some(Message::Retries(retries)));
    assert_eq!(arrived(&mut next), [(1, 0), (3, 2), (5, 4)]);
    assert!(rig.complete().is_empty());
}

/// Keeps what three divides, and gives back the seven.
fn threes(registry: &mut Registry) {
    let make = |_: &FunctionContext<'_>| {
        Ok(TaskFunction::keep(|segment| match n(segment) {
            7 => Err(FunctionError::Retry("seven".into())),
            n => Ok(n % 3 == 0),
        }))
    };
    let functions = &mut registry.functions;
    functions.register("threes", Signature::default(), Arc::new(make));
}

#[tokio::test]
async fn a_test_passes_segments_on_as_they_came_wherever_it_stands() {
    for (at, task) in ["in", "work"].into_iter().enumerate() {
        let mut registry = Ends::default().registry(numbers(0..10));
        threes(&mut registry);
        let mut rig = Rig::new(registry, |job| {
            job.catalog[1].function = Some("identity".into());
            job.catalog[at].function = Some("threes".into());
        })
        .await;
        let mut next = rig.plays("out");
        let mut work = rig.start("work").await;
        let mut read = rig.start("in").await;
        assert_eq!(read.turn().unwrap(), Turn::Worked);
        work_off(&mut work);
        assert_eq!(
            arrived(&mut next),
            [(1, 0), (4, 3), (7, 6), (10, 9)],
            "{task}"
        );
        work_off(&mut read);
        // What passed is acked by nobody, and the seven is played again.
        assert_eq!(rig.complete(), [2, 3, 5, 6, 9], "{task}");
        assert_eq!(rig.figures("in").retried, 1, "{task}");
    }
    let ends = Ends::default();
    let mut registry = ends.registry(numbers(0..6));
    threes(&mut registry);
    let rig = Rig::new(registry, |job| {
        job.catalog[2].function = Some("threes".into())
    })
    .await;
    let mut write = rig.start("out").await;
    let mut work = rig.start("work").await;
    let mut read = rig.start("in").await;
    for run in [&mut read, &mut work, &mut write] {
        work_off(run);
    }
    assert_eq!(ends.written(), [0, 3]);
}

#[tokio::test]
async fn a_batch_is_with_its_task_until_all_that_came_of_it_has_left() {
    let (rig, mut read, mut work, mut next) = worked(6, |segment, out| {
        out.push(segment);
        Ok(())
    })
    .await;
    let with = |task: &str| {
        let roots: Vec<u64> = (1..=7).collect();
        rig.transport.held(peer(task), (peer("in"), 1), &roots)
    };
    assert!(with("work").is_empty());
    work_off(&mut read);
    assert_eq!(with("work"), [1, 2, 3, 4, 5, 6]);
    work_off(&mut work);
    assert_eq!((with("work").len(), with("out").len()), (0, 6));
    assert_eq!(arrived(&mut next).len(), 6);
}

#[tokio::test]
async fn a_segment_for_another_task_stays_with_its_sender() {
    let (rig, mut read, mut work, mut next) = worked(6, |segment, out| {
        out.push(segment);
        Ok(())
    })
    .await;
    let mut stray = Vec::new();
    read.reassign(Assignment {
        downstream: vec![("out".into(), vec![(SlotId(0), peer("out"))])],
        ..rig.assignment("in")
    });
    work_off(&mut read);
    while let Some(Message::Segments(message)) = next.try_next() {
        stray.push(message);
    }
    assert_eq!(stray.len(), 1);
    let mut link = rig.transport.link(peer("work"), InboxKind::Task).unwrap();
    for message in stray.into_iter().map(Message::Segments) {
        let back = link.try_send(message.clone());
        assert_eq!(back, Err(TrySendError::Closed(message)));
    }
    work_off(&mut work);
    assert_eq!(rig.figures("work").received, 0);
    assert_eq!(arrived(&mut next), []);
}

#[tokio::test]
async fn a_peer_that_started_its_task_anew_is_reached_in_its_new_inbox() {
    let (rig, mut read, work, _next) = worked(10, |_, _| Ok(())).await;
    read.reassign(rig.assignment("in"));
    assert_eq!(read.turn().unwrap(), Turn::Worked);
    drop(work);
    let mut work = rig.start("work").await;
    let loss = Some(LogPosition(9));
    read.reassign(Assignment {
        last_loss: loss,
        ..rig.assignment("in")
    });
    work_off(&mut read);
    assert_eq!(work_off(&mut work), 1);
    assert_eq!(rig.figures("work").received, 10);
}

fn passes_on(segment: Segment, out: &mut Vec<Segment>) -> Result<(), FunctionError> {
    out.push(segment);
    Ok(())
}

/// The function's place by an allocation after which only this task's peer may send to it: the others
/// were lost.
fn with_upstream(rig: &Rig, version: u64, from: &str) -> Assignment {
    Assignment {
        version: LogPosition(version),
        last_loss: Some(LogPosition(8)),
        upstream: [peer(from)].into(),
        ..rig.assignment("work")
    }
}

#[tokio::test]
async fn a_batch_of_who_was_lost_upstream_is_refused_and_played_again_at_once() {
    let (rig, mut read, mut work, mut next) = worked(9, passes_on).await;
    work_off(&mut read);
    work.reassign(with_upstream(&rig, 8, "another"));
    work_off(&mut work);
    let figures = rig.figures("work");
    assert_eq!((figures.displaced, figures.received), (1, 0));
    assert_eq!(arrived(&mut next), []);
    // The place comes back, and what was given back is on its way again.
    work.reassign(with_upstream(&rig, 9, "in"));
    work_off(&mut read);
    work_off(&mut work);
    assert_eq!(rig.figures("in").retried, 9);
    assert_eq!(arrived(&mut next).len(), 9);
}

#[tokio::test]
async fn who_is_behind_but_has_kept_its_place_is_heard() {
    let (rig, mut read, mut work, mut next) = worked(9, passes_on).await;
    work_off(&mut read);
    work.reassign(with_upstream(&rig, 8, "in"));
    work_off(&mut work);
    assert_eq!(rig.figures("work").displaced, 0);
    assert_eq!(arrived(&mut next).len(), 9);
}

#[tokio::test]
async fn who_has_read_further_is_heard_although_its_place_is_not_known_yet() {
    let (rig, mut read, mut work, mut next) = worked(9, passes_on).await;
    work.reassign(with_upstream(&rig, 8, "another"));
    read.reassign(Assignment {
        version: LogPosition(9),
        ..rig.assignment("in")
    });
    work_off(&mut read);
    work_off(&mut work);
    assert_eq!(rig.figures("work").displaced, 0);
    assert_eq!(arrived(&mut next).len(), 9);
}
