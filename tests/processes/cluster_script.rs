//! The cluster of `./dev cluster`, as a new user starts it, uses it, breaks it and stops it.

use super::process::{Errors, Process, without_settings};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The script that runs. It takes its processes along when it ends.
struct Script {
    process: Process,
    /// What it says until it works.
    said: Vec<String>,
}

impl Script {
    fn start(nodes: usize, folder: &Path) -> Self {
        let mut command = Command::new("examples/cluster/run.sh");
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.arg(env!("CARGO_BIN_EXE_onyx-node"));
        command.arg(nodes.to_string()).arg(folder);
        without_settings(&mut command);
        let process = Process::start(&mut command, Errors::Kept);
        let mut script = Script {
            process,
            said: Vec::new(),
        };
        let last = format!("  node {nodes}: ");
        while !script.said.last().is_some_and(|it| it.starts_with(&last)) {
            let line = script.process.says();
            script.said.push(line.trim_end().to_owned());
        }
        script
    }

    /// What follows these words in what it said.
    fn after(&self, words: &str) -> &str {
        let found = self.said.iter().find_map(|line| line.split_once(words));
        found
            .unwrap_or_else(|| panic!("{words}: {:?}", self.said))
            .1
    }

    /// Submits the job with the line that it told, and waits for its end.
    fn run_job(&self, results: &Path) {
        fs::create_dir(results).unwrap();
        let told = format!("{} submit ", env!("CARGO_BIN_EXE_onyx-node"));
        let line = format!("{told}{}", self.after(&told));
        let set = |task: &str| format!(" --set {task}.path={}/{task}.jsonl", results.display());
        let line = format!("{line} --wait{}{}", set("write-late"), set("write-all"));
        let output = Command::new("bash").args(["-c", &line]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended already.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").arg(id).output();
        self.process.end();
    }
}

fn rows(results: &Path, task: &str) -> Vec<String> {
    let text = fs::read_to_string(results.join(format!("{task}.jsonl"))).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_cluster_script_runs_jobs_survives_its_driver_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let mut script = Script::start(3, &folder.path().join("cluster"));
    let first = folder.path().join("first");
    script.run_job(&first);
    let (all, late) = (rows(&first, "write-all"), rows(&first, "write-late"));
    assert_eq!((all.len(), late.len()), (20_000, 4_378));

    let driver = script.after("media driver: ").to_owned();
    let killed = Command::new("kill").args(["-9", &driver]).status();
    assert!(killed.unwrap().success());
    let again = script.process.says();
    assert!(again.starts_with("the media driver was started again: "));
    let second = folder.path().join("second");
    script.run_job(&second);
    let sorted = |mut rows: Vec<String>| {
        rows.sort_unstable();
        // What the death of the driver took along is written again.
        rows.dedup();
        rows
    };
    assert_eq!(sorted(rows(&second, "write-all")), sorted(all));

    let nodes = (1..=3).map(|number| script.after(&format!("node {number}: ")).to_owned());
    let nodes: Vec<String> = nodes.collect();
    let shared = format!("/dev/shm/onyx-cluster-{}", script.process.id());
    assert!(Path::new(&shared).exists());
    script.process.signal("TERM");
    assert_eq!(script.process.end().0, Some(0));
    let lives = |id: &str| PathBuf::from(format!("/proc/{id}")).exists();
    assert_eq!(nodes.iter().filter(|id| lives(id)).count(), 0);
    assert!(!Path::new(&shared).exists());
}

/// A command of this name that does what a script says.
fn command(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_sigterm_to_dev_cluster_reaches_the_cluster_script() {
    // What `./dev cluster` builds is not of interest here: its tools do nothing.
    let folder = TempDir::new().unwrap();
    let tools = folder.path().join("tools");
    command(&tools, "cargo", "exit 0");
    command(&tools, "python3", "exit 0");
    command(&tools, "cmake", "echo cmake version 99.0");
    command(&tools, "dpkg-query", "echo ok installed");
    fs::copy("dev", folder.path().join("dev")).unwrap();
    let script = "trap 'echo stopped; exit 0' TERM; echo works; while :; do sleep 0.05; done";
    command(folder.path(), "examples/cluster/run.sh", script);
    let mut dev = Command::new(folder.path().join("dev"));
    let path = std::env::var("PATH").unwrap();
    dev.arg("cluster");
    dev.env("PATH", format!("{}:{path}", tools.display()));
    let mut dev = Process::start(&mut dev, Errors::Kept);
    assert_eq!(dev.says(), "works\n");
    dev.signal("TERM");
    assert_eq!(dev.says(), "stopped\n");
    assert_eq!(dev.end().0, Some(0));
}
