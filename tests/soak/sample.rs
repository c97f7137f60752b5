//! What a process holds at one moment, as the operating system counts it.

use crate::trend::Allowance;
use std::fs;
use std::path::Path;

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) resident_bytes: u64,
    /// Resident memory that no file backs: heap and stacks.
    pub(crate) anonymous_bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) disk_bytes: u64,
    /// The length of the page `/metrics`.
    pub(crate) metrics_bytes: u64,
}

/// One column of a sample, and how far it may rise after the warm-up.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&Sample) -> u64,
    pub(crate) allowance: Allowance,
}

const MIB: u64 = 1024 * 1024;

pub(crate) const MEASURES: [Measure; 6] = [
    Measure {
        name: "resident bytes",
        of: |sample| sample.resident_bytes,
        allowance: Allowance {
            percent: 5,
            least: 2 * MIB,
        },
    },
    Measure {
        name: "anonymous bytes",
        of: |sample| sample.anonymous_bytes,
        allowance: Allowance {
            percent: 5,
            least: 2 * MIB,
        },
    },
    Measure {
        name: "descriptors",
        of: |sample| sample.descriptors,
        allowance: Allowance {
            percent: 0,
            least: 3,
        },
    },
    Measure {
        name: "threads",
        of: |sample| sample.threads,
        allowance: Allowance {
            percent: 0,
            least: 1,
        },
    },
    // Segments and snapshots of the log come and go.
    Measure {
        name: "disk bytes",
        of: |sample| sample.disk_bytes,
        allowance: Allowance {
            percent: 20,
            least: 2 * MIB,
        },
    },
    Measure {
        name: "bytes of /metrics",
        of: |sample| sample.metrics_bytes,
        allowance: Allowance {
            percent: 10,
            least: 64 * 1024,
        },
    },
];

impl Sample {
    /// What the process `id` holds, and what lies in `data`.
    pub(crate) fn take(id: u32, data: Option<&Path>, metrics_bytes: u64) -> Self {
        let process = Path::new("/proc").join(id.to_string());
        let status = fs::read_to_string(process.join("status")).unwrap();
        let rollup = fs::read_to_string(process.join("smaps_rollup")).unwrap();
        Sample {
            resident_bytes: kibibytes(&status, "VmRSS:") * 1024,
            anonymous_bytes: kibibytes(&rollup, "Anonymous:") * 1024,
            descriptors: fs::read_dir(process.join("fd")).unwrap().count() as u64,
            threads: fs::read_dir(process.join("task")).unwrap().count() as u64,
            disk_bytes: data.map_or(0, bytes_below),
            metrics_bytes,
        }
    }
}

pub(crate) fn print_head() {
    println!(
        "{:>7} {:<8} {:>8} {:>12} {:>13} {:>11} {:>7} {:>9} {:>12}",
        "seconds",
        "node",
        "jobs",
        "resident MiB",
        "anonymous MiB",
        "descriptors",
        "threads",
        "disk MiB",
        "metrics KiB"
    );
}

pub(crate) fn print_line(seconds: u64, node: &str, jobs: u64, median: &Sample) {
    let mebibytes = |bytes: u64| bytes as f64 / MIB as f64;
    println!(
        "{seconds:>7} {node:<8} {jobs:>8} {:>12.1} {:>13.1} {:>11} {:>7} {:>9.2} {:>12.1}",
        mebibytes(median.resident_bytes),
        mebibytes(median.anonymous_bytes),
        median.descriptors,
        median.threads,
        mebibytes(median.disk_bytes),
        median.metrics_bytes as f64 / 1024.0
    );
}

/// The number behind a name of a page below `/proc`.
fn kibibytes(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

/// Files that vanish while they are counted are not counted.
fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
