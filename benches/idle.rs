//! `cargo bench --bench idle`: what a node costs that has nothing to do: how soon eight peers are
//! ready, how much memory it holds, how much of a core it uses.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

#[path = "support/cpu.rs"]
mod cpu;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PEERS: &str = "8";
const OBSERVED: Duration = Duration::from_secs(10);

fn main() {
    let start = Instant::now();
    let mut node = Node::start();
    let address = node.address();
    while ureq::get(format!("http://{address}/health/ready"))
        .call()
        .is_err()
    {
        assert!(node.lives(), "the node ended before it was ready");
        sleep(Duration::from_millis(5));
    }
    let ready = start.elapsed();
    // The rest of the start is no idling.
    sleep(Duration::from_secs(2));
    let before = node.cpu_seconds();
    sleep(OBSERVED);
    let used = node.cpu_seconds() - before;
    println!(
        "ready with {PEERS} peers after {} ms (target 1000)",
        ready.as_millis()
    );
    println!("resident: {:.1} MiB (target 64)", node.resident_mib());
    println!(
        "of one core: {:.2} % over {} s (target 3)",
        100.0 * used / OBSERVED.as_secs_f64(),
        OBSERVED.as_secs()
    );
}

/// A node that ends with this program.
struct Node(Child);

impl Node {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onyx-node"));
        command
            .arg("start")
            .env("ONYX_NODE__PEERS", PEERS)
            .env("ONYX_HTTP__PORT", "0");
        Node(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("a node"),
        )
    }

    /// The address in the first line that has one.
    fn address(&mut self) -> String {
        let out = self.0.stdout.take().expect("its output");
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let after = line.split("http://").nth(1);
            if let Some(address) = after.and_then(|text| text.split_whitespace().next()) {
                return address.trim_end_matches(['/', ',', '.']).to_owned();
            }
        }
        panic!("the node did not say where it listens");
    }

    fn lives(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    fn cpu_seconds(&self) -> f64 {
        cpu::cpu_seconds(&self.0.id().to_string())
    }

    fn resident_mib(&self) -> f64 {
        let status = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap_or_default();
        let kib = line
            .split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
