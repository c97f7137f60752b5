//! Jobs that block in their medium: a kill frees their peers for the next job at once, and a node that is
//! terminated with one ends in order.

use crate::process::{Errors, Node, onyx, pause};
use crate::scale::scaled;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What a job blocks in.
#[derive(Clone, Copy, Debug)]
enum Block {
    /// An input that is a named pipe to which nothing writes.
    PipeWithoutWriter,
    /// An input of 2 TB without a line end.
    SparseFile,
    /// An input that is a device without an end.
    Zeros,
    /// An output that is a named pipe from which nothing reads.
    PipeWithoutReader,
    /// An output that is a named pipe which is open and full.
    FullPipe,
}

const BLOCKS: [Block; 5] = [
    Block::PipeWithoutWriter,
    Block::SparseFile,
    Block::Zeros,
    Block::PipeWithoutReader,
    Block::FullPipe,
];

/// A job of three tasks.
fn copy(input: &str, output: &str) -> String {
    json!({
        "workflow": [["read", "pass"], ["pass", "write"]],
        "catalog": [
            { "name": "read", "type": "input", "plugin": "file/lines", "path": input },
            { "name": "pass", "type": "function", "fn": "identity" },
            { "name": "write", "type": "output", "plugin": "file/json-lines", "path": output },
        ],
    })
    .to_string()
}

/// A node with as many peers as a job has tasks.
struct Attacked {
    node: Node,
    folder: TempDir,
}

impl Attacked {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("in"), "0123456789\n".repeat(20_000)).unwrap();
        let mut command = onyx(&["start"]);
        command.env("ONYX_HTTP__PORT", "0");
        command.env("ONYX_NODE__PEERS", "3");
        let log = folder.path().join("log");
        let mut node = Node::start(&mut command, Errors::In(&log));
        node.listens();
        Attacked { node, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn pipe(&self, name: &str) -> String {
        let path = self.path(name);
        if !Path::new(&path).exists() {
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        path
    }

    /// Submits a job that blocks, and waits until all its tasks have been started. What is returned keeps
    /// the block up.
    fn block(&self, block: Block) -> (String, Option<File>) {
        let (text, out) = (self.path("in"), self.path("blocked.jsonl"));
        let (job, keeper) = match block {
            Block::PipeWithoutWriter => (copy(&self.pipe("in-pipe"), &out), None),
            Block::SparseFile => {
                let path = self.path("sparse");
                File::create(&path).unwrap().set_len(2 << 40).unwrap();
                (copy(&path, &out), None)
            }
            Block::Zeros => (copy("/dev/zero", &out), None),
            Block::PipeWithoutReader => (copy(&text, &self.pipe("out-pipe")), None),
            Block::FullPipe => {
                let path = self.pipe("full-pipe");
                let keeper = File::options().read(true).write(true).open(&path);
                (copy(&text, &path), Some(keeper.unwrap()))
            }
        };
        let id = self.node.submit(&job);
        while self.tasks_of(&id) < 3 {
            pause(Duration::from_millis(5));
        }
        (id, keeper)
    }

    /// How many peers run a task of a job.
    fn tasks_of(&self, job: &str) -> usize {
        let tree = self.node.get("/peers").unwrap();
        let peers = tree["children"].as_array().unwrap().iter();
        let actors = peers
            .filter_map(|peer| peer["children"].as_array())
            .flatten();
        let of_job = actors.filter(|actor| actor["detail"]["job"] == job);
        of_job.count()
    }

    /// An ordinary job that needs all peers completes.
    fn works(&self) {
        let id = self
            .node
            .submit(&copy(&self.path("in"), &self.path("out.jsonl")));
        loop {
            let job = self.node.get(&format!("/jobs/{id}?wait-ms=30000")).unwrap();
            match job["state"].as_str() {
                Some("completed") => return,
                Some("killed") => panic!("{job}"),
                _ => {}
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

#[test]
fn the_peers_of_a_killed_job_that_blocks_run_the_next_job() {
    let attacked = Attacked::start();
    for _ in 0..scaled(1, 8) {
        for block in BLOCKS {
            let (id, keeper) = attacked.block(block);
            let killed = ureq::delete(format!("{}/jobs/{id}", attacked.node.url())).call();
            assert_eq!(killed.unwrap().status(), 200, "{block:?}");
            attacked.works();
            drop(keeper);
        }
    }
    // No peer died for it.
    let tree = attacked.node.get("/peers").unwrap();
    let restarts = tree["children"].as_array().unwrap().iter();
    let restarts: Vec<&Value> = restarts.map(|child| &child["restarts"]).collect();
    assert!(restarts.iter().all(|count| **count == 0), "{restarts:?}");
    assert_eq!(
        attacked.node.get("/health/ready").unwrap()["status"],
        "ready"
    );
}

#[test]
fn a_node_with_a_job_that_blocks_ends_in_order_when_it_is_terminated() {
    for block in BLOCKS {
        let mut attacked = Attacked::start();
        let (_, keeper) = attacked.block(block);
        let (code, _) = attacked.node.process().end_by("TERM");
        let log = attacked.log();
        assert_eq!(code, Some(0), "{block:?}\n{log}");
        // What does not end in order ends after `shutdown.drain-ms`, and says so.
        assert!(!log.contains("did not drain"), "{block:?}\n{log}");
        drop(keeper);
    }
}
