//! How long sharing peers among jobs takes, and how that grows with the peers:
//! `cargo bench --bench scheduler`.

use onyx::clock::{Clock, Millis};
use onyx::ids::{GroupId, IdSource, JobId, LogPosition};
use onyx::job::TaskKind;
use onyx::replica::{JobRecord, Jobs, Member, Membership, Replica, Site, TaskRecord};
use onyx::scheduler::reallocate;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Peers, and the jobs they share.
const SIZES: [(usize, usize); 6] = [
    (100, 20),
    (1_000, 20),
    (1_250, 100),
    (2_500, 100),
    (5_000, 100),
    (10_000, 100),
];
const TASKS_OF_JOB: usize = 5;
const KINDS_OF_PEERS: usize = 10;

/// Whether all peers can do all tasks.
#[derive(Clone, Copy, Debug)]
enum Words {
    Shared,
    TenKinds,
}

#[expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]
fn main() {
    println!("milliseconds for one reallocation, mean");
    println!("words      peers  jobs  all-anew  peer-left  peer-joined  job-submitted  unchanged");
    for words in [Words::Shared, Words::TenKinds] {
        for (peers, jobs) in SIZES {
            let [anew, left, joined, submitted, unchanged] = figures(words, peers, jobs);
            println!(
                "{words:<9} {peers:>6} {jobs:>5} {anew:>9.3} {left:>10.3} {joined:>12.3} \
                 {submitted:>14.3} {unchanged:>10.3}",
                words = format!("{words:?}")
            );
        }
    }
}

fn figures(words: Words, peers: usize, jobs: usize) -> [f64; 5] {
    let waiting = cluster(words, peers, jobs);
    let running = reallocate(&waiting, LogPosition(1));
    assert_eq!(running.allocations.len(), jobs, "every job runs");
    let mut smaller = running.clone();
    let membership = Arc::make_mut(&mut smaller.membership);
    if let Some(gone) = membership.peers.pop() {
        membership.members.remove(&gone);
    }
    let smaller_settled = reallocate(&smaller, LogPosition(2));
    let rejoined = Replica {
        membership: Arc::clone(&running.membership),
        ..smaller_settled
    };
    let fewer = cluster(words, peers, jobs - 1);
    let submitted = Replica {
        jobs: Arc::clone(&running.jobs),
        ..reallocate(&fewer, LogPosition(1))
    };
    [&waiting, &smaller, &rejoined, &submitted, &running].map(time)
}

/// The mean of as many rounds as fill the time: the clock counts whole milliseconds.
fn time(replica: &Replica) -> f64 {
    const LEAST: Duration = Duration::from_millis(300);
    let clock = Clock::start();
    let mut rounds = 0_u32;
    loop {
        std::hint::black_box(reallocate(std::hint::black_box(replica), LogPosition(3)));
        rounds += 1;
        let spent = clock.now().since(Millis(0));
        if spent >= LEAST {
            return spent.as_secs_f64() * 1_000.0 / f64::from(rounds);
        }
    }
}

fn cluster(words: Words, peers: usize, jobs: usize) -> Replica {
    let mut ids = IdSource::from_seed(1);
    let kinds: Vec<Arc<BTreeSet<String>>> = (0..KINDS_OF_PEERS)
        .map(|kind| match words {
            Words::Shared => (0..KINDS_OF_PEERS).map(word).collect(),
            Words::TenKinds => [word(kind), word((kind + 1) % KINDS_OF_PEERS)].into(),
        })
        .map(Arc::new)
        .collect();
    let kinds = match words {
        Words::Shared => &kinds[..1],
        Words::TenKinds => &kinds[..],
    };
    let mut membership = Membership::default();
    for number in 0..peers {
        let peer = ids.peer();
        let member = Member {
            group: GroupId(ids.uuid()),
            node: Default::default(),
            site: Site(number.to_string()),
            words: Arc::clone(&kinds[number % kinds.len()]),
            tags: Arc::default(),
        };
        membership.peers.push(peer);
        membership.members.insert(peer, member);
    }
    let mut ids = IdSource::from_seed(2);
    let mut records = Jobs::default();
    for number in 0..jobs {
        let id: JobId = ids.job();
        records.live.push(id);
        records.records.insert(id, Arc::new(record(number)));
    }
    Replica {
        membership: Arc::new(membership),
        jobs: Arc::new(records),
        ..Replica::default()
    }
}

fn word(number: usize) -> String {
    format!("fn:{number}")
}

/// Five tasks in a row, of which each needs a word.
fn record(number: usize) -> JobRecord {
    let tasks = (0..TASKS_OF_JOB).map(|task| TaskRecord {
        name: format!("task-{task}").into(),
        kind: match task {
            0 => TaskKind::Input,
            4 => TaskKind::Output,
            _ => TaskKind::Function,
        },
        downstream: (task < 4)
            .then(|| format!("task-{}", task + 1).into())
            .into_iter()
            .collect(),
        min_peers: 1,
        max_peers: (task == 0).then_some(4),
        words: [word((number + task) % KINDS_OF_PEERS)].into(),
        ..TaskRecord::new("", TaskKind::Function, Vec::new())
    });
    JobRecord::new(format!("job-{number}"), tasks.collect())
}
