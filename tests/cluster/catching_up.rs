//! A process that was cut off while a long piece of the log was written: it passes over it in jumps,
//! and makes up for what it was wanted for meanwhile.

use crate::collection::{entry, peers_of, until};
use crate::in_virtual_time;
use crate::jobs::*;
use crate::membership::is_one_ring;
use crate::virtual_time::time_passes;
use futures_util::FutureExt;
use onyx::api::{JobOutcome, LogEvent, LogSubscription};
use onyx::coordination::tail::BACKLOG;
use onyx::ids::{IdSource, LogPosition, PeerId};
use onyx::log::commands::{Command, LeaveCluster};
use onyx::replica::JobState;
use onyx::testing::TestCluster;
use onyx::testing::plugins::{Sink, Source};
use std::time::Duration;

const PEERS: usize = 3;
const JOINERS: usize = 4;
/// No jump is over more entries.
const SLICE: usize = 32;

fn noise(cluster: &TestCluster, entries: usize) {
    for _ in 0..entries {
        cluster.server().append_raw(b"noise".to_vec());
    }
}

/// Waits until somebody is on the way in whom one of these peers has to help.
async fn helped_by(cluster: &TestCluster, peers: &[PeerId]) -> (PeerId, PeerId) {
    loop {
        let replica = cluster.node(0).snapshot().replica;
        let mut prepared = replica.membership.prepared.iter();
        if let Some((observer, joiner)) = prepared.find(|(observer, _)| peers.contains(observer)) {
            return (*observer, *joiner);
        }
        time_passes(Duration::from_millis(1)).await;
    }
}

/// Where the prepare of a joiner stands.
fn prepared_at(cluster: &TestCluster, joiner: PeerId) -> LogPosition {
    let is_it = |entry: &Vec<u8>| {
        let entry = onyx::codec::from_payload::<onyx::log::Entry>(entry);
        entry.is_ok_and(|entry| match entry.command {
            Command::PrepareJoinCluster(prepare) => prepare.joiner == joiner,
            _ => false,
        })
    };
    let entries = cluster.server().entries();
    LogPosition(entries.iter().rposition(is_it).unwrap() as u64)
}

/// The positions to which a node has jumped, and those that it has read one by one.
fn read(log: &mut LogSubscription) -> (Vec<LogPosition>, Vec<LogPosition>) {
    let (mut jumps, mut steps) = (Vec::new(), Vec::new());
    while let Some(Some(event)) = log.next().now_or_never() {
        let LogEvent::Step(step) = event else {
            continue;
        };
        let command = step.entry.as_ref().map(|entry| &entry.command);
        match command {
            Ok(Command::SetReplica(_)) => jumps.push(step.position),
            _ => steps.push(step.position),
        }
    }
    (jumps, steps)
}

#[test]
fn who_passes_over_a_backlog_makes_up_for_joins_leaves_and_jobs_in_it() {
    in_virtual_time(async {
        let (source, sink) = (Source::numbers(100), Sink::default());
        let cluster = cluster_of(2, PEERS, registry(&source, &sink)).await;
        let cut_off = peers_of(&cluster, 1).await;
        cluster.server().cut_off_session_of(cut_off[0]);
        let mut log = cluster.node(1).subscribe_to_log();
        let first = log.next().await;
        assert!(matches!(first, Some(LogEvent::Snapshot(_))));
        // So many are read before it is known how many there are.
        noise(&cluster, 20);
        cluster.node(0).start_peers(JOINERS).await.unwrap();
        let (observer, joiner) = helped_by(&cluster, &cut_off).await;
        let removed = *cut_off.iter().find(|peer| **peer != observer).unwrap();
        let leave = Command::LeaveCluster(LeaveCluster::of(removed));
        let leave = entry(&mut IdSource::from_seed(5), leave);
        cluster.server().append_raw(leave);
        let job = cluster.node(0).submit_job(line("identity")).await.unwrap();
        noise(&cluster, BACKLOG + 200);
        // As long as it is away everybody waits for it.
        time_passes(Duration::from_secs(2)).await;
        let replica = cluster.node(0).snapshot().replica;
        assert_eq!(replica.job_state(job), Some(JobState::Running));
        assert_eq!(replica.membership.prepared.get(&observer), Some(&joiner));
        let prepared = prepared_at(&cluster, joiner);
        cluster.server().reach_all();

        cluster.joined(2 * PEERS + JOINERS).await.unwrap();
        let outcome = cluster.await_job(job).await.unwrap();
        assert_eq!(outcome, JobOutcome::Completed);
        assert_eq!(sink.ints("n"), all(100));
        let (jumps, steps) = read(&mut log);
        assert!(jumps.len() >= BACKLOG / SLICE, "{jumps:?}");
        assert!(
            jumps[0] > prepared && !steps.contains(&prepared),
            "it was read by itself"
        );

        let replica = cluster.node(0).snapshot().replica;
        let last = cluster.node(0).snapshot().position;
        until(&cluster, 1, |seen| *seen == *replica).await;
        assert_eq!(cluster.node(1).snapshot().position, last);
        assert!(is_one_ring(&replica));
        assert!(replica.membership.is_joined(joiner));
        assert!(!replica.membership.members.contains_key(&removed));
        let now = peers_of(&cluster, 1).await;
        let same: Vec<PeerId> = cut_off
            .iter()
            .copied()
            .filter(|peer| *peer != removed)
            .collect();
        assert!(
            same.iter().all(|peer| now.contains(peer)),
            "{same:?} of {now:?}"
        );
        assert_eq!(now.len(), PEERS);
        // Nobody else was taken for dead, and the joiner did not have to begin again.
        let mut left = cluster.commands();
        left.retain(|command| matches!(command, Command::LeaveCluster(_)));
        let of_removed = Command::LeaveCluster(LeaveCluster::of(removed));
        assert!(left.iter().all(|leave| *leave == of_removed), "{left:?}");
        let aborts = |command: &Command| match command {
            Command::AbortJoinCluster(abort) => abort.id == joiner,
            _ => false,
        };
        let last_abort = cluster.commands().iter().rposition(aborts);
        assert!(last_abort.is_none_or(|at| at < prepared.0 as usize));
    });
}
