//! What becomes of roots that cannot be brought to an end, and whether the account is even.

use super::stations::Ends;
use super::*;
use crate::acking::RootId;
use crate::log::wants::TaskPhase;
use crate::messaging::Altered;
use counters::Account;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use traces::{TraceEvent, Traced};

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

/// A transport that carries short segments only.
struct Narrow(LocalTransport);

const BYTES_MAX: usize = 100;

impl Altered for Narrow {
    fn inner(&self) -> &dyn Transport {
        &self.0
    }

    fn bytes_max(&self) -> usize {
        BYTES_MAX
    }
}

fn events(rig: &Rig, root: u64) -> Vec<TraceEvent> {
    let root = RootId {
        source: peer("in"),
        epoch: 1,
        root,
    };
    rig.services.traces.of(root).unwrap_or_default()
}

#[tokio::test]
async fn a_segment_that_no_frame_can_hold_is_a_dead_letter_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("dead.jsonl");
    let ends = Ends::default();
    let mut registry = ends.registry(numbers(0..10));
    with_function(&mut registry, "blow up", |segment, out| {
        let text = if n(&segment) == 4 {
            "x".repeat(200)
        } else {
            "x".into()
        };
        let mut segment = segment;
        segment.set("text", text.as_str());
        out.push(segment);
        Ok(())
    });
    let path = letters.to_str().map(String::from);
    let mut rig = Rig::new(registry, |job| {
        job.catalog[0].dead_letter = path;
        job.catalog[1].function = Some("blow up".into());
    })
    .await;
    rig.services.transport = Arc::new(Narrow(rig.transport.clone()));
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    work_off(&mut write);
    assert_eq!(ends.written(), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    rig.settle();
    work_off(&mut read);
    assert_eq!(read.phase(), TaskPhase::Exhausted);
    let expected = Account {
        r#in: 10,
        out: 9,
        dead_lettered: 1,
        ..Account::default()
    };
    assert_eq!(rig.account(), expected);
    assert_eq!(
        (rig.figures("work").oversized, rig.figures("in").retried),
        (1, 0)
    );
    let text = std::fs::read_to_string(letters).unwrap();
    let reason = "a segment of task `work` has 211 bytes encoded, and the transport carries at most \
                  100: make it smaller, or messaging.term-bytes larger";
    assert!(
        text.contains(reason) && text.contains(r#""segment":{"n":4}"#),
        "{text}"
    );
}

#[tokio::test]
async fn an_input_avoids_an_acker_that_it_cannot_reach_and_plays_its_roots_again_at_once() {
    let registry = Ends::default().registry(numbers(0..40));
    let mut rig = Rig::new(registry, |job| job.catalog[0].batch_size = count(10)).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    let (here, gone) = (peer("in"), IdSource::from_seed(77).peer());
    run.reassign(Assignment {
        ackers: vec![here, gone],
        ..rig.assignment("in")
    });
    work_off(&mut run);
    let figures = rig.figures("in");
    assert!(
        figures.retried > 0 && figures.in_flight == 40,
        "{figures:?}"
    );
    let mut of_roots: BTreeMap<i64, u64> = BTreeMap::new();
    of_roots.extend(arrived(&mut next).into_iter().map(|(root, n)| (n, root)));
    assert_eq!(of_roots.len(), 40);
    // All that is under way is kept by the acker that is there.
    assert!(rig.complete().is_empty());
    assert_eq!(rig.ledger.open(), 40);
}

#[tokio::test]
async fn acks_that_cannot_be_delivered_send_their_roots_back() {
    let registry = Ends::default().registry(numbers(0..5));
    let rig = Rig::new(registry, |_| ()).await;
    let mut next = rig.plays("out");
    let mut work = rig.start("work").await;
    let mut read = rig.start("in").await;
    work_off(&mut read);
    drop(read);
    let mut source = rig.plays("in");
    rig.transport.shut(peer("in"));
    let mut source_again = rig
        .transport
        .open_inbox(peer("in"), InboxKind::Task, 10)
        .unwrap();
    work_off(&mut work);
    assert_eq!(arrived(&mut next).len(), 5);
    assert!(source.try_next().is_none());
    let Some(Message::Retries(back)) = source_again.try_next() else {
        panic!("the source was not told")
    };
    assert_eq!(
        (back.cause, back.roots),
        (Cause::Unacked, vec![1, 2, 3, 4, 5])
    );
}

#[tokio::test(start_paused = true)]
async fn an_output_that_stops_for_many_time_outs_costs_no_dead_letter() {
    let ends = Ends::default();
    let registry = ends.registry(numbers(0..40));
    let mut rig = Rig::new(registry, |job| {
        let input = &mut job.catalog[0];
        input.batch_size = count(10);
        input.pending_timeout_ms = count(4_000);
        input.input_retry_timeout_ms = count(500);
        input.max_retries = count(1);
    })
    .await;
    rig.services.inbox_batches = 1_000;
    let mut write = rig.start("out").await;
    let mut work = rig.start("work").await;
    let mut read = rig.start("in").await;
    const TIME_OUTS: u32 = 50;
    for _ in 0..4_000 / 250 * TIME_OUTS {
        work_off(&mut read);
        work_off(&mut work);
        rig.settle();
        tokio::time::advance(Duration::from_millis(250)).await;
    }
    let account = rig.account();
    assert_eq!((account.in_flight, account.unaccounted), (40, 0));
    let repeated = rig.figures("in").retried;
    assert!(repeated <= u64::from(TIME_OUTS), "{repeated}");
    // The output goes on.
    for _ in 0..10 {
        work_off(&mut write);
        rig.settle();
        work_off(&mut read);
        work_off(&mut work);
        tokio::time::advance(Duration::from_millis(250)).await;
    }
    let expected = Account {
        r#in: 40,
        out: 40,
        ..Account::default()
    };
    assert_eq!(rig.account(), expected);
    assert_eq!(rig.figures("in").retried, repeated);
    let mut written = ends.written();
    assert_eq!(written.len() as u64, 40 + repeated);
    written.sort_unstable();
    written.dedup();
    assert_eq!(written, (0..40).collect::<Vec<_>>());
    assert_eq!(read.phase(), TaskPhase::Exhausted);
}

#[tokio::test]
async fn a_run_that_ends_relinquishes_what_is_in_flight() {
    let registry = Ends::default().registry(numbers(0..30));
    let rig = Rig::new(registry, |_| ()).await;
    let _next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    assert_eq!(
        (rig.account().in_flight, rig.account().unaccounted),
        (30, 0)
    );
    drop(run);
    let account = rig.account();
    assert_eq!(
        (account.in_flight, account.relinquished, account.unaccounted),
        (0, 30, 0)
    );
}

#[tokio::test]
async fn what_happened_to_a_sampled_root_is_known_from_end_to_end() {
    let mut registry = Ends::default().registry(numbers(0..4));
    with_function(&mut registry, "twice", |segment, out| {
        out.extend([segment.clone(), segment]);
        Ok(())
    });
    let change = |job: &mut Job| job.catalog[1].function = Some("twice".into());
    let mut rig = Rig::new(registry, change).await;
    let [mut read, mut work, mut write] = rig.start_all().await;
    work_off(&mut read);
    work_off(&mut work);
    work_off(&mut write);
    rig.settle();
    work_off(&mut read);
    let to = |task: &str| Traced::Emitted { to: task.into() };
    let told: Vec<(String, Traced)> = events(&rig, 3)
        .into_iter()
        .map(|event| (event.task.to_string(), event.what))
        .collect();
    let acker = peer("in");
    let expected = [
        ("in", Traced::Read { acker }),
        ("in", to("work")),
        ("work", Traced::Received),
        ("work", to("out")),
        ("work", to("out")),
        ("out", Traced::Received),
        ("out", Traced::Received),
        ("out", Traced::Written),
        ("out", Traced::Written),
        ("in", Traced::Completed { written: true }),
    ];
    assert_eq!(told, expected.map(|(task, what)| (task.to_owned(), what)));
    assert!(events(&rig, 2).is_empty(), "it is not sampled");
}

#[tokio::test]
async fn what_is_played_again_is_traced_under_both_of_its_roots() {
    let rig = Rig::new(Ends::default().registry(numbers(0..2)), |_| ()).await;
    let mut next = rig.plays("work");
    let mut run = rig.start("in").await;
    work_off(&mut run);
    let retries = Retries {
        source: peer("in"),
        epoch: 1,
        cause: Cause::Asked,
        reason: "odd".into(),
        roots: vec![2],
    };
    rig.send("in", Message::Retries(retries));
    work_off(&mut run);
    assert_eq!(arrived(&mut next).last(), Some(&(3, 1)));
    let of = |root: u64| RootId {
        source: peer("in"),
        epoch: 1,
        root,
    };
    let by = of(3).to_string();
    assert_eq!(events(&rig, 2)[0].what, Traced::Replaced { by });
    let again = Traced::PlayedAgain {
        before: of(2).to_string(),
        attempt: 2,
        acker: peer("in"),
    };
    assert_eq!(events(&rig, 3)[0].what, again);
}
