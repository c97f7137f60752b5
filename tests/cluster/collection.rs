//! Collecting the log while clusters live: who starts afterwards, who was away meanwhile, and that
//! it happens by itself.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::codec::to_payload;
use onyx::ids::{EntrySource, IdSource, JobId, LogPosition, PeerId, WriterId};
use onyx::job::{Job, Task, TaskKind};
use onyx::log::Entry;
use onyx::log::commands::{Command, KillJob, LeaveCluster, SubmitJob, SubmittedJob};
use onyx::replica::{JobState, Jobs, Replica, TaskRecord, Writers};
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::env;
use std::time::Duration;

fn setup(nodes: usize, peers: usize) -> Setup {
    Setup {
        nodes,
        peers,
        registry: registry(&Source::numbers(100), &Sink::default()),
        ..Setup::default()
    }
}

/// A job for three peers.
fn small() -> Job {
    line("identity")
}

/// The peers of a node.
pub(crate) async fn peers_of(cluster: &TestCluster, node: usize) -> Vec<PeerId> {
    cluster.node(node).status().await.unwrap().peers
}

/// Waits until something holds of the replica of a node.
pub(crate) async fn until(cluster: &TestCluster, node: usize, holds: impl Fn(&Replica) -> bool) {
    let mut log = cluster.node(node).subscribe_to_log();
    while !holds(&cluster.node(node).snapshot().replica) {
        log.next().await.unwrap();
    }
}

/// An entry of somebody who writes only this one.
pub(crate) fn entry(ids: &mut IdSource, command: Command) -> Vec<u8> {
    let source = EntrySource {
        writer: WriterId(ids.uuid()),
        sequence: 1,
    };
    let entry = Entry {
        source: Some(source),
        entry_parent: None,
        written_at_ms: None,
        command,
    };
    to_payload(&entry).unwrap()
}

#[test]
fn who_starts_after_a_collection_knows_what_was_before() {
    in_virtual_time(async {
        let mut cluster = TestCluster::start(setup(1, 3));
        cluster.joined(3).await.unwrap();
        let done = cluster.submit(small()).await.unwrap();
        assert_eq!(cluster.await_job(done).await, Ok(JobOutcome::Completed));
        let killed = cluster.submit(small()).await.unwrap();
        cluster.node(0).kill_job(killed).await.unwrap();
        time_passes(Duration::from_secs(2)).await;
        let report = cluster.node(0).job(done).await.unwrap();
        let (counted, whole) = (report.account_here, report.account.unwrap());
        assert!(counted.r#in > 0 && counted.unaccounted == 0, "{counted:?}");
        assert_eq!(whole, counted);
        let collected = cluster.node(0).gc().await.unwrap().unwrap();
        assert_eq!((collected.jobs, collected.entries_left), (2, 1));
        assert!(
            cluster
                .node(0)
                .measurements()
                .await
                .unwrap()
                .tasks
                .is_empty()
        );
        let late = cluster.add_node();
        cluster.joined(6).await.unwrap();
        let node = cluster.node(late);
        assert_eq!(
            node.await_job_completion(done).await,
            Ok(JobOutcome::Completed)
        );
        let cause = JobOutcome::Killed(Some("killed by a client".into()));
        assert_eq!(node.await_job_completion(killed).await, Ok(cause));
        assert_eq!(
            node.job(done).await.unwrap().summary.state,
            JobState::Completed
        );
        // Killing one again changes nothing, and the next one runs.
        node.kill_job(done).await.unwrap();
        let next = node.submit_job(small()).await.unwrap();
        assert_eq!(
            node.await_job_completion(next).await,
            Ok(JobOutcome::Completed)
        );
        let parts = [
            "catalog",
            "workflow",
            "lifecycles",
            "job-metadata",
            "checkpoint",
        ];
        let of_the_old = cluster.server().nodes().into_iter().filter(|path| {
            let old = path.contains(&done.to_string()) || path.contains(&killed.to_string());
            old && parts.iter().any(|part| path.contains(part))
        });
        assert_eq!(of_the_old.collect::<Vec<_>>(), Vec::<String>::new());
    });
}

/// Jobs come and go, and the log is collected, twice, so that nothing is left of them.
async fn pass_time(cluster: &TestCluster) {
    for _ in 0..2 {
        let job = cluster.node(0).submit_job(small()).await.unwrap();
        cluster.node(0).kill_job(job).await.unwrap();
        cluster.node(0).gc().await.unwrap().unwrap();
    }
}

#[test]
fn who_was_paused_during_a_collection_goes_on_from_the_origin() {
    in_virtual_time(async {
        let cluster = TestCluster::start(setup(2, 2));
        cluster.joined(4).await.unwrap();
        let paused = peers_of(&cluster, 1).await;
        cluster.server().cut_off_session_of(paused[0]);
        pass_time(&cluster).await;
        let behind = cluster.node(1).snapshot().position;
        assert!(behind < cluster.node(0).snapshot().position);
        cluster.server().reach_all();
        // All four are needed, and are the same as before.
        let wide = Task {
            min_peers: count(2),
            ..output("out")
        };
        let catalog = [input("in"), function("work", "identity"), wide];
        let job = job("in>work work>out", catalog);
        let id = cluster.node(0).submit_job(job).await.unwrap();
        until(&cluster, 1, |replica| replica.jobs.is_known(id)).await;
        let outcome = cluster.node(1).await_job_completion(id).await;
        assert_eq!(outcome, Ok(JobOutcome::Completed));
        let replica = cluster.node(1).snapshot().replica;
        assert!(
            paused
                .iter()
                .all(|peer| replica.membership.is_joined(*peer))
        );
        assert_eq!(replica, cluster.node(0).snapshot().replica);
    });
}

#[test]
fn who_was_removed_while_paused_comes_back_as_another() {
    in_virtual_time(async {
        let cluster = TestCluster::start(setup(2, 2));
        cluster.joined(4).await.unwrap();
        let paused = peers_of(&cluster, 1).await;
        cluster.server().cut_off_session_of(paused[0]);
        let leave = LeaveCluster {
            also: paused[1..].to_vec(),
            ..LeaveCluster::of(paused[0])
        };
        let mut ids = IdSource::from_seed(5);
        let leave = entry(&mut ids, Command::LeaveCluster(leave));
        cluster.server().append_raw(leave);
        cluster.joined(2).await.unwrap();
        pass_time(&cluster).await;
        cluster.server().reach_all();
        cluster.joined(4).await.unwrap();
        let replica = cluster.node(0).snapshot().replica;
        assert!(
            paused
                .iter()
                .all(|peer| !replica.membership.is_joined(*peer))
        );
    });
}

#[test]
fn two_nodes_may_collect_at_once() {
    in_virtual_time(async {
        let cluster = TestCluster::start(setup(2, 2));
        cluster.joined(4).await.unwrap();
        for _ in 0..5 {
            let job = cluster.submit(small()).await.unwrap();
            assert_eq!(cluster.await_job(job).await, Ok(JobOutcome::Completed));
            let (one, other) = (cluster.node(0).clone(), cluster.node(1).clone());
            let (one, other) = tokio::join!(one.gc(), other.gc());
            let both = [one.unwrap(), other.unwrap()];
            assert!(
                both.iter()
                    .flatten()
                    .any(|collected| collected.entries_left <= 2),
                "{both:?}"
            );
        }
    });
}

/// How many entries the log of the next test has in its life.
fn entries_in_a_life() -> u64 {
    match env::var("LOG_LIFE_ENTRIES") {
        Ok(entries) => entries.parse().unwrap(),
        Err(_) => 10_000,
    }
}

/// How many entries a crowd writes.
const CROWD: usize = 200;

/// Clients, each of which submits a job and kills it, and others that say what means nothing.
fn crowd(ids: &mut IdSource, jobs: &mut Vec<JobId>) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for _ in 0..CROWD / 4 {
        let id = ids.job();
        jobs.push(id);
        let tasks = vec![
            TaskRecord::new("in", TaskKind::Input, vec!["out".into()]),
            TaskRecord {
                min_peers: 100,
                ..TaskRecord::new("out", TaskKind::Output, vec![])
            },
        ];
        let job = SubmittedJob::new("job", tasks);
        entries.push(entry(ids, Command::SubmitJob(SubmitJob { id, job })));
        let kill = || Command::KillJob(KillJob::new(id, Some("enough".into())));
        entries.push(entry(ids, kill()));
        entries.push(entry(ids, kill()));
        entries.push(b"noise".to_vec());
    }
    entries
}

/// Waits until the log was collected. Virtual time stands still while an origin is made.
async fn shorter(cluster: &TestCluster, length: usize) {
    let collected = async {
        while cluster.server().entries().len() >= length {
            time_passes(Duration::from_millis(1)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), collected).await;
    waited.expect("nobody collects the log");
}

#[test]
fn a_log_that_lives_long_stays_small() {
    const ENTRIES: u32 = 1_000;
    in_virtual_time(async {
        let mut setup = setup(2, 2);
        setup.config.collection.entries = ENTRIES;
        let mut cluster = TestCluster::start(setup);
        cluster.joined(4).await.unwrap();
        let mut ids = IdSource::from_seed(9);
        let mut jobs = Vec::new();
        let (mut most, mut largest) = (0, 0);
        let mut written = 0;
        while written < entries_in_a_life() {
            let crowd = crowd(&mut ids, &mut jobs);
            written += crowd.len() as u64;
            crowd
                .into_iter()
                .for_each(|entry| cluster.server().append_raw(entry));
            let last = *jobs.last().unwrap();
            for node in 0..2 {
                until(&cluster, node, |replica| {
                    replica.job_state(last) == Some(JobState::Killed)
                })
                .await;
            }
            let replica = cluster.node(0).snapshot().replica;
            let length = cluster.server().entries().len();
            most = most.max(length);
            if length >= ENTRIES as usize + CROWD {
                shorter(&cluster, length).await;
            }
            largest = largest.max(replica.jobs.records.len());
            assert!(replica.writers.last.len() <= 2 * Writers::OTHERS_REMEMBERED + 4);
            assert!(replica.jobs.tombstones.len() <= Jobs::TOMBSTONES_REMEMBERED);
        }
        let position = cluster.node(0).snapshot().position;
        assert!(position >= Some(LogPosition(written)));
        // Who writes waits for a collection that is due, as long as that may take.
        assert!(most <= 2 * ENTRIES as usize, "the log had {most} entries");
        assert!(
            largest <= ENTRIES as usize,
            "{largest} jobs were remembered in full"
        );
        println!("{written} entries were written, {most} were in the log at most");
        let late = cluster.add_node();
        cluster.joined(6).await.unwrap();
        let replica = cluster.node(late).snapshot().replica;
        let known = jobs.iter().rev().take(Jobs::TOMBSTONES_REMEMBERED / 10 * 9);
        for job in known {
            assert_eq!(replica.job_state(*job), Some(JobState::Killed));
        }
    });
}
