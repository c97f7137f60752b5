//! Who is in the cluster: many that come at once, processes that die, and what each costs the log.

use crate::in_virtual_time;
use crate::jobs::{count, has_every_number, line, registry, slow};
use crate::virtual_time::time_passes;
use onyx::api::JobOutcome;
use onyx::codec::from_payload;
use onyx::config::RetryConfig;
use onyx::coordination::memory::AppendFault;
use onyx::ids::{LogPosition, PeerId};
use onyx::log::commands::{Command, LeaveCluster};
use onyx::log::{Unreadable, step};
use onyx::replica::Replica;
use onyx::testing::{Setup, TestCluster};
use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

/// A millisecond for every answer of coordination, as over a network.
fn start(nodes: usize, peers: usize) -> TestCluster {
    let cluster = TestCluster::start(Setup {
        nodes,
        peers,
        ..Setup::default()
    });
    cluster.server().set_delay(Duration::from_millis(1));
    cluster
}

fn leaves(cluster: &TestCluster) -> Vec<LeaveCluster> {
    let commands = cluster.commands().into_iter();
    let leaves = commands.filter_map(|command| match command {
        Command::LeaveCluster(leave) => Some(leave),
        _ => None,
    });
    leaves.collect()
}

/// Everybody whom it names.
pub(crate) fn named(leave: &LeaveCluster) -> BTreeSet<PeerId> {
    leave.also.iter().copied().chain([leave.id]).collect()
}

fn aborts(cluster: &TestCluster) -> usize {
    let commands = cluster.commands().into_iter();
    let aborts = commands.filter(|command| matches!(command, Command::AbortJoinCluster(_)));
    aborts.count()
}

async fn peers_of(cluster: &TestCluster, node: usize) -> BTreeSet<PeerId> {
    let status = cluster.node(node).status().await.unwrap();
    status.peers.into_iter().collect()
}

pub(crate) fn is_one_ring(replica: &Replica) -> bool {
    let pairs = &replica.membership.pairs;
    let first = replica.membership.peers[0];
    let mut at = first;
    let walked = (1..=pairs.len()).find(|_| {
        at = pairs[&at];
        at == first
    });
    walked == Some(replica.membership.peers.len())
}

#[test]
fn two_hundred_peers_of_one_process_join_without_one_refusal() {
    in_virtual_time(async {
        let cluster = start(1, 200);
        cluster.joined(200).await.unwrap();
        // The first founds the cluster, each other takes three entries.
        assert_eq!(cluster.commands().len(), 1 + 3 * 199);
        assert!(is_one_ring(&cluster.node(0).snapshot().replica));
    });
}

#[test]
fn peers_of_several_processes_join_without_a_storm() {
    for (nodes, peers) in [(4, 50), (20, 3)] {
        in_virtual_time(async move {
            let cluster = start(nodes, peers);
            cluster.joined(nodes * peers).await.unwrap();
            let (entries, aborts) = (cluster.commands().len(), aborts(&cluster));
            println!("{nodes} processes of {peers} peers: {entries} entries, {aborts} aborts");
            // Each process may be refused when it knows nothing of the others, and once again.
            assert!(aborts <= 2 * nodes, "{aborts} aborts");
            assert_eq!(entries, 1 + 3 * (nodes * peers - 1) + 2 * aborts);
            assert!(is_one_ring(&cluster.node(0).snapshot().replica));
        });
    }
}

#[test]
fn a_process_that_dies_costs_one_entry_however_many_peers_it_had() {
    in_virtual_time(async {
        let mut cluster = start(3, 50);
        cluster.joined(150).await.unwrap();
        let gone = peers_of(&cluster, 1).await;
        let before = cluster.commands().len();
        cluster.kill_node(1).await;
        cluster.joined(100).await.unwrap();
        time_passes(Duration::from_secs(5)).await;
        let written = cluster.commands().split_off(before);
        let leaves = leaves(&cluster);
        assert_eq!(written.len(), 1, "{written:?}");
        assert_eq!(named(&leaves[0]), gone);
        assert!(is_one_ring(&cluster.node(0).snapshot().replica));
    });
}

/// How often the jobs of a replica were given peers, after an entry.
fn reallocations(cluster: &TestCluster, after: usize) -> usize {
    let mut replica = Arc::new(Replica::default());
    let mut versions = BTreeSet::new();
    for (at, payload) in cluster.server().entries().iter().enumerate() {
        let entry = from_payload(payload).map_err(|error| Unreadable(error.to_string()));
        replica = step(LogPosition(at as u64), entry, replica).new;
        if at >= after {
            let given = replica.allocations.values();
            versions.extend(given.map(|allocation| allocation.version));
        }
    }
    versions.retain(|version| version.0 >= after as u64);
    versions.len()
}

#[test]
fn a_process_of_two_hundred_peers_that_dies_costs_one_entry_and_one_reallocation() {
    in_virtual_time(async {
        let (source, sink) = slow(200);
        let mut cluster = TestCluster::start(Setup {
            nodes: 0,
            peers: 200,
            registry: registry(&source, &sink),
            ..Setup::default()
        });
        cluster.server().set_delay(Duration::from_millis(1));
        cluster.add_node();
        for _ in 0..2 {
            cluster.add_node_as(|config| config.node.peers = 5.try_into().unwrap());
        }
        cluster.joined(210).await.unwrap();
        // Two jobs that use everybody.
        let mut job = line("identity");
        job.catalog[2].max_peers = Some(count(1));
        let mut jobs = Vec::new();
        for job in [job.clone(), job] {
            jobs.push(cluster.node(1).submit_job(job).await.unwrap());
        }
        let replica = cluster.node(1).snapshot().replica;
        assert!(replica.unassigned().is_empty());
        let gone = peers_of(&cluster, 0).await;
        assert_eq!(gone.len(), 200);
        let before = cluster.commands().len();
        cluster.kill_node(0).await;
        cluster.joined(10).await.unwrap();
        time_passes(Duration::from_secs(5)).await;
        let leaves = leaves(&cluster);
        let named: BTreeSet<PeerId> = leaves.iter().flat_map(named).collect();
        assert_eq!((leaves.len(), named), (1, gone));
        assert_eq!(reallocations(&cluster, before), 1);
        assert!(is_one_ring(&cluster.node(1).snapshot().replica));
        for job in jobs {
            let outcome = cluster.node(1).await_job_completion(job).await;
            assert_eq!(outcome, Ok(JobOutcome::Completed));
        }
        has_every_number(&sink, 200);
    });
}

#[test]
fn processes_that_die_together_are_one_entry_each_though_they_watched_each_other() {
    in_virtual_time(async {
        let mut cluster = start(4, 5);
        cluster.joined(20).await.unwrap();
        let gone = [peers_of(&cluster, 1).await, peers_of(&cluster, 2).await];
        cluster.kill_node(1).await;
        cluster.kill_node(2).await;
        cluster.joined(10).await.unwrap();
        time_passes(Duration::from_secs(5)).await;
        let named: BTreeSet<BTreeSet<PeerId>> = leaves(&cluster).iter().map(named).collect();
        assert_eq!(named, gone.into());
        assert!(leaves(&cluster).len() <= 3, "{:?}", leaves(&cluster));
    });
}

#[test]
fn ghosts_of_a_cluster_that_died_as_a_whole_make_room_for_who_comes_after() {
    in_virtual_time(async {
        let mut cluster = start(3, 20);
        cluster.joined(60).await.unwrap();
        for node in 0..3 {
            cluster.kill_node(node).await;
        }
        let before = cluster.commands().len();
        cluster.add_node();
        let begin = tokio::time::Instant::now();
        cluster.joined(20).await.unwrap();
        let took = begin.elapsed();
        let written = cluster.commands().len() - before;
        println!("{written} entries and {took:?} to get past sixty ghosts of three processes");
        assert_eq!(leaves(&cluster).len(), 3);
        // Some joined through ghosts and had to begin again.
        assert!(written <= 3 + 5 * 20, "{written} entries");
        assert!(took < Duration::from_secs(10), "{took:?}");
    });
}

#[test]
fn ghosts_in_the_middle_of_their_join_keep_nobody_out() {
    in_virtual_time(async {
        // All of them have joined after sixteen.
        for after in 2..16 {
            let mut cluster = start(2, 3);
            while cluster.commands().len() < after {
                time_passes(Duration::from_millis(1)).await;
            }
            cluster.kill_node(0).await;
            cluster.kill_node(1).await;
            cluster.add_node();
            cluster.joined(3).await.unwrap();
        }
    });
}

#[test]
fn the_leave_that_a_stopped_peer_cannot_write_is_written_by_its_group() {
    in_virtual_time(async {
        let cluster = start(1, 3);
        cluster.joined(3).await.unwrap();
        let leaver = *peers_of(&cluster, 0).await.first().unwrap();
        let attempts = RetryConfig::default().attempts.get();
        let faults = iter::repeat_n(AppendFault::UnknownAndLost, attempts);
        cluster.server().fail_appends(faults);
        cluster.node(0).stop_peer(leaver).await.unwrap();
        cluster.joined(2).await.unwrap();
        assert_eq!(leaves(&cluster), [LeaveCluster::of(leaver)]);
    });
}

#[test]
fn a_peer_that_is_stopped_says_so_once_and_its_watch_is_taken_over_at_once() {
    in_virtual_time(async {
        let cluster = start(2, 3);
        cluster.joined(6).await.unwrap();
        let ring = cluster.node(0).snapshot().replica;
        // One that a peer of the other process watches.
        let other = peers_of(&cluster, 1).await;
        let pairs = ring.membership.pairs.iter();
        let leaver =
            pairs.filter(|(watcher, watched)| other.contains(watcher) && !other.contains(watched));
        let leaver = *leaver.map(|(_, watched)| watched).next().unwrap();
        let begin = tokio::time::Instant::now();
        cluster.node(0).stop_peer(leaver).await.unwrap();
        cluster.joined(5).await.unwrap();
        assert!(
            begin.elapsed() < Duration::from_millis(100),
            "{:?}",
            begin.elapsed()
        );
        time_passes(Duration::from_secs(5)).await;
        assert_eq!(leaves(&cluster), [LeaveCluster::of(leaver)]);
    });
}
