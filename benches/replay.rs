//! How long a new node takes to replay a log of real shape: `cargo bench --bench replay [ENTRIES]`.
//!
//! 200 peers join, 20 jobs of 5 tasks run, complete and follow each other, peers leave and return.
//! The log is applied in memory, then written to an embedded server and read from there by a node.

use futures_util::future::join_all;
use onyx::clock::{Clock, Millis};
use onyx::codec::{from_payload, to_payload};
use onyx::config::NodeConfig;
use onyx::coordination::Coordination;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::ids::{EntrySource, GroupId, IdSource, JobId, LogPosition, PeerId, WriterId};
use onyx::job::TaskKind;
use onyx::log::commands::{
    AcceptJoinCluster, Command, ExhaustInput, LeaveCluster, NotifyJoinCluster, PrepareJoinCluster,
    SealTask, SignalReady, SubmitJob, SubmittedJob,
};
use onyx::log::{Entry, step};
use onyx::node::NodeBuilder;
use onyx::replica::{Member, Replica, Site, TaskRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zookeeper_embedded::{Config, Server};

const ENTRIES: usize = 100_000;
const PEERS: usize = 200;
const JOBS: usize = 20;
const TENANCY: &str = "replay";

#[expect(clippy::print_stdout, reason = "the figures are for whoever runs it")]
fn main() {
    let wanted = std::env::args().find_map(|word| word.parse().ok());
    let log = History::of(wanted.unwrap_or(ENTRIES));
    let bytes: usize = log.payloads.iter().map(Vec::len).sum();
    let replica = &log.replica;
    println!(
        "{} entries of {} bytes; at the end {} peers, {} live jobs, {} completed",
        log.payloads.len(),
        bytes / log.payloads.len(),
        replica.membership.peers.len(),
        replica.jobs.live.len(),
        replica.jobs.completed.len(),
    );
    for (name, count) in &log.by_name {
        println!("  {count:>6} {name}");
    }
    println!("applied in memory: {} ms", in_memory(&log));
    let (read, all) = onyx::run(from_a_server(&log));
    println!("read from an embedded server: {read} ms");
    println!("a new node at the end of the log: {all} ms");
}

fn millis(clock: &Clock) -> u128 {
    clock.now().since(Millis(0)).as_millis()
}

fn in_memory(log: &History) -> u128 {
    let clock = Clock::start();
    let mut replica = Arc::default();
    for (position, payload) in (0..).map(LogPosition).zip(&log.payloads) {
        let entry = from_payload::<Entry>(payload).expect("an entry");
        replica = step(position, Ok(entry), replica).new;
    }
    assert_eq!(replica, log.replica);
    millis(&clock)
}

async fn from_a_server(log: &History) -> (u128, u128) {
    let server = Server::start(Config::default()).await.expect("a server");
    let connect = Connect::to(server.connect_string(), TENANCY);
    let session = ZooKeeper::connect(&connect).await.expect("a session");
    for payloads in log.payloads.chunks(1_000) {
        let appended = payloads
            .iter()
            .map(|payload| session.append(payload.clone()));
        for appended in join_all(appended).await {
            appended.expect("an entry is written");
        }
    }
    let clock = Clock::start();
    let mut read = 0;
    while read < log.payloads.len() {
        let starts = (0..4).map(|n| LogPosition((read + n * 128) as u64));
        for entries in join_all(starts.map(|start| session.read(start, 128))).await {
            read += entries.expect("entries").len();
        }
    }
    let reading = millis(&clock);
    drop(session);
    let text = format!(
        "[node]\ntenancy-id = \"{TENANCY}\"\npeers = 1\n[coordination]\nmode = \"zookeeper\"\nconnect = \"{}\"",
        server.connect_string()
    );
    let config = NodeConfig::from_toml("bench", &text, []).expect("a configuration");
    let clock = Clock::start();
    let node = NodeBuilder::new(config).without_http().start().await;
    let node = node.expect("a node");
    let mut log_events = node.handle().subscribe_to_log();
    let last = LogPosition(log.payloads.len() as u64 - 1);
    while node.handle().snapshot().position < Some(last) {
        log_events.next().await.expect("the log goes on");
    }
    let all = millis(&clock);
    let _ = node.stop().await;
    server.stop().await;
    (reading, all)
}

/// A log, and what it makes.
struct History {
    payloads: Vec<Vec<u8>>,
    replica: Arc<Replica>,
    by_name: BTreeMap<&'static str, usize>,
    sequences: BTreeMap<WriterId, u64>,
    client: WriterId,
    groups: Vec<GroupId>,
    words: Arc<BTreeSet<String>>,
    ids: IdSource,
}

impl History {
    fn of(entries: usize) -> Self {
        let mut ids = IdSource::from_seed(1);
        let words = ["fn", "plugin", "calls"];
        let words = words
            .iter()
            .flat_map(|kind| (0..5).map(move |n| format!("{kind}:word-{n}")));
        let mut history = History {
            payloads: Vec::new(),
            replica: Arc::default(),
            by_name: BTreeMap::new(),
            sequences: BTreeMap::new(),
            client: WriterId(ids.uuid()),
            groups: (0..10).map(|_| GroupId(ids.uuid())).collect(),
            words: Arc::new(words.collect()),
            ids,
        };
        for _ in 0..PEERS {
            history.join();
        }
        while history.payloads.len() < entries {
            while history.replica.jobs.live.len() < JOBS {
                history.submit();
            }
            history.say_ready();
            match history.ids.bits() % 6 {
                0 => history.replace_a_peer(),
                _ => history.complete_a_job(),
            }
        }
        history
    }

    fn write(&mut self, writer: WriterId, command: Command) {
        let sequence = self.sequences.entry(writer).or_default();
        *sequence += 1;
        let source = Some(EntrySource {
            writer,
            sequence: *sequence,
        });
        *self.by_name.entry(command.name()).or_default() += 1;
        let entry = Entry {
            source,
            entry_parent: None,
            command,
        };
        let position = LogPosition(self.payloads.len() as u64);
        self.payloads.push(to_payload(&entry).expect("a payload"));
        self.replica = step(position, Ok(entry), Arc::clone(&self.replica)).new;
    }

    fn join(&mut self) {
        let joiner = self.ids.peer();
        let group = self.groups[self.ids.bits() as usize % self.groups.len()];
        let member = Member {
            group,
            site: Site(format!("local:{group}")),
            words: self.words.clone(),
            tags: Arc::default(),
        };
        let prepare = PrepareJoinCluster { joiner, member };
        self.write(joiner.into(), Command::PrepareJoinCluster(prepare));
        let Some(observer) = self.replica.membership.observer_of(joiner) else {
            return;
        };
        let notify = NotifyJoinCluster { observer: joiner };
        self.write(observer.into(), Command::NotifyJoinCluster(notify));
        if let Some(accept) = AcceptJoinCluster::of(&self.replica.membership, joiner) {
            self.write(joiner.into(), Command::AcceptJoinCluster(accept));
        }
    }

    fn replace_a_peer(&mut self) {
        let peers = &self.replica.membership.peers;
        let gone = peers[self.ids.bits() as usize % peers.len()];
        let observer = *self
            .replica
            .membership
            .pairs
            .iter()
            .find(|(_, to)| **to == gone)
            .expect("a ring")
            .0;
        self.write(
            observer.into(),
            Command::LeaveCluster(LeaveCluster::of(gone)),
        );
        self.say_ready();
        self.join();
    }

    fn submit(&mut self) {
        let id = self.ids.job();
        let task = |name: &str, kind, to: &[&str]| TaskRecord {
            words: [format!("fn:word-{}", to.len()), "plugin:word-0".to_owned()].into(),
            ..TaskRecord::new(name, kind, to.iter().map(|to| (*to).into()).collect())
        };
        let tasks = vec![
            task("read", TaskKind::Input, &["parse"]),
            task("parse", TaskKind::Function, &["enrich"]),
            task("enrich", TaskKind::Function, &["write", "audit"]),
            task("write", TaskKind::Output, &[]),
            task("audit", TaskKind::Output, &[]),
        ];
        let job = SubmittedJob::new("flights", tasks);
        self.write(self.client, Command::SubmitJob(SubmitJob { id, job }));
    }

    /// Every slot that is not ready says that it is.
    fn say_ready(&mut self) {
        let mut words = Vec::new();
        for (job, allocation) in self.replica.allocations.iter() {
            for (task, slots) in &allocation.tasks {
                for (slot, id) in slots
                    .iter()
                    .filter(|(_, id)| !allocation.ready.contains(*id))
                {
                    let (job, task, slot) = (*job, task.clone(), *slot);
                    let version = allocation.version;
                    let ready = SignalReady {
                        id: Some(*id),
                        job,
                        task,
                        slot,
                        version,
                    };
                    words.push((*id, ready));
                }
            }
        }
        for (id, ready) in words {
            self.write(id.into(), Command::SignalReady(ready));
        }
    }

    fn complete_a_job(&mut self) {
        let running: Vec<JobId> = self.replica.allocations.keys().copied().collect();
        let job = running[self.ids.bits() as usize % running.len()];
        for kind in [TaskKind::Input, TaskKind::Output] {
            for (id, command) in self.last_words(job, kind) {
                self.write(id.into(), command);
            }
        }
    }

    fn last_words(&self, job: JobId, kind: TaskKind) -> Vec<(PeerId, Command)> {
        let allocation = &self.replica.allocations[&job];
        let record = self.replica.record(job).expect("a record");
        let mut words = Vec::new();
        for task in record.tasks_of(kind) {
            for (slot, id) in &allocation.tasks[&task.name] {
                let (id, task, slot, version) = (*id, task.name.clone(), *slot, allocation.version);
                words.push((
                    id,
                    match kind {
                        TaskKind::Input => Command::ExhaustInput(ExhaustInput {
                            job,
                            task,
                            slot,
                            version,
                            id: Some(id),
                        }),
                        _ => Command::SealTask(SealTask {
                            job,
                            task,
                            slot,
                            version,
                            id: Some(id),
                        }),
                    },
                ));
            }
        }
        words
    }
}
