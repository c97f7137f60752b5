//! How long a new node takes to read and apply a long log from the embedded server.

use crate::cpu::cpu_seconds;
use crate::recorded::Recorder;
use crate::report::figure;
use futures_util::future::try_join_all;
use onyx::codec::to_payload;
use onyx::config::{ConnectString, CoordinationMode, TenancyId};
use onyx::coordination::Coordination;
use onyx::coordination::zookeeper::{Connect, ZooKeeper};
use onyx::node::NodeBuilder;
use onyx::{LogEvent, NodeConfig};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};
use zookeeper_embedded::{Config, Server};

const ENTRIES: usize = 100_000;
const PEERS: usize = 200;
const JOBS: usize = 20;
/// Entries that are on their way to the server at once.
const IN_FLIGHT: usize = 64;
const TENANCY: &str = "replay";

pub(crate) fn run() {
    let mut log = Recorder::new(2);
    log.begin(PEERS, JOBS);
    log.live(ENTRIES);
    log_shape(&log);
    onyx::run(async {
        let server = Server::start(Config::default()).await.expect("a server");
        let address = server.connect_string();
        write(&address, &log).await;
        let (start, used) = (Instant::now(), cpu_seconds("self"));
        let node = node(&address).start().await.expect("a node");
        let mut events = node.handle().subscribe_to_log();
        let last = log.entries.len() as u64 - 1;
        let replica = loop {
            let (position, replica) = match events.next().await.expect("the node lives") {
                LogEvent::Snapshot(snapshot) => (snapshot.position, snapshot.replica),
                LogEvent::Step(step) => (Some(step.position), step.new.clone()),
            };
            if position.is_some_and(|position| position.0 >= last) {
                break replica;
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let used = cpu_seconds("self") - used;
        // The node may have written of its own by now, which concerns no job's end.
        assert_eq!(replica.jobs.completed, log.replica.jobs.completed);
        assert_eq!(replica.jobs.live, log.replica.jobs.live);
        let what = format!("a new node replays {} entries", log.entries.len());
        figure(&what, seconds, 3.0, "s");
        println!("of a core, server and node together: {used:.2} s");
        node.stop().await.expect("a clean stop");
        server.stop().await;
    });
}

fn log_shape(log: &Recorder) {
    let jobs = &log.replica.jobs;
    println!(
        "the log: {} entries, {PEERS} peers at a time, {JOBS} jobs at a time",
        log.entries.len()
    );
    assert_eq!(jobs.live.len(), JOBS);
    let applying = log.times.iter().sum::<Duration>();
    println!("applied without a node in {:.2} s", applying.as_secs_f64());
}

fn node(address: &str) -> NodeBuilder {
    let mut config = NodeConfig::default();
    config.coordination.mode = CoordinationMode::ZooKeeper;
    config.coordination.connect = ConnectString::new(address).expect("an address");
    config.node.tenancy_id = TenancyId::new(TENANCY).expect("a tenancy");
    config.node.peers = NonZeroUsize::MIN;
    // Collecting in between is not what is measured.
    config.collection.entries = 0;
    config.collection.bytes = 0;
    NodeBuilder::new(config).without_http()
}

async fn write(address: &str, log: &Recorder) {
    let connect = Connect::to(address, TENANCY);
    let session = ZooKeeper::connect(&connect).await.expect("a session");
    let mut next = 0;
    for entries in log.entries.chunks(IN_FLIGHT) {
        // Requests of one session take effect in the order of the calls.
        let appends = entries.iter().map(|entry| {
            let payload = to_payload(entry).expect("an entry can be written");
            session.append(payload)
        });
        let positions = try_join_all(appends).await.expect("they are written");
        for position in positions {
            assert_eq!(position.0, next, "an entry stands where it was recorded");
            next += 1;
        }
    }
    session.close().await;
}
