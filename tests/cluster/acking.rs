//! That the account of a job is even, with ackers of every kind, lost messages and peers that die.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::virtual_time::time_passes;
use onyx::Segment;
use onyx::api::JobOutcome;
use onyx::functions::{FunctionError, FunctionFactory, TaskFunction};
use onyx::ids::{IdSource, JobId, PeerId};
use onyx::job::percent::Percent;
use onyx::job::vocabulary::Signature;
use onyx::job::{Job, Task};
use onyx::messages::supervision::Child;
use onyx::task::counters::Account;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Loss, Setup, TestCluster, Victim, crash};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The account of a job on every node that lives. Each of them is even, at any moment: in virtual
/// time nobody is in the middle of a batch while a test looks.
async fn account(cluster: &TestCluster, job: JobId, nodes: &[usize]) -> Account {
    let mut sum = Account::default();
    for node in nodes {
        let account = cluster.node(*node).job(job).await.unwrap().account_here;
        assert_eq!(account.unaccounted, 0, "{account:?}");
        sum.r#in += account.r#in;
        sum.out += account.out;
        sum.filtered += account.filtered;
        sum.dead_lettered += account.dead_lettered;
        sum.in_flight += account.in_flight;
        sum.relinquished += account.relinquished;
    }
    sum
}

/// The account of the whole job, of which all these nodes tell the same as soon as it has ended.
async fn whole_account(cluster: &TestCluster, job: JobId, nodes: &[usize]) -> Account {
    let mut told = Vec::new();
    for node in nodes {
        told.extend(cluster.node(*node).job(job).await.unwrap().account);
    }
    assert!(
        told.len() == nodes.len() && told.iter().all(|it| *it == told[0]),
        "{told:?}"
    );
    assert_eq!(told[0].unaccounted, 0);
    told[0]
}

/// `in>work work>out work>copy`, of which every fourth number is filtered and every third doubled.
fn branching() -> Job {
    let catalog = [
        quick(input("in")),
        Task {
            min_peers: count(2),
            ..function("work", "sift")
        },
        output("out"),
        output("copy"),
    ];
    job("in>work work>out work>copy", catalog)
}

/// An input whose roots are looked at soon and tried often.
fn quick(task: Task) -> Task {
    Task {
        pending_timeout_ms: count(4_000),
        input_retry_timeout_ms: count(500),
        max_retries: count(100),
        ..task
    }
}

fn sift(segment: Segment) -> Vec<Segment> {
    match n(&segment) {
        n if n % 4 == 0 => vec![],
        n if n % 3 == 0 => vec![segment.clone(), segment],
        _ => vec![segment],
    }
}

fn setup(segments: i64, sink: &Sink, nodes: usize, seed: u64) -> Setup {
    let source = Source::numbers(segments).pausing(Duration::from_millis(20));
    let mut registry = registry(&source, sink);
    registry.functions.function("sift", sift);
    Setup {
        nodes,
        peers: 5,
        registry,
        seed,
        ..Setup::default()
    }
}

/// What `sift` leaves of the numbers below a limit.
fn sifted(limit: i64) -> BTreeSet<i64> {
    (0..limit).filter(|n| n % 4 != 0).collect()
}

fn with_ackers(percent: u32) -> Job {
    let mut job = branching();
    job.ackers.percentage = Percent::whole(percent);
    job
}

fn ackers(cluster: &TestCluster, job: JobId) -> Vec<PeerId> {
    let replica = cluster.node(0).snapshot().replica;
    let allocation = replica.allocations.get(&job);
    allocation.map(|it| it.ackers.clone()).unwrap_or_default()
}

#[test]
fn what_was_read_has_come_out_or_was_filtered_at_every_moment() {
    in_virtual_time(async {
        let sink = Sink::default();
        let cluster = TestCluster::start(setup(400, &sink, 1, 1));
        let job = cluster.submit(branching()).await.unwrap();
        let end = cluster.await_job(job);
        tokio::pin!(end);
        let outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome.unwrap(),
                () = time_passes(Duration::from_millis(7)) => {
                    account(&cluster, job, &[0]).await;
                }
            }
        };
        assert_eq!(outcome, JobOutcome::Completed);
        let expected = Account {
            r#in: 400,
            out: 300,
            filtered: 100,
            ..Account::default()
        };
        assert_eq!(account(&cluster, job, &[0]).await, expected);
        assert_eq!(sink.ints("n").len(), 2 * (300 + 100));
    });
}

#[test]
fn ledgers_are_spread_over_ackers_and_every_root_completes_once() {
    for percent in [1, 40, 100] {
        in_virtual_time(async move {
            let sink = Sink::default();
            let cluster = TestCluster::start(setup(600, &sink, 2, 3));
            cluster.joined(10).await.unwrap();
            let job = cluster.submit(with_ackers(percent)).await.unwrap();
            let named = |cluster: &TestCluster| ackers(cluster, job).len();
            while named(&cluster) == 0 {
                time_passes(Duration::from_millis(1)).await;
            }
            assert_eq!(named(&cluster), (percent as usize * 10).div_ceil(100));
            assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
            let expected = Account {
                r#in: 600,
                out: 450,
                filtered: 150,
                ..Account::default()
            };
            assert_eq!(account(&cluster, job, &[0, 1]).await, expected);
            assert_eq!(whole_account(&cluster, job, &[0, 1]).await, expected);
            let mut open = 0;
            for node in 0..2 {
                open += cluster
                    .node(node)
                    .measurements()
                    .await
                    .unwrap()
                    .acker_entries;
            }
            assert_eq!(open, 0);
        });
    }
}

#[test]
fn what_gets_lost_or_repeated_between_peers_is_played_again_and_nothing_is_missing() {
    for seed in 0..12 {
        println!("seed {seed}");
        in_virtual_time(async move {
            let sink = Sink::default();
            let loss = Loss {
                lost_per_mille: 30,
                repeated_per_mille: 50,
            };
            let cluster = TestCluster::start(Setup {
                loss,
                ..setup(300, &sink, 2, seed)
            });
            cluster.joined(10).await.unwrap();
            let percent = [0, 30, 100][seed as usize % 3];
            let job = cluster.submit(with_ackers(percent)).await.unwrap();
            let end = cluster.await_job(job);
            tokio::pin!(end);
            let mut seen_in_flight = 0;
            loop {
                tokio::select! {
                    outcome = &mut end => {
                        assert_eq!(outcome.unwrap(), JobOutcome::Completed);
                        break;
                    }
                    () = time_passes(Duration::from_millis(333)) => {
                        seen_in_flight += account(&cluster, job, &[0, 1]).await.in_flight;
                    }
                }
            }
            assert!(seen_in_flight > 0, "what is lost was waited for");
            let end = account(&cluster, job, &[0, 1]).await;
            let ended = (end.r#in, end.out + end.filtered, end.in_flight);
            assert_eq!(ended, (300, 300, 0), "{end:?}");
            let written: BTreeSet<i64> = sink.ints("n").into_iter().collect();
            assert_eq!(written, sifted(300));
        });
    }
}

/// A death is known when the session is over; what waits for the dead is made up for at the next
/// sweep at the latest.
fn waiting_for_the_dead_max() -> Duration {
    let config = Setup::default().config;
    config.coordination.session_timeout + config.messaging.ack_sweep_interval
}

/// The job completes; how long a read was pending meanwhile, at the longest.
async fn longest_wait(cluster: &TestCluster, job: JobId, nodes: &[usize]) -> Duration {
    let end = cluster.await_job(job);
    tokio::pin!(end);
    let mut longest = Duration::ZERO;
    loop {
        tokio::select! {
            outcome = &mut end => {
                assert_eq!(outcome.unwrap(), JobOutcome::Completed);
                return longest;
            }
            () = time_passes(Duration::from_millis(100)) => {}
        }
        for node in nodes {
            let measured = cluster.node(*node).measurements().await.unwrap();
            let pending = measured.tasks.iter().map(|task| task.oldest_pending);
            longest = pending.fold(longest, Duration::max);
        }
    }
}

#[test]
fn peers_that_keep_ledgers_may_die_and_nothing_waits_for_them() {
    for seed in 0..8 {
        println!("seed {seed}");
        in_virtual_time(async move {
            let sink = Sink::default();
            let mut cluster = TestCluster::start(setup(400, &sink, 3, seed));
            cluster.joined(15).await.unwrap();
            let mut job = with_ackers(50);
            // No time-out helps: what waits for the dead would wait for an hour.
            job.catalog[0].pending_timeout_ms = count(3_600_000);
            job.catalog[0].input_retry_timeout_ms = count(1_000);
            let job = cluster.submit(job).await.unwrap();
            let mut draws = IdSource::from_seed(seed);
            when_written(&sink, 100).await;
            for _ in 0..3 {
                let (node, index) = (draws.bits() % 2, draws.bits() % 5);
                let child = [Child::AckingDaemon, Child::TaskPipeline][draws.bits() as usize % 2];
                let victim = Victim::Peer {
                    index: index as usize,
                    child,
                };
                crash(cluster.node(node as usize), victim).await;
                time_passes(Duration::from_millis(draws.bits() % 100)).await;
                account(&cluster, job, &[0, 1, 2]).await;
            }
            cluster.kill_node(2).await;
            let waited = longest_wait(&cluster, job, &[0, 1]).await;
            assert!(waited <= waiting_for_the_dead_max(), "{waited:?}");
            let end = account(&cluster, job, &[0, 1]).await;
            assert_eq!((end.in_flight, end.dead_lettered), (0, 0), "{end:?}");
            // Whoever died, each row counts once.
            let whole = whole_account(&cluster, job, &[0, 1]).await;
            let expected = Account {
                r#in: 400,
                out: 300,
                filtered: 100,
                ..Account::default()
            };
            assert_eq!(whole, expected);
            let written: BTreeSet<i64> = sink.ints("n").into_iter().collect();
            assert_eq!(written, sifted(400));
        });
    }
}

#[test]
fn a_segment_that_always_fails_goes_to_the_dead_letters_and_the_job_completes() {
    in_virtual_time(async {
        let folder = TempDir::new().unwrap();
        let letters = folder.path().join("dead.jsonl");
        let sink = Sink::default();
        let mut setup = setup(50, &sink, 1, 1);
        let make: FunctionFactory = Arc::new(|_| {
            Ok(TaskFunction::make(|segment, out| {
                match n(&segment) {
                    13 => return Err(FunctionError::Retry("thirteen is too much".into())),
                    _ => out.push(segment),
                }
                Ok(())
            }))
        });
        let functions = &mut setup.registry.functions;
        functions.register("moody", Signature::default(), make);
        let cluster = TestCluster::start(setup);
        let mut job = line("moody");
        job.catalog[0].dead_letter = Some(letters.to_str().unwrap().into());
        job.catalog[0].max_retries = count(4);
        let job = cluster.submit(job).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        let expected = Account {
            r#in: 50,
            out: 49,
            dead_lettered: 1,
            ..Account::default()
        };
        assert_eq!(account(&cluster, job, &[0]).await, expected);
        let totals = cluster.node(0).job(job).await.unwrap().totals();
        assert_eq!(totals.retried, 4);
        let text = std::fs::read_to_string(letters).unwrap();
        let letter: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(letter["segment"]["n"], 13);
        assert_eq!(
            (&letter["attempts"], &letter["reason"]),
            (&5.into(), &"thirteen is too much".into())
        );
    });
}
