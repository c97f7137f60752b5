//! What sharing out all peers takes, with many of them and many jobs.

use crate::report::{figure, millis};
use onyx::ids::{GroupId, IdSource, LogPosition};
use onyx::job::TaskKind;
use onyx::replica::invariants::violations;
use onyx::replica::{JobRecord, Jobs, Member, Membership, Replica, Site, TaskRecord};
use onyx::scheduler::reallocate;
use std::sync::Arc;
use std::time::Instant;

const JOBS: usize = 100;
/// The quickest of so many counts: the others say how busy the machine is.
const ROUNDS: usize = 40;
const FEW: usize = 1_250;
const MANY: usize = 10_000;
const BETWEEN: [usize; 2] = [2_500, 5_000];

pub(crate) fn run() {
    let (few, many) = (measure(FEW), measure(MANY));
    for peers in BETWEEN {
        let [anew, left] = measure(peers);
        println!("{peers} peers: everything anew {anew:.2} ms, one has left {left:.2} ms");
    }
    for (what, few, many) in [
        ("everything anew", few[0], many[0]),
        ("one peer has left", few[1], many[1]),
    ] {
        println!("{FEW} peers, {what}: {few:.2} ms");
        figure(&format!("{MANY} peers, {what}"), many, 250.0, "ms");
        let n_log_n = |n: usize| n as f64 * (n as f64).ln();
        let most = n_log_n(MANY) / n_log_n(FEW);
        figure("growth", many / few, most, "times");
    }
}

/// Milliseconds of the two cases.
fn measure(peers: usize) -> [f64; 2] {
    let waiting = cluster(peers);
    let running = reallocate(&waiting, LogPosition(1));
    assert_eq!(running.allocations.len(), JOBS, "all jobs run");
    assert_eq!(running.unassigned(), [], "everybody works");
    let mut smaller = running.clone();
    let membership = Arc::make_mut(&mut smaller.membership);
    let gone = membership.peers.swap_remove(peers / 2);
    membership.members.remove(&gone);
    ring(membership);
    let fewer = reallocate(&smaller, LogPosition(2));
    assert_eq!(violations(&fewer, LogPosition(2)), []);
    assert_eq!(fewer.unassigned(), []);
    [time(&waiting), time(&smaller)]
}

fn time(replica: &Replica) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        std::hint::black_box(reallocate(replica, LogPosition(2)));
        start.elapsed()
    });
    millis(times.min().unwrap_or_default())
}

fn cluster(peers: usize) -> Replica {
    let mut ids = IdSource::from_seed(1);
    let mut membership = Membership::default();
    let group = GroupId(ids.uuid());
    for _ in 0..peers {
        let peer = ids.peer();
        let member = Member {
            group,
            site: Site("here".into()),
            words: Arc::default(),
            tags: Arc::default(),
        };
        membership.peers.push(peer);
        membership.members.insert(peer, member);
    }
    ring(&mut membership);
    let mut jobs = Jobs::default();
    for number in 0..JOBS {
        let id = ids.job();
        jobs.live.push(id);
        jobs.records.insert(id, Arc::new(record(number)));
    }
    Replica {
        membership: Arc::new(membership),
        jobs: Arc::new(jobs),
        ..Replica::default()
    }
}

fn ring(membership: &mut Membership) {
    let next = membership.peers.iter().cycle().skip(1);
    membership.pairs = membership
        .peers
        .iter()
        .copied()
        .zip(next.copied())
        .collect();
}

/// Five tasks in a row.
fn record(number: usize) -> JobRecord {
    let tasks = (0..5_u32).map(|task| {
        let kind = match task {
            0 => TaskKind::Input,
            4 => TaskKind::Output,
            _ => TaskKind::Function,
        };
        let next = (task < 4).then(|| format!("task-{}", task + 1).into());
        TaskRecord {
            min_peers: 1 + (number as u32 + task) % 4,
            max_peers: (task == 0).then_some(4),
            ..TaskRecord::new(format!("task-{task}"), kind, next.into_iter().collect())
        }
    });
    JobRecord::new(format!("job-{number}"), tasks.collect())
}
