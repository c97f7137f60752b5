//! What sharing out all peers takes, with many of them and many jobs.

use crate::report::{figure, millis};
use onyx::ids::{GroupId, IdSource, LogPosition};
use onyx::job::TaskKind;
use onyx::replica::invariants::violations;
use onyx::replica::{JobRecord, Jobs, Member, Membership, Replica, Site, TaskRecord};
use onyx::scheduler::reallocate;
use std::sync::Arc;
use std::time::{Duration, Instant};

const JOBS: usize = 100;
/// The quickest of so many counts: the others say how busy the machine is. All sizes take turns, so
/// that a machine that is slower for a while is so for all of them.
const ROUNDS: usize = 20;
const IN_A_ROW: usize = 4;
const FEW: usize = 1_250;
const MANY: usize = 10_000;
const SIZES: [usize; 4] = [FEW, 2_500, 5_000, MANY];

pub(crate) fn run() {
    let cases = SIZES.map(cases);
    let anew = times(cases.each_ref().map(|case| &case.waiting));
    let left = times(cases.each_ref().map(|case| &case.smaller));
    for (what, [few, some, more, many]) in [("everything anew", anew), ("one peer has left", left)]
    {
        println!("{what}: {few:.2} ms with {FEW} peers, then {some:.2}, {more:.2}");
        figure(&format!("{what}, {MANY} peers"), many, 250.0, "ms");
        let n_log_n = |n: usize| n as f64 * (n as f64).ln();
        let most = n_log_n(MANY) / n_log_n(FEW);
        figure("growth", many / few, most, "times");
    }
}

/// Replicas in which peers have to be shared out anew.
struct Cases {
    /// Nobody works yet.
    waiting: Replica,
    /// All work, and one has left.
    smaller: Replica,
}

fn cases(peers: usize) -> Cases {
    let waiting = cluster(peers);
    let running = reallocate(&waiting, LogPosition(1));
    assert_eq!(running.allocations.len(), JOBS, "all jobs run");
    assert_eq!(running.unassigned(), [], "everybody works");
    let mut smaller = running;
    let membership = Arc::make_mut(&mut smaller.membership);
    let gone = membership.peers.swap_remove(peers / 2);
    membership.members.remove(&gone);
    ring(membership);
    let fewer = reallocate(&smaller, LogPosition(2));
    assert_eq!(violations(&fewer, LogPosition(2)), []);
    assert_eq!(fewer.unassigned(), []);
    Cases { waiting, smaller }
}

/// Milliseconds of each.
fn times<const N: usize>(replicas: [&Replica; N]) -> [f64; N] {
    let mut quickest = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (replica, quickest) in replicas.iter().zip(&mut quickest) {
            for _ in 0..IN_A_ROW {
                let start = Instant::now();
                std::hint::black_box(reallocate(replica, LogPosition(2)));
                *quickest = start.elapsed().min(*quickest);
            }
        }
    }
    quickest.map(millis)
}

fn cluster(peers: usize) -> Replica {
    let mut ids = IdSource::from_seed(1);
    let mut membership = Membership::default();
    let group = GroupId(ids.uuid());
    for _ in 0..peers {
        let peer = ids.peer();
        let member = Member {
            group,
            node: Default::default(),
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
