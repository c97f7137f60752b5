//! What holds of a cluster of three nodes wherever its log is. Each scenario is written once and runs
//! in real time on coordination in memory, on an embedded server, and on Apache ZooKeeper.

use crate::flights::passing;
use crate::ground::{ALL_PEERS, Cluster, Ground, NODES, PEERS, peers_of};
use crate::jobs::*;
use crate::membership::{is_one_ring, named};
use crate::reports::watches_of;
use onyx::api::{JobOutcome, LogEvent, NodeHandle, Submitted};
use onyx::ids::{IdSource, LogPosition, PeerId, SlotId};
use onyx::job::{FluxPolicy, Job, Task};
use onyx::log::commands::{Command, LeaveCluster};
use onyx::messages::log_reader::Snapshot;
use onyx::replica::Replica;
use onyx::task::registry::Registry;
use onyx::testing::plugins::{Sink, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Every scenario, as a test on each ground.
macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        mod in_memory {
            $(#[test]
            fn $scenario() {
                onyx::run(super::$scenario(super::Ground::memory()));
            })+
        }

        mod on_an_embedded_server {
            $(#[test]
            fn $scenario() {
                onyx::run(async {
                    super::$scenario(super::Ground::embedded().await).await;
                });
            })+
        }

        mod on_apache_zookeeper {
            use crate::zookeeper_server::{Need, is_wanted};

            $(#[test]
            fn $scenario() {
                if !is_wanted(Need::OneServer) {
                    return;
                }
                onyx::run(async {
                    super::$scenario(super::Ground::apache().await).await;
                });
            })+
        }
    };
}

scenarios! {
    three_nodes_join_one_ring_and_agree,
    a_node_that_dies_is_named_with_all_its_peers_and_the_ring_heals,
    whoever_leaves_hands_over_its_watch_at_once,
    who_was_cut_off_during_a_collection_goes_on_from_the_origin,
    a_node_whose_session_expires_comes_back_with_other_peers,
    two_jobs_share_three_nodes_and_every_row_is_written,
    a_node_that_dies_in_the_middle_of_a_job_costs_no_row,
    collectors_on_two_nodes_at_once_lose_nothing,
    a_peer_that_leaves_gives_its_slot_to_another_or_ends_the_job,
}

/// Between two looks at something that nobody tells of.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// What these nodes agree on once all of them have read as far as each other.
async fn agreed(cluster: &Cluster, nodes: &[usize]) -> Arc<Replica> {
    loop {
        let seen = nodes.iter().map(|node| cluster.node(*node).snapshot());
        let seen: Vec<Snapshot> = seen.collect();
        let furthest = seen.iter().max_by_key(|seen| seen.position).unwrap();
        let position = furthest.position;
        let behind = seen.iter().position(|seen| seen.position < position);
        if let Some(behind) = behind {
            reads_on(cluster.node(nodes[behind]), position).await;
            continue;
        }
        for other in &seen {
            assert_eq!(other.replica, furthest.replica, "as of {position:?}");
        }
        return furthest.replica.clone();
    }
}

/// Waits until a node has read as far as this.
async fn reads_on(node: &NodeHandle, position: Option<LogPosition>) {
    let mut log = node.subscribe_to_log();
    let mut read = None;
    while read < position {
        read = match log.next().await.unwrap() {
            LogEvent::Snapshot(snapshot) => snapshot.position,
            LogEvent::Step(step) => Some(step.position),
        };
    }
}

/// Waits until each peer of these nodes watches the one whom the ring gives it, and nobody else.
async fn watches_are_the_ring(cluster: &Cluster, nodes: &[usize]) {
    loop {
        let ring = agreed(cluster, nodes).await.membership.pairs.clone();
        let mut watches = BTreeMap::new();
        for node in nodes {
            watches.extend(watches_of(cluster.node(*node)).await);
        }
        let pairs = ring.iter().map(|(peer, of)| (*peer, BTreeSet::from([*of])));
        if watches == pairs.collect::<BTreeMap<_, _>>() {
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

async fn leaves(ground: &Ground) -> Vec<LeaveCluster> {
    let commands = ground.commands().await.into_iter();
    let leaves = commands.filter_map(|command| match command {
        Command::LeaveCluster(leave) => Some(leave),
        _ => None,
    });
    leaves.collect()
}

/// Everybody whom one of these names.
fn all_named(leaves: &[LeaveCluster]) -> BTreeSet<PeerId> {
    leaves.iter().flat_map(named).collect()
}

fn members(replica: &Replica) -> BTreeSet<PeerId> {
    replica.membership.members.keys().copied().collect()
}

async fn three_nodes_join_one_ring_and_agree(ground: Ground) {
    let cluster = ground.cluster(Registry::with_built_in()).await;
    let replica = agreed(&cluster, &[0, 1, 2]).await;
    assert!(is_one_ring(&replica));
    let mut mine = BTreeSet::new();
    for node in 0..NODES {
        mine.extend(peers_of(&cluster, node).await);
    }
    assert_eq!(members(&replica), mine);
    assert_eq!(mine.len(), ALL_PEERS);
    assert_eq!(ground.pulses().await, mine);
    assert!(replica.membership.prepared.is_empty() && replica.membership.accepted.is_empty());
    watches_are_the_ring(&cluster, &[0, 1, 2]).await;
    assert_eq!(leaves(&ground).await, []);
}

async fn a_node_that_dies_is_named_with_all_its_peers_and_the_ring_heals(ground: Ground) {
    let mut ground = ground.with_short_session_of(1);
    let mut cluster = ground.cluster(Registry::with_built_in()).await;
    let gone: BTreeSet<PeerId> = peers_of(&cluster, 1).await.into_iter().collect();
    ground.kill(&mut cluster, 1).await;
    cluster.joined(ALL_PEERS - PEERS).await.unwrap();
    let replica = agreed(&cluster, &[0, 2]).await;
    assert!(is_one_ring(&replica));
    assert!(members(&replica).is_disjoint(&gone));
    watches_are_the_ring(&cluster, &[0, 2]).await;
    assert_eq!(ground.pulses().await, members(&replica));
    let leaves = leaves(&ground).await;
    assert_eq!(all_named(&leaves), gone);
    // Each of the others may have found them gone before it read of that.
    assert!(leaves.len() < NODES, "{leaves:?}");
}

async fn whoever_leaves_hands_over_its_watch_at_once(ground: Ground) {
    let cluster = ground.cluster(Registry::with_built_in()).await;
    let before = agreed(&cluster, &[0, 1, 2]).await;
    let pairs = &before.membership.pairs;
    // One whom a peer of another node watches, so that word of it goes over the log.
    let peers = peers_of(&cluster, 1).await;
    let mut watched = pairs
        .iter()
        .filter(|(watcher, leaver)| peers.contains(leaver) && !peers.contains(watcher));
    let (watcher, leaver) = watched.next().unwrap();
    cluster.node(1).stop_peer(*leaver).await.unwrap();
    cluster.joined(ALL_PEERS - 1).await.unwrap();
    let after = agreed(&cluster, &[0, 1, 2]).await;
    assert_eq!(after.membership.pairs[watcher], pairs[leaver]);
    watches_are_the_ring(&cluster, &[0, 1, 2]).await;
    // And now all others of its node.
    let others = peers_of(&cluster, 1).await;
    cluster.stop_node(1).await;
    cluster.joined(ALL_PEERS - PEERS).await.unwrap();
    let end = agreed(&cluster, &[0, 2]).await;
    assert!(is_one_ring(&end));
    watches_are_the_ring(&cluster, &[0, 2]).await;
    assert_eq!(ground.pulses().await, members(&end));
    // Nobody had to find them gone.
    let leaves = leaves(&ground).await;
    let said: Vec<BTreeSet<PeerId>> = leaves.iter().map(named).collect();
    assert_eq!(said, [[*leaver].into(), others.into_iter().collect()]);
}

/// `in>work>out` between a source and a sink of its own.
fn line_between(source: &str, sink: &str) -> Job {
    let mut job = line("identity");
    job.catalog[0].plugin = Some(source.into());
    job.catalog[2].plugin = Some(sink.into());
    job
}

async fn who_was_cut_off_during_a_collection_goes_on_from_the_origin(mut ground: Ground) {
    let (source, sink) = (Source::numbers(200), Sink::default());
    let mut registry = registry(&source, &sink);
    Sink::default().register(&mut registry, "other sink");
    let cluster = ground.cluster(registry).await;
    let old = peers_of(&cluster, 1).await;
    agreed(&cluster, &[0, 1, 2]).await;
    ground.cut_off(&cluster, 1).await;
    let mut log = cluster.node(1).subscribe_to_log();
    let Some(LogEvent::Snapshot(behind)) = log.next().await else {
        panic!("it begins with what there is")
    };
    let mut last = None;
    for _ in 0..2 {
        let job = line_between("source", "other sink");
        let job = cluster.node(0).submit_job(job).await.unwrap();
        cluster.node(0).kill_job(job).await.unwrap();
        last = cluster.node(0).gc().await.unwrap();
    }
    let origin = last.unwrap().position;
    let missed = behind.position.unwrap();
    assert!(missed < origin);
    assert!(!ground.has_entry(missed).await, "{missed} is collected");
    ground.reach(1).await;
    // What it reads first is the replica of an origin.
    let Some(LogEvent::Step(step)) = log.next().await else {
        panic!("it has jumped")
    };
    let jumped =
        matches!(&step.entry, Ok(entry) if matches!(entry.command, Command::SetReplica(_)));
    assert!(jumped, "{:?}", step.entry);
    assert!(step.position >= origin);
    // All are needed, and are the same as before.
    let wide = Task {
        min_peers: count(ALL_PEERS as u32 - 2),
        ..output("out")
    };
    let wide = job(
        "in>work work>out",
        [input("in"), function("work", "identity"), wide],
    );
    let wide = cluster.node(0).submit_job(wide).await.unwrap();
    let outcome = cluster.await_job(wide).await.unwrap();
    assert_eq!(outcome, JobOutcome::Completed);
    has_every_number(&sink, 200);
    let replica = agreed(&cluster, &[0, 1, 2]).await;
    assert_eq!(peers_of(&cluster, 1).await, old);
    assert_eq!(members(&replica).len(), ALL_PEERS);
    assert_eq!(leaves(&ground).await, []);
}

async fn a_node_whose_session_expires_comes_back_with_other_peers(ground: Ground) {
    let mut ground = ground.with_short_session_of(1);
    let cluster = ground.cluster(Registry::with_built_in()).await;
    let old: BTreeSet<PeerId> = peers_of(&cluster, 1).await.into_iter().collect();
    let before = agreed(&cluster, &[0, 1, 2]).await;
    let others = &members(&before) - &old;
    ground.silence(&cluster, 1).await;
    let are_gone = |replica: &Replica| members(replica).is_disjoint(&old);
    cluster.until(are_gone).await.unwrap();
    ground.reach(1).await;
    cluster.joined(ALL_PEERS).await.unwrap();
    let replica = agreed(&cluster, &[0, 1, 2]).await;
    let new: BTreeSet<PeerId> = peers_of(&cluster, 1).await.into_iter().collect();
    assert!(new.is_disjoint(&old));
    assert_eq!(members(&replica), &others | &new);
    assert!(is_one_ring(&replica));
    watches_are_the_ring(&cluster, &[0, 1, 2]).await;
    assert_eq!(ground.pulses().await, members(&replica));
    assert!(all_named(&leaves(&ground).await).is_superset(&old));
}

async fn two_jobs_share_three_nodes_and_every_row_is_written(ground: Ground) {
    const ROWS: i64 = 1_000;
    let ((one, of_one), (other, of_other)) = (slow(ROWS), slow(ROWS));
    let mut registry = registry(&one, &of_one);
    other.register(&mut registry, "other source");
    of_other.register(&mut registry, "other sink");
    let cluster = ground.cluster(registry).await;
    let mut log = cluster.node(1).subscribe_to_log();
    let jobs = [
        cluster.node(0).submit_job(line_between("source", "sink")),
        cluster
            .node(2)
            .submit_job(line_between("other source", "other sink")),
    ];
    let mut ids = Vec::new();
    for job in jobs {
        ids.push(job.await.unwrap());
    }
    let shares = |replica: &Replica| ids.iter().map(|job| replica.peer_count(*job)).collect();
    loop {
        let replica = match log.next().await.unwrap() {
            LogEvent::Snapshot(snapshot) => snapshot.replica,
            LogEvent::Step(step) => step.new.clone(),
        };
        let shares: Vec<usize> = shares(&replica);
        if shares == [ALL_PEERS / 2; 2] {
            break;
        }
    }
    for id in ids {
        let node = cluster.node(1);
        assert_eq!(
            node.await_job_completion(id).await.unwrap(),
            JobOutcome::Completed
        );
    }
    has_every_number(&of_one, ROWS);
    has_every_number(&of_other, ROWS);
    for node in 0..NODES {
        let tasks = cluster.node(node).measurements().await.unwrap().tasks;
        assert!(!tasks.is_empty(), "node {node} had no part in it");
    }
    agreed(&cluster, &[0, 1, 2]).await;
    assert_eq!(leaves(&ground).await, []);
}

async fn a_node_that_dies_in_the_middle_of_a_job_costs_no_row(ground: Ground) {
    const ROWS: i64 = 1_000;
    let mut ground = ground.with_short_session_of(1);
    let ((source, sink), (mut registry, passed)) = (slow(ROWS), passing(200));
    source.register(&mut registry, "source");
    sink.register(&mut registry, "sink");
    let mut cluster = ground.cluster(registry).await;
    let job = cluster.node(0).submit_job(line("passes")).await.unwrap();
    passed.notified().await;
    ground.kill(&mut cluster, 1).await;
    let outcome = cluster.await_job(job).await.unwrap();
    assert_eq!(outcome, JobOutcome::Completed);
    has_every_number(&sink, ROWS);
    cluster.joined(ALL_PEERS - PEERS).await.unwrap();
    assert!(is_one_ring(&*agreed(&cluster, &[0, 2]).await));
}

async fn collectors_on_two_nodes_at_once_lose_nothing(ground: Ground) {
    let (source, sink) = (Source::numbers(200), Sink::default());
    let cluster = ground.cluster(registry(&source, &sink)).await;
    let id = IdSource::from_entropy().job();
    let submit = |node: usize| cluster.node(node).submit_job_as(id, line("identity"));
    assert_eq!(submit(0).await, Ok(Submitted::Now));
    let outcome = cluster.await_job(id).await.unwrap();
    assert_eq!(outcome, JobOutcome::Completed);
    let both = tokio::join!(cluster.node(0).gc(), cluster.node(2).gc());
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(both.iter().any(Option::is_some), "{both:?}");
    assert!(!ground.has_entry(LogPosition(0)).await);
    // Of what is collected everybody knows what became of it.
    let replica = agreed(&cluster, &[0, 1, 2]).await;
    assert!(replica.jobs.records.is_empty());
    assert_eq!(submit(1).await, Ok(Submitted::Before));
    let outcome = cluster.node(1).await_job_completion(id).await;
    assert_eq!(outcome, Ok(JobOutcome::Completed));
    has_every_number(&sink, 200);
    assert_eq!(members(&replica).len(), ALL_PEERS);
    assert_eq!(leaves(&ground).await, []);
}

async fn a_peer_that_leaves_gives_its_slot_to_another_or_ends_the_job(ground: Ground) {
    const ROWS: i64 = 1_000;
    let (source, sink) = slow(ROWS);
    let cluster = ground.cluster(registry(&source, &sink)).await;
    for policy in [FluxPolicy::Recover, FluxPolicy::Kill] {
        let mut job = line("identity");
        let work = &mut job.catalog[1];
        (work.flux_policy, work.min_peers) = (Some(policy), count(3));
        work.max_peers = Some(count(3));
        let id = cluster.node(0).submit_job(job).await.unwrap();
        let slots = |replica: &Replica| {
            let allocation = replica.allocations.get(&id);
            allocation.and_then(|allocation| allocation.tasks.get(&"work".into()).cloned())
        };
        let before = slots(&*agreed(&cluster, &[0, 1, 2]).await).unwrap();
        let leaver = before[&SlotId(1)];
        for node in 0..NODES {
            if peers_of(&cluster, node).await.contains(&leaver) {
                cluster.node(node).stop_peer(leaver).await.unwrap();
            }
        }
        let has_left = |replica: &Replica| !members(replica).contains(&leaver);
        cluster.until(has_left).await.unwrap();
        if let Some(after) = slots(&*agreed(&cluster, &[0, 1, 2]).await) {
            let stayed = before.iter().filter(|(slot, peer)| after[slot] == **peer);
            assert_eq!((after.len(), stayed.count()), (3, 2));
        }
        let why = format!("peer {leaver} of task work left, and the task has the flux-policy kill");
        let expected = match policy {
            FluxPolicy::Kill => JobOutcome::Killed(Some(why)),
            FluxPolicy::Recover | FluxPolicy::Continue => JobOutcome::Completed,
        };
        assert_eq!(cluster.await_job(id).await.unwrap(), expected);
    }
    has_every_number(&sink, ROWS);
}
