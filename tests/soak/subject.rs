//! A node under soak, and what was measured of it.

use crate::client::Client;
use crate::process::{Errors, Node, onyx};
use crate::sample::{self, MEASURES, Sample};
use crate::trend;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A node under soak.
pub(crate) struct Subject {
    name: &'static str,
    node: Node,
    client: Client,
    folder: PathBuf,
    kept: LogKept,
    data: Option<PathBuf>,
    /// Since the last line of the table.
    samples: Vec<Sample>,
    /// The medians of each line.
    lines: Vec<Sample>,
}

/// Where the embedded coordination server keeps the log, and when the log is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogKept {
    /// In a folder; collected by itself.
    OnDisk,
    /// Collected by a request of each client after each round of jobs.
    InMemory,
}

/// So that the log is collected by itself many times in an hour.
const COLLECTED_AFTER_ENTRIES: &str = "5000";
/// So that old segments of the log are removed many times in an hour.
const SNAPSHOT_TRANSACTIONS: &str = "4000";

impl Subject {
    pub(crate) fn start(name: &'static str, folder: &Path, kept: LogKept) -> Self {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        let data = (kept == LogKept::OnDisk).then(|| folder.join("data"));
        let mut command = onyx(&["start"]);
        command
            .env("ONYX_HTTP__PORT", "0")
            .env("ONYX_LOG_COLLECTION__ENTRIES", COLLECTED_AFTER_ENTRIES);
        if let Some(data) = &data {
            command.env("ONYX_COORDINATION__DATA_DIR", data).env(
                "ONYX_COORDINATION__SNAPSHOT_TRANSACTIONS",
                SNAPSHOT_TRANSACTIONS,
            );
        }
        let mut node = Node::start(&mut command, Errors::In(&folder.join("log")));
        node.listens();
        let client = Client::new(node.url());
        Subject {
            name,
            node,
            client,
            folder,
            kept,
            data,
            samples: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn is_collected_by_clients(&self) -> bool {
        self.kept == LogKept::InMemory
    }

    /// A folder for the files of its jobs.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn sample(&mut self) {
        let metrics_bytes = self.client.metrics_bytes();
        let id = self.node.process().id();
        let sample = Sample::take(id, self.data.as_deref(), metrics_bytes);
        self.samples.push(sample);
    }

    /// Prints the medians since the last line.
    pub(crate) fn print_line(&mut self, elapsed: Duration) {
        let samples = std::mem::take(&mut self.samples);
        let median = |of: fn(&Sample) -> u64| trend::median(samples.iter().map(of));
        let line = Sample {
            resident_bytes: median(|sample| sample.resident_bytes),
            anonymous_bytes: median(|sample| sample.anonymous_bytes),
            descriptors: median(|sample| sample.descriptors),
            threads: median(|sample| sample.threads),
            disk_bytes: median(|sample| sample.disk_bytes),
            metrics_bytes: median(|sample| sample.metrics_bytes),
        };
        let jobs = self.client.ended_jobs();
        sample::print_line(elapsed.as_secs(), self.name, jobs, &line);
        self.lines.push(line);
    }

    /// Every measure that has grown, with its figures.
    pub(crate) fn growth(&self) -> Vec<String> {
        let grown = MEASURES.iter().filter_map(|measure| {
            let column: Vec<_> = self.lines.iter().map(measure.of).collect();
            let growth = trend::growth(&column, measure.allowance)?;
            Some(format!(
                "{} of the node `{}`: {growth}",
                measure.name, self.name
            ))
        });
        grown.collect()
    }

    pub(crate) fn stops_in_order(&mut self) {
        let (code, log) = self.node.process().end_by("TERM");
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}
