//! How long sharing 1000 peers among 20 jobs takes: `cargo bench --bench scheduler`.

use onyx::clock::Clock;
use onyx::ids::{GroupId, IdSource, JobId, LogPosition};
use onyx::job::TaskKind;
use onyx::replica::{JobRecord, Jobs, Member, Membership, Replica, Site, TaskRecord};
use onyx::scheduler::reallocate;
use std::collections::BTreeSet;
use std::sync::Arc;

const PEERS: usize = 1_000;
const JOBS: usize = 20;
const ROUNDS: u32 = 20;

/// Whether all peers can do all tasks.
#[derive(Clone, Copy, Debug)]
enum Words {
    Shared,
    TenKinds,
}

#[expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]
fn main() {
    for words in [Words::Shared, Words::TenKinds] {
        let waiting = cluster(words);
        let running = reallocate(&waiting, LogPosition(1));
        let mut smaller = running.clone();
        Arc::make_mut(&mut smaller.membership).peers.pop();
        let assigned = PEERS - running.unassigned().len();
        println!(
            "{words:?}: {} jobs run with {assigned} peers",
            running.allocations.len()
        );
        let figures = [
            ("everything anew", time(&waiting)),
            ("one peer left", time(&smaller)),
            ("nothing changed", time(&running)),
        ];
        for (what, micros) in figures {
            println!("  {what}: {micros} µs");
        }
    }
}

fn time(replica: &Replica) -> u128 {
    let clock = Clock::start();
    for _ in 0..ROUNDS {
        std::hint::black_box(reallocate(replica, LogPosition(2)));
    }
    clock.now().since(onyx::clock::Millis(0)).as_micros() / u128::from(ROUNDS)
}

fn cluster(words: Words) -> Replica {
    let mut ids = IdSource::from_seed(1);
    let mut membership = Membership::default();
    for number in 0..PEERS {
        let peer = ids.peer();
        let knows = match words {
            Words::Shared => (0..10).map(word).collect::<BTreeSet<String>>(),
            Words::TenKinds => [word(number % 10), word((number + 1) % 10)].into(),
        };
        let site = Site(number.to_string());
        let member = Member {
            group: GroupId(ids.uuid()),
            site,
            words: Arc::new(knows),
            tags: Arc::default(),
        };
        membership.peers.push(peer);
        membership.members.insert(peer, member);
    }
    let mut jobs = Jobs::default();
    for number in 0..JOBS {
        let id: JobId = ids.job();
        jobs.live.push(id);
        jobs.records.insert(id, Arc::new(record(number)));
    }
    Replica {
        membership: Arc::new(membership),
        jobs: Arc::new(jobs),
        ..Replica::default()
    }
}

fn word(number: usize) -> String {
    format!("fn:{number}")
}

/// Five tasks in a row, of which each needs a word.
fn record(number: usize) -> JobRecord {
    let tasks = (0..5).map(|task| TaskRecord {
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
        min_peers: 1 + (number as u32 + task) % 4,
        max_peers: (task == 0).then_some(4),
        words: [word((number + task as usize) % 10)].into(),
        ..TaskRecord::new("", TaskKind::Function, Vec::new())
    });
    JobRecord::new(format!("job-{number}"), tasks.collect())
}
