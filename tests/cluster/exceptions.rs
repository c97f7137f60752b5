//! User code that fails, panics, or asks for another try.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::reports::{peer_report, restarts};
use crate::virtual_time::time_passes;
use onyx::Segment;
use onyx::api::JobOutcome;
use onyx::functions::{FunctionError, FunctionFactory, TaskFunction};
use onyx::job::vocabulary::Signature;
use onyx::task::lifecycles::{Handling, LifecycleCalls};
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs `in>work>out` over 100 numbers with a function that the job is expected to die of, and gives
/// the exception.
async fn killed_by(
    function: impl Fn(Segment) -> Result<Segment, String> + Send + Sync + 'static,
) -> String {
    let (source, sink) = (Source::numbers(100), Sink::default());
    let mut registry = registry(&source, &sink);
    registry.functions.function("fails", function);
    let cluster = TestCluster::start(Setup {
        registry,
        ..Setup::default()
    });
    let job = cluster.submit(line("fails")).await.unwrap();
    let outcome = cluster.await_job(job).await.unwrap();
    let JobOutcome::Killed(Some(exception)) = outcome else {
        panic!("{outcome:?}")
    };
    let shown = cluster.node(0).job(job).await.unwrap().exception;
    assert_eq!(shown.as_ref(), Some(&exception));
    let listed = cluster.node(0).jobs().await;
    let told = listed[0].why.strip_prefix("killed: ").unwrap();
    let told = told.strip_suffix('…').unwrap_or(told);
    assert!(told.len() > 20 && exception.starts_with(told), "{told}");
    assert!(cluster.node(0).snapshot().replica.allocations.is_empty());
    // User code is not a crash of the runtime: nobody was restarted for it.
    for index in 0..4 {
        assert_eq!(peer_report(cluster.node(0), index).await.restarts, 0);
    }
    exception
}

#[test]
fn an_error_of_a_function_kills_the_job_and_is_shown_with_the_segment() {
    in_virtual_time(async {
        let fails = |segment: Segment| match n(&segment) {
            42 => Err("42 is not a number".to_owned()),
            _ => Ok(segment),
        };
        let exception = killed_by(fails).await;
        assert_eq!(
            exception,
            r#"task work (slot 0), apply-function: 42 is not a number; segment {"n":42}"#
        );
    });
}

#[test]
fn a_panic_of_a_function_is_an_exception_like_any_other() {
    in_virtual_time(async {
        let panics = |segment: Segment| {
            assert_ne!(n(&segment), 42, "out of luck");
            Ok(segment)
        };
        let exception = killed_by(panics).await;
        assert!(
            exception.contains("apply-function: panicked: "),
            "{exception}"
        );
        assert!(exception.contains("out of luck"), "{exception}");
        assert!(exception.ends_with(r#"; segment {"n":42}"#), "{exception}");
    });
}

#[test]
fn an_exception_of_any_length_kills_the_job() {
    in_virtual_time(async {
        let exception = killed_by(|_| Err("é".repeat(2_000_000))).await;
        assert!(exception.len() < 12_000, "{}", exception.len());
    });
}

#[test]
fn a_task_that_failed_is_not_started_again_while_its_job_is_being_killed() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let mut registry = registry(&source, &sink);
        registry
            .functions
            .function("fails", |_| Err::<Segment, _>("no"));
        let starts = Arc::new(AtomicUsize::new(0));
        let started = Arc::clone(&starts);
        let counting = LifecycleCalls {
            before_task_start: Some(Arc::new(move |_| {
                started.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })),
            ..LifecycleCalls::default()
        };
        registry.lifecycles.register("count", counting);
        let cluster = cluster_of(1, 4, registry).await;
        cluster.server().set_delay(Duration::from_millis(50));
        let mut job = with_calls(line("fails"), "work", "count");
        job.catalog[1].max_peers = Some(count(1));
        let job = cluster.submit(job).await.unwrap();
        // Entries of others, between the failure and the kill.
        let noise = async {
            loop {
                cluster.server().append_raw(b"noise".to_vec());
                time_passes(Duration::from_millis(5)).await;
            }
        };
        let outcome = tokio::select! {
            outcome = cluster.await_job(job) => outcome.unwrap(),
            () = noise => unreachable!("it goes on for ever"),
        };
        assert!(
            matches!(outcome, JobOutcome::Killed(Some(_))),
            "{outcome:?}"
        );
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    });
}

fn restarting() -> LifecycleCalls {
    LifecycleCalls {
        handle_exception: Some(Arc::new(|_| Handling::Restart)),
        ..LifecycleCalls::default()
    }
}

#[test]
fn a_handler_that_answers_restart_saves_the_job() {
    in_virtual_time(async {
        let (source, sink) = (
            Source::numbers(200).pausing(Duration::from_millis(5)),
            Sink::default(),
        );
        let mut registry = registry(&source, &sink);
        let failures = AtomicUsize::new(0);
        registry
            .functions
            .function("fails once", move |segment: Segment| {
                if n(&segment) == 77 && failures.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err("the first time");
                }
                Ok(segment)
            });
        registry.lifecycles.register("restart", restarting());
        let cluster = cluster_of(1, 4, registry).await;
        let job = cluster
            .submit(with_calls(line("fails once"), "work", "restart"))
            .await
            .unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        has_every_number(&sink, 200);
        let totals = cluster.node(0).job(job).await.unwrap().totals();
        assert!(totals.retried > 0 && totals.exceptions == 1, "{totals:?}");
        let mut causes = Vec::new();
        for index in 0..4 {
            causes.extend(peer_report(cluster.node(0), index).await.last_cause);
        }
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert!(causes[0].contains("the first time"), "{causes:?}");
        assert_eq!(restarts(cluster.node(0)).await, [("exception", 1)]);
    });
}

#[test]
fn a_task_that_fails_again_and_again_kills_its_job_with_its_last_exception() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let mut registry = registry(&source, &sink);
        let functions = &mut registry.functions;
        functions.function("fails", |_| Err::<Segment, _>("no room on the device"));
        registry.lifecycles.register("restart", restarting());
        let cluster = cluster_of(1, 3, registry).await;
        let job = with_calls(line("fails"), "work", "restart");
        let job = cluster.submit(job).await.unwrap();
        let cause = "the last exception: task work (slot 0), apply-function: no room on the device";
        let why = loop {
            let why = cluster.node(0).explain(job);
            if why.contains("was started again 2 of at most 10 times") && why.contains("waits") {
                break why;
            }
            time_passes(Duration::from_millis(50)).await;
        };
        assert!(
            why.contains("because a peer starts again after a failure: task work"),
            "{why}"
        );
        assert!(why.contains(cause), "{why}");
        let report = cluster.node(0).job(job).await.unwrap();
        assert_eq!(report.restarts.len(), 1);
        let outcome = cluster.await_job(job).await.unwrap();
        let JobOutcome::Killed(Some(exception)) = outcome else {
            panic!("{outcome:?}")
        };
        let limit = "task work failed 11 times within 600 s on one node";
        assert!(exception.starts_with(limit), "{exception}");
        assert!(exception.contains("no room on the device"), "{exception}");
        assert_eq!(restarts(cluster.node(0)).await, [("exception", 10)]);
    });
}

#[test]
fn the_handlers_decide_about_a_task_that_does_not_start_as_well() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(50), Sink::default());
        let mut registry = registry(&source, &sink);
        let refusals = AtomicUsize::new(0);
        let calls = LifecycleCalls {
            before_task_start: Some(Arc::new(move |_| {
                match refusals.fetch_add(1, Ordering::SeqCst) {
                    0 => Err("not yet".into()),
                    _ => Ok(()),
                }
            })),
            ..restarting()
        };
        registry.lifecycles.register("refuse once", calls);
        let cluster = TestCluster::start(Setup {
            registry,
            ..Setup::default()
        });
        let job = with_calls(line("identity"), "work", "refuse once");
        let job = cluster.submit(job).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(50));
    });
}

#[test]
fn a_segment_that_asks_for_another_try_gets_one() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let mut registry = registry(&source, &sink);
        let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..100).map(|_| AtomicUsize::new(0)).collect());
        let make: FunctionFactory = Arc::new(move |_| {
            let seen = Arc::clone(&seen);
            Ok(TaskFunction::make(move |segment, out| {
                let n = n(&segment) as usize;
                if n % 10 == 3 && seen[n].fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err(FunctionError::Retry("not at first sight".into()));
                }
                out.push(segment);
                Ok(())
            }))
        });
        let functions = &mut registry.functions;
        functions.register("second sight", Signature::default(), make);
        let cluster = cluster_of(1, 4, registry).await;
        let begin = tokio::time::Instant::now();
        let job = cluster.submit(line("second sight")).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
        let totals = cluster.node(0).job(job).await.unwrap().totals();
        assert_eq!((totals.retried, totals.completed), (10, 100));
        // Not by waiting for the time-out of pending segments.
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    });
}
