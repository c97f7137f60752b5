//! Two processes with one media driver: the tasks of a chain are in this one and in the other by turns,
//! so that every hop is one over Aeron IPC, and half of the acks.

use crate::chain::Chain;
use crate::cpu::cpu_seconds;
use crate::runtime::{self, RuntimeResult};
use onyx::config::NodeConfig;
use onyx::messaging::aeron::{AeronSettings, DriverChoice, MediaDriver};
use onyx::node::{Node, NodeBuilder};
use onyx::task::registry::Registry;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// What the second process is called with.
pub(crate) const ROLE: &str = "second-process";

/// What the peers of each process can do.
const TAGS: [&str; 2] = ["first", "second"];

/// Runs the segments of a chain through both, and checks what came out.
pub(crate) fn run(chain: Chain) -> RuntimeResult {
    let folder = tempfile::tempdir_in("/dev/shm").expect("shared memory");
    let place = folder.path().join("driver");
    let settings = AeronSettings {
        driver: DriverChoice::External(place.clone()),
        ..AeronSettings::new(1, 1)
    };
    let driver = MediaDriver::start_at(&place, &settings).expect("a media driver");
    let sum = Arc::new(AtomicI64::new(0));
    let registry = chain.registry(&sum);
    let (mut result, said) = onyx::run(async move {
        let server = zookeeper_embedded::Server::start(zookeeper_embedded::Config::default());
        let server = server.await.expect("coordination");
        let connect = server.connect_string();
        let mut other = Command::new(std::env::current_exe().expect("this program"))
            .args([ROLE.as_ref(), place.as_os_str(), connect.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let node = node(&place, &connect, TAGS[0], registry).await;
        let handle = node.handle().clone();
        let joined = || handle.snapshot().replica.membership.members.len();
        while joined() < 2 * PEERS {
            let ended = other.try_wait().expect("a process of ours");
            assert_eq!(ended, None, "the second process ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let result = runtime::complete(&handle, chain.job(&TAGS)).await;
        // Coordination lives on this thread, and the other needs it to stop.
        let said = tokio::task::spawn_blocking(|| end(other));
        let said = said.await.expect("a thread that waits");
        node.stop().await.expect("a clean stop");
        server.stop().await;
        (result, said)
    });
    drop(driver);
    let theirs: i64 = said[0].parse().expect("its sum");
    let cpu_seconds: f64 = said[1].parse().expect("its CPU time");
    result.cpu_seconds += cpu_seconds;
    let sum = sum.load(Ordering::Relaxed).wrapping_add(theirs);
    runtime::check(chain, sum, &result);
    result
}

/// The end of its input tells the second process to say what it has, and to stop.
fn end(mut other: Child) -> Vec<String> {
    drop(other.stdin.take());
    let said = BufReader::new(other.stdout.take().expect("its output"));
    let said = said.lines().map_while(Result::ok).collect();
    assert!(other.wait().expect("its end").success());
    said
}

/// The peers of each.
const PEERS: usize = 2;

/// What the second process does, until its input ends: its peers run every second task. Then it says
/// the sum of what it wrote and its CPU time.
pub(crate) fn second(place: &Path, connect: &str) {
    let sum = Arc::new(AtomicI64::new(0));
    // How many segments there are and how long is the source's business.
    let registry = Chain::standard(0).registry(&sum);
    onyx::run(async move {
        let node = node(place, connect, TAGS[1], registry).await;
        let before = cpu_seconds("self");
        let end = tokio::task::spawn_blocking(|| {
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())
        });
        let ended = end.await.expect("a thread that waits");
        ended.expect("the end of its input");
        let cpu_seconds = cpu_seconds("self") - before;
        println!("{}\n{cpu_seconds}", sum.load(Ordering::Relaxed));
        node.stop().await.expect("a clean stop");
    });
}

async fn node(place: &Path, connect: &str, tag: &str, registry: Registry) -> Node {
    let text = format!(
        "[node]\npeers = {PEERS}\n\
         [peer]\ntags = [{tag:?}]\n\
         [coordination]\nmode = \"zookeeper\"\nconnect = {connect:?}\n\
         [messaging]\ntransport = \"aeron\"\ndriver = \"external\"\ndriver-directory = {place:?}\n"
    );
    let config = NodeConfig::from_toml("the benchmark's", &text, []).expect("a configuration");
    let builder = NodeBuilder::new(config).registry(registry).without_http();
    builder.start().await.expect("a node")
}
