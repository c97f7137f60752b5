//! Where tasks run: on nodes that have the tags for them; and what becomes of a job whose peers
//! change, as its flux policies say.

use crate::in_virtual_time;
use crate::jobs::*;
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::ids::{JobId, LogPosition, PeerId, TaskName};
use onyx::job::{FluxPolicy, Job, Lifecycle, LifecycleTarget, Task};
use onyx::log::commands::Command;
use onyx::replica::{JobState, Loss, Replica, Slots};
use onyx::task::lifecycles::LifecycleCalls;
use onyx::task::registry::Registry;
use onyx::testing::plugins::{Sink, Source};
use onyx::testing::{Setup, TestCluster};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn tags(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().copied().map(String::from).collect()
}

/// Which peers have started which tasks.
type Starts = Arc<Mutex<BTreeSet<(PeerId, TaskName)>>>;

/// The registry, with lifecycle calls that write down who starts what.
fn noting(mut registry: Registry) -> (Registry, Starts) {
    let starts = Starts::default();
    let started = Arc::clone(&starts);
    let calls = LifecycleCalls {
        before_task_start: Some(Arc::new(move |event| {
            let start = (event.peer, event.task.clone());
            started.lock().unwrap().insert(start);
            Ok(())
        })),
        ..LifecycleCalls::default()
    };
    registry.lifecycles.register("note", calls);
    (registry, starts)
}

/// `in>work>out`, whose work needs tags, and of which every start is noted.
fn tagged(needed: &[&str]) -> Job {
    let mut job = line("identity");
    job.catalog[1].required_tags = tags(needed);
    job.lifecycles = vec![Lifecycle {
        task: LifecycleTarget::All,
        calls: "note".into(),
    }];
    job
}

async fn peers_of(cluster: &TestCluster, node: usize) -> BTreeSet<PeerId> {
    let status = cluster.node(node).status().await.unwrap();
    status.peers.into_iter().collect()
}

#[test]
fn a_task_runs_only_on_nodes_that_are_configured_with_its_tags() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let (registry, starts) = noting(registry(&source, &sink));
        let mut cluster = TestCluster::start(Setup {
            nodes: 0,
            peers: 3,
            registry,
            ..Setup::default()
        });
        let plain = cluster.add_node_as(|config| config.peer.tags = tags(&["eu"]));
        let able = cluster.add_node_as(|config| config.peer.tags = tags(&["eu", "gpu"]));
        cluster.joined(6).await.unwrap();
        let job = cluster.submit(tagged(&["eu", "gpu"])).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
        let (plain, able) = (
            peers_of(&cluster, plain).await,
            peers_of(&cluster, able).await,
        );
        let starts = starts.lock().unwrap();
        let workers = starts
            .iter()
            .filter(|(_, task)| *task == TaskName::from("work"));
        let workers: BTreeSet<PeerId> = workers.map(|(peer, _)| *peer).collect();
        assert!(
            !workers.is_empty() && workers.is_subset(&able),
            "{workers:?}"
        );
        // The others had their part in what needs no tag.
        assert!(starts.iter().any(|(peer, _)| plain.contains(peer)));
    });
}

#[test]
fn a_task_whose_tags_nobody_has_waits_until_a_node_with_them_comes() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let (registry, starts) = noting(registry(&source, &sink));
        let mut cluster = cluster_of(1, 4, registry).await;
        let job = cluster.submit(tagged(&["gpu"])).await.unwrap();
        time_passes(Duration::from_secs(5)).await;
        let state = cluster.node(0).snapshot().replica.job_state(job);
        assert_eq!(state, Some(JobState::Waiting));
        let why = cluster.node(0).explain(job);
        assert!(why.contains("gpu"), "{why}");
        let able = cluster.add_node_as(|config| config.peer.tags = tags(&["gpu"]));
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
        let able = peers_of(&cluster, able).await;
        let starts = starts.lock().unwrap();
        let mut workers = starts
            .iter()
            .filter(|(_, task)| *task == TaskName::from("work"));
        assert!(workers.all(|(peer, _)| able.contains(peer)));
    });
}

/// `in>work>out` with so many peers for the work, and a policy for it.
fn in_flux(policy: FluxPolicy, workers: u32) -> Job {
    let work = Task {
        min_peers: count(workers),
        max_peers: Some(count(workers)),
        flux_policy: Some(policy),
        ..function("work", "identity")
    };
    let out = Task {
        max_peers: Some(count(1)),
        ..output("out")
    };
    job("in>work work>out", [input("in"), work, out])
}

/// Who holds the slots of the work of a job.
fn workers(replica: &Replica, job: JobId) -> Slots {
    let allocation = replica.allocations.get(&job);
    let slots = allocation.and_then(|allocation| allocation.tasks.get(&TaskName::from("work")));
    slots.cloned().unwrap_or_default()
}

/// Stops a peer, wherever it lives.
async fn stop(cluster: &TestCluster, peer: PeerId) {
    for node in 0..2 {
        if peers_of(cluster, node).await.contains(&peer) {
            cluster.node(node).stop_peer(peer).await.unwrap();
        }
    }
}

#[test]
fn a_job_with_the_policy_kill_is_killed_once_and_the_next_one_gets_its_peers() {
    in_virtual_time(async {
        let (source, sink) = slow(300);
        let cluster = cluster_of(2, 3, registry(&source, &sink)).await;
        let first = cluster.submit(in_flux(FluxPolicy::Kill, 4)).await.unwrap();
        let next = cluster.submit(line("identity")).await.unwrap();
        when_written(&sink, 50).await;
        let replica = cluster.node(0).snapshot().replica;
        assert_eq!(replica.peer_count(first), 6);
        assert_eq!(replica.job_state(next), Some(JobState::Waiting));
        let lost = *workers(&replica, first).values().next().unwrap();
        let before = cluster.commands().len();
        stop(&cluster, lost).await;
        let JobOutcome::Killed(_) = cluster.await_job(first).await.unwrap() else {
            panic!("it has lost a peer")
        };
        assert_eq!(
            cluster.await_job(next).await.unwrap(),
            JobOutcome::Completed
        );
        let written = cluster.commands().split_off(before);
        let ends = written
            .iter()
            .filter(|command| matches!(command, Command::KillJob(_) | Command::LeaveCluster(_)));
        assert_eq!(ends.count(), 1, "the leave alone ends it: {written:?}");
        let replica = cluster.node(0).snapshot().replica;
        assert_eq!(replica.jobs.killed, [first]);
        let task = TaskName::from("work");
        assert_eq!(replica.jobs.losses[&first], Loss { peer: lost, task });
        assert_eq!(replica.jobs.completed, [next]);
        has_every_number(&sink, 300);
    });
}

#[test]
fn a_job_with_the_policy_recover_keeps_its_slots_and_stops_while_one_is_empty() {
    in_virtual_time(async {
        let (source, sink) = slow(600);
        let cluster = cluster_of(2, 3, registry(&source, &sink)).await;
        let job = cluster
            .submit(in_flux(FluxPolicy::Recover, 3))
            .await
            .unwrap();
        when_written(&sink, 50).await;
        let before = cluster.node(0).snapshot().replica;
        // One peer is left over.
        assert_eq!(before.peer_count(job), 5);
        let had = workers(&before, job);
        let (slot, gone) = had
            .iter()
            .next()
            .map(|(slot, peer)| (*slot, *peer))
            .unwrap();
        stop(&cluster, gone).await;
        cluster.joined(5).await.unwrap();
        let after = cluster.node(0).snapshot().replica;
        let has = workers(&after, job);
        assert_eq!(has[&slot], before.unassigned()[0], "whoever was left over");
        let rest = |of: &Slots| {
            let others = of.clone().into_iter().filter(|(of, _)| *of != slot);
            others.collect::<Slots>()
        };
        assert_eq!(rest(&has), rest(&had));
        let leave = |command: &Command| matches!(command, Command::LeaveCluster(_));
        let left_at = cluster.commands().iter().rposition(leave).unwrap();
        let given = after.allocations[&job].version;
        assert_eq!(given, LogPosition(left_at as u64));
        let written = sink.segments().len();
        when_written(&sink, written + 50).await;

        // Now nobody is.
        stop(&cluster, has[&slot]).await;
        cluster.joined(4).await.unwrap();
        time_passes(Duration::from_secs(1)).await;
        let written = sink.segments().len();
        time_passes(Duration::from_secs(10)).await;
        let stopped = cluster.node(0).snapshot().replica;
        assert_eq!(stopped.job_state(job), Some(JobState::Waiting));
        assert_eq!(sink.segments().len(), written);
        cluster.node(0).start_peers(1).await.unwrap();
        assert_eq!(cluster.await_job(job).await.unwrap(), JobOutcome::Completed);
        has_every_number(&sink, 600);
        assert!(cluster.node(0).snapshot().replica.jobs.killed.is_empty());
    });
}
